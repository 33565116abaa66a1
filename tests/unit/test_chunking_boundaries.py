import itertools
import time

import pytest

from stream.chunking.boundaries import Rank, starts


class Letters:
    def spans(self, text):
        return [(place, place + 1) for place in range(len(text))]


def parted(rank, text):
    places = [0, *starts(rank, text, 0, len(text), Letters()), len(text)]
    return [text[begin:end].rstrip() for begin, end in itertools.pairwise(places)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["One sentence.", "Two!", "Three?", "Four…"],
        ['He said "stop."', "Then (he left.)", "**It is bold.**", "It is not."],
        ["See e.g. the table, cf. Fig. 3 by Dr. Miller and J. R. Smith et al. 2020.", "Yes."],
        ["It costs 3.14 or 2.5 at example.com.", "Version 1.2.3 is out."],
        ["He wondered why… and left.", "Gone."],
        ["Wait... what?!", "No."],
        ["数据库很快。", "它也很小！", "真的吗？", "是。"],
        ["「はい。」", "と言った。", "終わり"],
        ["你好!", "我是谁?", "好"],
        ["यह एक वाक्य है।", "यह दूसरा है।"],
        ["هل هذا سؤال؟", "نعم."],
        ["価格は３．14です．", "次"],
        ["……", "Then."],
    ],
)
def test_a_sentence_ends_where_a_reader_ends_it(sentences):
    joined = "".join(s if s[-1] in "。！？．」" or "你" in sentences[0] else s + " " for s in sentences).rstrip()
    assert parted(Rank.SENTENCE, joined) == sentences


def test_a_hard_line_break_does_not_end_a_sentence():
    assert parted(Rank.SENTENCE, "A sentence\nover two lines.\nNext one.") == [
        "A sentence\nover two lines.",
        "Next one.",
    ]


def test_the_number_of_a_list_item_is_no_sentence():
    assert parted(Rank.SENTENCE, "1. First item.\n 2. Second item.") == ["1. First item.", "2. Second item."]


@pytest.mark.parametrize("gap", ["\n\n", "\n \t\n", "\n\n\n\n  ", "\f", "\u2029"])
def test_a_blank_line_ends_a_block(gap):
    assert parted(Rank.BLOCK, f"one\ntwo{gap}three") == ["one\ntwo", "three"]


def test_inside_long_sentences_lines_then_clauses_then_words_are_found():
    assert parted(Rank.LINE, "a b\n  c d") == ["a b", "c d"]
    assert parted(Rank.CLAUSE, "one, two; 3,000 – then，然后") == ["one,", "two;", "3,000 –", "then，", "然后"]
    assert parted(Rank.WORD, "it's\u00a0a test") == ["it's", "a", "test"]


def test_inside_words_letters_punctuation_and_ideographs_are_told_apart():
    assert parted(Rank.PART, "/usr/lib-x_1") == ["/", "usr", "/", "lib", "-", "x_1"]
    assert parted(Rank.PART, "数据abcカナ") == ["数", "据", "abc", "カ", "ナ"]
    assert parted(Rank.PART, "한국어") == ["한국어"]


def test_marks_joiners_and_skin_tones_belong_to_the_character_before():
    assert parted(Rank.PART, "e\u0301.\u0301x👍🏽👩\u200d👧!") == [
        "e\u0301",
        ".\u0301",
        "x",
        "👍🏽",
        "👩\u200d👧",
        "!",
    ]
    assert parted(Rank.TOKEN, "e\u0301o👍🏽👩\u200d👧") == ["e\u0301", "o", "👍🏽", "👩\u200d👧"]


def test_a_token_of_several_characters_is_halved():
    class One:
        def spans(self, text):
            return [(0, len(text))]

    assert list(starts(Rank.TOKEN, "abcdef", 0, 6, One())) == [3]
    assert list(starts(Rank.TOKEN, "a", 0, 1, One())) == []


@pytest.mark.parametrize("rank", list(Rank)[:-1])
@pytest.mark.parametrize(
    "unit", ["a", ".", "\n", ".)", "。」", "\n ", "!", " –", ", ", ". ", "\u0301", "J. ", "。", "x\n"], ids=repr
)
def test_no_text_makes_a_boundary_slow_to_find(rank, unit):
    text = "a" + unit * 100_000 + "a"
    started = time.process_time()
    for _ in starts(rank, text, 0, len(text), Letters()):
        pass
    assert time.process_time() - started < 5
