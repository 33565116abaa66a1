"""The encoder against sentence-transformers itself, and the laws of the ``Encoder`` port."""

import pydoc_data.topics
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models import REAL_MODEL, build_tiny_model
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from adapters import forward_pass
from adapters.encoding_contract import read_contract
from adapters.forward_pass import ModulePass, TokenPass
from adapters.model_files import ModelFiles
from adapters.sentence_encoder import SentenceEncoder
from adapters.weights_digest import DigestCache
from stream.errors import Fatal, Misuse, Poison

DEADLINE_S = 30
WORDS = " ".join(pydoc_data.topics.topics.values()).split()
ODD_TEXTS = [
    "",
    " ",
    "a\x00b",
    "👩\u200d👩\u200d👧 emoji",
    "שלום עולם مرحبا بالعالم",
    "\u202eoverride\u202c",
    "東京",
    "\n\t\n",
    "x" * 900,
]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


def passages(*lengths):
    return [" ".join(WORDS[17 * index : 17 * index + length]) for index, length in enumerate(lengths)]


def cosines(left, right):
    left = np.stack([getattr(vector, "values", vector) for vector in left])
    right = np.stack([getattr(vector, "values", vector) for vector in right])
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


@pytest.fixture(scope="module")
def digests(tmp_path_factory):
    return DigestCache(tmp_path_factory.mktemp("digests") / "digests.json")


@pytest.fixture(scope="module")
def load(digests):
    def loaded(folder, **options):
        return SentenceEncoder.load(ModelFiles(folder, folder.name), device="cpu", digests=digests, **options)

    return loaded


def reference(folder):
    return SentenceTransformer(
        str(folder),
        device="cpu",
        local_files_only=True,
        model_kwargs={"use_safetensors": True, "dtype": torch.float32},
    )


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    prompts = {"query": "query: ", "document": "passage: "}
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny", prompts=prompts, max_seq_length=64)


@pytest.fixture(scope="module")
def tiny(load, tiny_folder):
    return load(tiny_folder, number_format="float32", token_budget=512)


@pytest.fixture(scope="module")
def tiny_reference(tiny_folder):
    return reference(tiny_folder)


# --- Parity ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_reference():
    return reference(REAL_MODEL)


@pytest.mark.parametrize("number_format", ["float32", "bfloat16"])
def test_the_real_model_gives_the_librarys_vectors(load, real_reference, number_format):
    encoder = load(REAL_MODEL, number_format=number_format)
    sample = [*passages(1, 3, 9, 20, 45, 90, 180, 400), *ODD_TEXTS]
    assert encoder.number_format == number_format
    for kind in ("passage", "query"):
        vectors = encoder.encode(kind, sample)
        assert cosines(vectors, real_reference.encode(sample)).min() >= 0.999
        assert all(abs(np.linalg.norm(vector.values) - 1) < 1e-5 for vector in vectors)


SHAPES = {
    "mean": ({}, TokenPass),
    "cls": ({"pooling": "cls"}, TokenPass),
    "max": ({"pooling": "max"}, TokenPass),
    "lasttoken": ({"pooling": "lasttoken"}, TokenPass),
    "two modes": ({"pooling": ("mean", "cls"), "normalize": False}, TokenPass),
    "dense": ({"dense": 12}, TokenPass),
    "weighted mean": ({"pooling": "weightedmean"}, ModulePass),
    "mean by root": ({"pooling": "mean_sqrt_len_tokens", "dense": 12}, ModulePass),
}


@pytest.mark.parametrize("number_format", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_model_gives_the_librarys_vectors(tmp_path, load, shape, number_format):
    options, passes = SHAPES[shape]
    prompts = {"query": "query: ", "document": "this is a passage: "}
    folder = build_tiny_model(tmp_path / "tiny", prompts=prompts, max_seq_length=100, **options)
    encoder = load(folder, number_format=number_format, token_budget=300)
    assert isinstance(encoder._model.forward, passes)
    model = reference(folder)
    sample = [*passages(1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144), *ODD_TEXTS]
    assert cosines(encoder.encode("passage", sample), model.encode_document(sample)).min() >= 0.999
    assert cosines(encoder.encode("query", sample), model.encode_query(sample)).min() >= 0.999


def test_a_prompt_that_is_left_out_of_the_pooling_is_left_out(tmp_path, load):
    prompts = {"query": "a question about something: ", "document": ""}
    folder = build_tiny_model(tmp_path / "tiny", prompts=prompts)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace('"mean"', '"mean", "include_prompt": false'))
    encoder, model = load(folder), reference(folder)
    assert isinstance(encoder._model.forward, ModulePass)
    sample = passages(1, 5, 30)
    assert cosines(encoder.encode("query", sample), model.encode_query(sample)).min() >= 0.999


