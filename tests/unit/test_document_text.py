import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.text import embedded_text, fit_title, normalize


class Quads:
    """Every four code points are a token, across words."""

    digest = "quads"

    def spans(self, text):
        return [(begin, min(begin + 4, len(text))) for begin in range(0, len(text), 4)]

    def count(self, text):
        return len(self.spans(text))

    def counts(self, texts):
        return [self.count(text) for text in texts]

    def special_tokens(self):
        return 0


class Signs(Quads):
    def spans(self, text):
        return [(place, place + 1) for place, sign in enumerate(text) if not sign.isspace()]


def test_line_ends_become_one_sign_and_nothing_else_changes():
    assert normalize("a\r\nb\rc\n\r\n\n\r\r\nd\u2028é\ufb01 \t") == "a\nb\nc\n\n\n\n\nd\u2028é\ufb01 \t"


@given(st.text(st.sampled_from("\r\na ")))
def test_normalizing_twice_changes_nothing(text):
    assert normalize(normalize(text)) == normalize(text)
    assert "\r" not in normalize(text)


@pytest.mark.parametrize("title", [None, ""])
def test_without_a_title_the_passage_is_embedded_alone(title):
    assert embedded_text(title, "passage") == "passage"


def test_with_a_title_a_blank_line_stands_between():
    assert embedded_text("Title", "passage") == "Title\n\npassage"


@pytest.mark.parametrize("title", [None, "", " \n"])
def test_no_title_stays_none(title):
    assert fit_title(title, Signs(), 10) is None


def test_a_title_that_fits_is_kept_whole():
    assert fit_title("  How to mend it ", Signs(), 11) == "How to mend it"


def test_a_long_title_is_cut_at_a_words_end():
    assert fit_title("How to mend it", Signs(), 10) == "How to mend"
    assert fit_title("How to mend it", Signs(), 8) == "How to"


def test_a_first_word_that_is_too_long_is_cut_at_a_tokens_end():
    assert fit_title("Donaudampfschifffahrt", Signs(), 5) == "Donau"


def test_a_limit_of_nothing_leaves_no_title():
    assert fit_title("Title", Signs(), 0) is None


@given(st.text(max_size=80), st.integers(1, 12), st.sampled_from([Quads(), Signs()]))
def test_a_fitted_title_is_a_beginning_within_the_limit(title, limit, tokenizer):
    fitted = fit_title(title, tokenizer, limit)
    if fitted is None:
        assert not title.strip()
        return
    whole = title.strip()
    assert whole.startswith(fitted)
    assert 0 < tokenizer.count(fitted) <= limit
    rest = whole[len(fitted) :]
    if rest and not rest[0].isspace():
        assert tokenizer.count(whole.split()[0]) > limit or tokenizer.count(fitted) == 0


def test_a_title_of_fifty_megabytes_is_cut_at_once():
    assert fit_title("title " * 8_000_000, Signs(), 10) == "title title"
