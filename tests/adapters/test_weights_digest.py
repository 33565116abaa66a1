"""The weights' digest and the cache of files' digests."""

import hashlib
import json
import os

import orjson
import pytest
from models import build_tiny_model
from safetensors.numpy import load_file, save_file

from adapters.model_modules import read_modules
from adapters.weights_digest import DigestCache, default_cache_file, weights_digest


@pytest.fixture
def cache(tmp_path):
    return DigestCache(tmp_path / "cache" / "digests.json")


@pytest.fixture
def folder(tmp_path):
    return build_tiny_model(tmp_path / "tiny", dimensions=8, dense=4)


def digest(folder, cache):
    return weights_digest(folder, read_modules(folder), cache)


def rewrite(path, change):
    document = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps(change(document)))


def test_equal_folders_have_equal_digests_wherever_they_are(tmp_path, folder, cache):
    other = build_tiny_model(tmp_path / "elsewhere" / "copy", dimensions=8, dense=4)
    assert digest(other, cache) == digest(folder, cache)


def test_other_weights_of_the_same_shape_have_another_digest(tmp_path, folder, cache):
    assert digest(build_tiny_model(tmp_path / "b", seed=1, dimensions=8, dense=4), cache) != digest(folder, cache)


@pytest.mark.parametrize("name", ["model.safetensors", "2_Dense/model.safetensors"])
def test_one_changed_number_anywhere_changes_the_digest(folder, cache, name):
    before = digest(folder, cache)
    tensors = load_file(folder / name)
    first = min(tensors)
    tensors[first].flat[0] += 1
    save_file(tensors, folder / name)
    assert digest(folder, cache) != before


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.json", {"hidden_act": "relu"}),
        ("config.json", {"num_attention_heads": 2}),
        ("1_Pooling/config.json", {"pooling_mode": "cls"}),
        ("1_Pooling/config.json", {"include_prompt": False}),
        ("2_Dense/config.json", {"activation_function": "torch.nn.modules.linear.Identity"}),
        ("sentence_bert_config.json", {"do_lower_case": True}),
    ],
)
def test_configuration_that_decides_the_vector_changes_the_digest(folder, cache, name, change):
    before = digest(folder, cache)
    rewrite(folder / name, lambda document: document | change)
    assert digest(folder, cache) != before


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.json", {"_name_or_path": "/somewhere/else", "transformers_version": "9.9"}),
        ("config.json", {"torch_dtype": "bfloat16", "dtype": "float16", "use_cache": True}),
        (
            "sentence_bert_config.json",
            {"transformer_task": "feature-extraction", "module_output_name": "token_embeddings"},
        ),
        ("2_Dense/config.json", {"use_residual": False, "module_input_name": "sentence_embedding"}),
        ("config_sentence_transformers.json", {"__version__": {"sentence_transformers": "9.9"}}),
    ],
)
def test_cosmetic_keys_and_stated_defaults_leave_the_digest(folder, cache, name, change):
    before = digest(folder, cache)
    rewrite(folder / name, lambda document: document | change)
    assert digest(folder, cache) == before


def test_old_and_new_spelling_of_a_module_are_one(folder, cache):
    before = digest(folder, cache)
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"embedding_dimension": 8, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False})
    )
    rewrite(
        folder / "modules.json",
        lambda modules: [
            module | {"type": module["type"].replace("models.", "sentence_transformer.modules.x.")}
            for module in modules
        ],
    )
    assert digest(folder, cache) == before


def test_the_order_of_modules_counts(folder, cache):
    before = digest(folder, cache)
    rewrite(folder / "modules.json", lambda modules: [*modules[:2], modules[3], modules[2]])
    assert digest(folder, cache) != before


def test_files_that_nothing_loads_do_not_count(folder, cache):
    before = digest(folder, cache)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.safetensors").write_bytes(b"another format")
    (folder / "README.md").write_text("words")
    assert digest(folder, cache) == before


def test_numbers_that_canonical_json_cannot_carry_still_count(folder, cache):
    config = (folder / "config.json").read_text().rstrip().removesuffix("}")
    seen = set()
    for number in ("NaN", "-Infinity", str(2**60), str(2**60 + 1)):
        (folder / "config.json").write_text(f'{config}, "scale": {number}}}')
        seen.add(digest(folder, cache))
    assert len(seen) == 4


def test_a_file_is_read_once_while_its_time_and_size_stay(tmp_path, cache):
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    stamp = path.stat()
    assert cache.digest(path) == hashlib.blake2b(b"first", digest_size=16).hexdigest()
    path.write_bytes(b"other")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert cache.digest(path) == hashlib.blake2b(b"first", digest_size=16).hexdigest()


@pytest.mark.parametrize("content", [b"longer than before", b"other"])
def test_a_file_of_another_time_or_size_is_read_again(tmp_path, cache, content):
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    cache.digest(path)
    stamp = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + (len(content) == len(b"first"))))
    assert cache.digest(path) == hashlib.blake2b(content, digest_size=16).hexdigest()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"x": 7}', b"\xff\x00", b'{"%s": {"stamp": 1, "digest": 2}}']
)
def test_a_damaged_cache_is_ignored_and_mended(tmp_path, cache, content):
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    cache.file.parent.mkdir(parents=True)
    cache.file.write_bytes(content.replace(b"%s", str(path.resolve()).encode()))
    expected = hashlib.blake2b(b"first", digest_size=16).hexdigest()
    assert cache.digest(path) == expected
    assert orjson.loads(cache.file.read_bytes())[str(path.resolve())]["digest"] == expected


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    (tmp_path / "weights").write_bytes(b"first")
    cache = DigestCache(tmp_path / "file" / "digests.json")
    assert cache.digest(tmp_path / "weights") == hashlib.blake2b(b"first", digest_size=16).hexdigest()


def test_the_cache_keeps_what_others_wrote_and_leaves_no_pieces(tmp_path, cache):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
        DigestCache(cache.file).digest(tmp_path / name)
    assert len(orjson.loads(cache.file.read_bytes())) == 2
    assert [path.name for path in cache.file.parent.iterdir()] == [cache.file.name]


def test_the_cache_stands_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_file().name == "model-digests.json"