def test_truncated_dimensions_are_the_librarys(tmp_path, load):
    folder = build_tiny_model(tmp_path / "tiny")
    (folder / "config_sentence_transformers.json").write_text('{"truncate_dim": 10}')
    encoder, model = load(folder, number_format="float32"), reference(folder)
    vectors = encoder.encode("passage", passages(4, 9))
    assert vectors[0].values.shape == (10,)
    np.testing.assert_allclose(np.stack([v.values for v in vectors]), model.encode(passages(4, 9)), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.lists(texts, min_size=1, max_size=12))
def test_any_text_has_the_librarys_vector_and_it_is_finite(tiny, tiny_reference, sample):
    vectors = tiny.encode("passage", sample)
    assert all(np.isfinite(vector.values).all() for vector in vectors)
    assert cosines(vectors, tiny_reference.encode_document(sample)).min() >= 0.9999


@pytest.mark.parametrize("side", ["left", "right"])
def test_long_texts_are_cut_where_the_library_cuts_them(tmp_path, load, side):
    folder = build_tiny_model(tmp_path / "tiny", max_seq_length=32, prompts={"query": "q: ", "document": "d: "})
    settings_file = folder / "tokenizer_config.json"
    settings_file.write_text(
        settings_file.read_text().rstrip().removesuffix("}") + f', "truncation_side": "{side}"}}'
    )
    encoder, model = load(folder, number_format="float32"), reference(folder)
    assert encoder.contract.truncation_side == side
    sample = passages(25, 40, 300)
    assert cosines(encoder.encode("passage", sample), model.encode_document(sample)).min() >= 0.99999


# --- Laws of the port -----------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(st.lists(texts, min_size=1, max_size=10), st.integers(min_value=1, max_value=700), st.randoms())
def test_a_vector_does_not_depend_on_the_batch_its_budget_or_its_place(tiny, sample, budget, random):
    order = list(range(len(sample)))
    random.shuffle(order)
    together = tiny.with_budget(budget).encode("passage", [sample[index] for index in order])
    alone = [tiny.encode("passage", [sample[index]])[0] for index in order]
    assert cosines(together, alone).min() >= 0.9999


def test_equal_texts_in_one_call_have_one_vector(tiny):
    first, _, second = tiny.encode("passage", ["the same", "another one that is longer", "the same"])
    assert cosines([first], [second])[0] > 0.99999


def test_a_query_and_a_passage_of_one_text_differ_where_their_prompts_do(tiny):
    assert cosines(tiny.encode("query", ["hello"]), tiny.encode("passage", ["hello"]))[0] < 0.9999


def test_vectors_are_float32_of_the_contracts_dimensions(tiny):
    (vector,) = tiny.encode("passage", ["hello"])
    assert vector.values.dtype == np.float32
    assert vector.values.shape == (tiny.contract.dimensions,) == (32,)


def test_nothing_has_no_vectors(tiny):
    assert list(tiny.encode("passage", [])) == []
    assert list(tiny.count_tokens("query", [])) == []


