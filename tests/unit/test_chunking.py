import pytest

from stream.chunking import cut
from stream.contract import ChunkingContract
from stream.errors import Fatal, Poison


class Signs:
    """Every sign is a token; an ideograph is as many as it was made for."""

    digest = "signs"

    def __init__(self, ideograph=1):
        self._ideograph = ideograph

    def spans(self, text):
        signs = [(place, place + 1) for place, sign in enumerate(text) if not sign.isspace()]
        return [span for span in signs for _ in range(self._ideograph if text[span[0]] == "界" else 1)]

    def count(self, text):
        return len(self.spans(text))

    def counts(self, texts):
        return [self.count(text) for text in texts]

    def special_tokens(self):
        return 0


def texts(text, strategy="anchored", least=5, most=20, overlap=0):
    contract = ChunkingContract(strategy, least, most, overlap, 0, "signs")
    return [passage.text for passage in cut(text, contract, Signs())]


def test_a_tokenizer_that_is_not_the_contracts_is_fatal():
    with pytest.raises(Fatal, match="names the tokenizer other, but signs is loaded"):
        cut("text", ChunkingContract("anchored", 5, 20, 0, 0, "other"), Signs())


@pytest.mark.parametrize("strategy", ["anchored", "fixed"])
def test_a_character_beyond_the_limit_is_poison(strategy):
    with pytest.raises(Poison, match=r"'界' alone has more than chunking\.max_tokens = 20") as refused:
        cut("before 界 after", ChunkingContract(strategy, 5, 20, 0, 0, "signs"), Signs(ideograph=21))
    assert refused.value.kind == "unsplittable"


def test_a_blank_line_is_cut_before_the_end_of_a_sentence():
    assert texts("Aaaa bbb. Cccc ddd.\n\nEeee fff. Gggg.") == ["Aaaa bbb. Cccc ddd.", "Eeee fff. Gggg."]


def test_a_heading_joins_what_follows_or_precedes_it():
    assert texts("Head\n\nSixteen letters.", least=5) == ["Head\n\nSixteen letters."]
    assert texts("Head\n\nSeventeen letters", least=5) == ["Head\n\nSeventeen letters"]
    assert texts("Head\n\nTwenty letters or so all", least=5) == ["Head", "Twenty letters or so all"]


def test_a_sentence_that_has_fewer_tokens_than_its_words_is_judged_whole():
    class Quads(Signs):
        """Every four code points are a token, across words."""

        def spans(self, text):
            return [(begin, min(begin + 4, len(text))) for begin in range(0, len(text), 4)]

    sentence = "a b c d e f g h i j k l m n o p q r s t u v w x y z"  # 13 tokens, 26 words
    contract = ChunkingContract("anchored", 5, 20, 0, 0, "signs")
    assert [passage.text for passage in cut(sentence, contract, Quads())] == [sentence]


def test_a_sentence_too_long_is_cut_at_clauses_before_words():
    assert texts("Aaaaaaaaaaaa bbbb, cccccccccccc dd.") == ["Aaaaaaaaaaaa bbbb,", "cccccccccccc dd."]


def test_windows_begin_again_in_the_last_one():
    assert texts("aaaa bbbb cccc dddd eeee ffff gggg hhhh", "fixed", overlap=9) == [
        "aaaa bbbb cccc dddd eeee",
        "dddd eeee ffff gggg hhhh",
    ]


def test_a_long_word_beside_an_overlap_takes_its_place():
    assert texts("aaaa bbbb cccc dddd eeee ffffffffffffffffff gg", "fixed", overlap=9) == [
        "aaaa bbbb cccc dddd eeee",
        "ffffffffffffffffff gg",
    ]


def test_a_word_beyond_the_limit_is_cut_where_letters_end():
    assert texts("aaaaaaaaaa/bbbbbbbbbb/ccccccccc", "fixed") == ["aaaaaaaaaa/", "bbbbbbbbbb/ccccccccc"]