def test_tokens_are_counted_with_prompt_and_special_tokens_before_truncation(tiny):
    tokenizer = Tokenizer.from_file(str(REAL_MODEL / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    sample = passages(0, 1, 10, 500)
    for kind, prompt in (("passage", "passage: "), ("query", "query: ")):
        assert list(tiny.count_tokens(kind, sample)) == [len(tokenizer.encode(prompt + text).ids) for text in sample]


@pytest.mark.parametrize("text", ["\ud800", "half \udfff of a pair", "\udc00\ud800"])
def test_a_lone_surrogate_is_poison(tiny, text):
    with pytest.raises(Poison, match="surrogate") as caught:
        tiny.encode("passage", ["fine", text])
    assert caught.value.kind == "lone-surrogate"
    with pytest.raises(Poison):
        tiny.count_tokens("passage", [text])


def test_the_contract_is_that_of_the_files(tiny, tiny_folder, digests):
    assert tiny.contract == read_contract(ModelFiles(tiny_folder, "tiny"), digests)


def test_other_weights_give_other_vectors_under_another_fingerprint(tmp_path, load, tiny):
    prompts = {"query": "query: ", "document": "passage: "}
    other = load(build_tiny_model(tmp_path / "tiny", seed=1, prompts=prompts, max_seq_length=64))
    assert other.contract.dimensions == tiny.contract.dimensions
    assert other.contract.fingerprint != tiny.contract.fingerprint
    assert cosines(other.encode("passage", ["hello"]), tiny.encode("passage", ["hello"]))[0] < 0.9


def test_two_threads_may_encode_at_once(tiny):
    sample = passages(*range(1, 40))
    expected = tiny.encode("passage", sample)
    queries = tiny.for_queries()
    lone = queries.encode("query", ["what is a generator"])
    worst = []

    def bulk():
        worst.append(cosines(tiny.encode("passage", sample), expected).min())

    def ask():
        worst.extend(cosines(queries.encode("query", ["what is a generator"]), lone).min() for _ in range(20))

    threads = [threading.Thread(target=work, daemon=True) for work in (bulk, ask, bulk, ask)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert len(worst) == 42
    assert min(worst) >= 0.9999


def test_two_models_of_one_process_share_the_gate_of_their_device(tmp_path, load, tiny):
    folder = build_tiny_model(tmp_path / "next", seed=1, max_seq_length=64)
    beside, apart = load(folder, beside=tiny), load(folder)
    assert beside._gate is tiny._gate
    assert apart._gate is not tiny._gate
    assert cosines(beside.encode("passage", ["hello"]), apart.encode("passage", ["hello"]))[0] >= 0.9999


# --- Refusals at the start ------------------------------------------------------------------------------------------


def test_a_device_that_is_not_there_is_misuse(tiny_folder, digests):
    missing = "mps" if not torch.backends.mps.is_available() else "cuda"
    with pytest.raises(Misuse, match="write 'auto'"):
        SentenceEncoder.load(ModelFiles(tiny_folder, "tiny"), device=missing, digests=digests)


def test_a_model_that_cannot_be_loaded_is_one_sentence(tmp_path, load):
    folder = build_tiny_model(tmp_path / "tiny", dimensions=8)
    (folder / "model.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(Fatal, match="cannot be loaded") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_file_that_the_library_reads_differently_is_refused(tmp_path, load):
    folder = build_tiny_model(tmp_path / "tiny", dimensions=8)
    path = folder / "tokenizer.json"
    path.write_text(
        path.read_text()
        .replace('"lowercase":true', '"lowercase":false')
        .replace('"lowercase": true', '"lowercase": false')
    )
    with pytest.raises(Fatal, match="other tokens"):
        load(folder)


def test_a_length_that_the_library_reports_otherwise_is_refused(tmp_path, load, monkeypatch):
    folder = build_tiny_model(tmp_path / "tiny", dimensions=8)
    monkeypatch.setattr("adapters.encoding_contract._max_tokens", lambda *_: 77)
    with pytest.raises(Fatal, match="max_tokens = 77"):
        load(folder)


def test_a_length_beyond_the_networks_positions_is_refused(tmp_path, load):
    with pytest.raises(Fatal, match="states a maximum of 600 tokens and has positions for 512"):
        load(build_tiny_model(tmp_path / "long", max_seq_length=600))
    assert load(build_tiny_model(tmp_path / "full", max_seq_length=512)).contract.max_tokens == 512


def test_where_the_own_network_cannot_be_made_the_librarys_serves(tmp_path, load, monkeypatch):
    folder = build_tiny_model(tmp_path / "model")
    texts = ["one sentence", "and another one that is longer"]
    own = load(folder).encode("passage", texts)

    def renamed(module):
        raise AttributeError("'BertModel' object has no attribute 'embeddings'")

    monkeypatch.setattr(forward_pass, "BertNetwork", renamed)
    librarys = load(folder).encode("passage", texts)
    assert cosines(*(np.stack([vector.values for vector in each]) for each in (own, librarys))).min() > 0.999


def test_the_number_of_threads_is_the_operators(tiny_folder, digests):
    before = torch.get_num_threads()
    try:
        SentenceEncoder.load(ModelFiles(tiny_folder, "tiny"), device="cpu", digests=digests, threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_loading_shows_no_progress_bar(load, tiny_folder, capfd):
    load(tiny_folder)
    assert capfd.readouterr() == ("", "")
