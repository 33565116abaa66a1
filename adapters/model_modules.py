"""A model folder read as sentence-transformers will read it, without importing it or torch.

``modules.json`` names the modules that turn a text into a vector, in order; each has a folder, a configuration and
perhaps weights. This file decides which folders are fit to be loaded at all: every module is one that
sentence-transformers ships, none asks for code from the model's repository, and all weights are safetensors. What is
not fit is refused before any library opens it, in one sentence that says what to do.

A pickled file is never opened, not even when the library would have fallen back to it: a module that has weights has
them in safetensors, or the model is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from stream.errors import Fatal

KINDS = frozenset({"Transformer", "Pooling", "WeightedLayerPooling", "Dense", "LayerNorm", "Dropout", "Normalize"})
WITH_WEIGHTS = frozenset({"Transformer", "Dense", "LayerNorm", "WeightedLayerPooling"})
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
_CONFIG_NAMES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)
"""Where a Transformer's configuration may stand; the first that holds anything counts."""
_MAY_NAME_CODE = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Older folders state the pooling as flags; several together are concatenated in this order."""


@dataclass(frozen=True, slots=True)
class ModelModule:
    """One entry of ``modules.json``: ``kind`` is the class's name, ``path`` its folder relative to the model's."""

    kind: str
    path: str
    folder: Path
    config: Mapping[str, Any]

    @property
    def pooling_modes(self) -> tuple[str, ...]:
        """Of a Pooling module: its modes in the order in which their results are concatenated."""
        mode = self.config.get("pooling_mode")
        if mode is not None:
            return (mode,) if isinstance(mode, str) else tuple(mode)
        return tuple(mode for flag, mode in _POOLING_FLAGS.items() if self.config.get(flag)) or ("mean",)


def read_modules(folder: Path) -> tuple[ModelModule, ...]:
    """The modules in order, the Transformer first. Raises Fatal for a folder that must not or cannot be loaded."""
    if not folder.is_dir():
        raise Fatal(f"There is no model folder at {folder}; correct [encoding] model.")
    listed = _read_json(folder / "modules.json")
    if listed is None:
        _refuse_pickles(folder)
        raise Fatal(
            f"{folder} has no modules.json, so nothing says how its tokens become one vector; save the model with "
            "sentence-transformers and use that folder."
        )
    try:
        modules = tuple(_module(folder, entry["type"], entry["path"]) for entry in listed)
    except (TypeError, KeyError, AttributeError) as error:
        raise Fatal(
            f"{folder}/modules.json is no list of modules with type and path; fetch the model again."
        ) from error
    if not modules or modules[0].kind != "Transformer":
        raise Fatal(
            f"The first module of the model in {folder} is no Transformer; choose a model that begins with one."
        )
    _refuse_remote_code(modules[0].folder)
    _refuse_adapters(modules[0].folder)
    for module in modules:
        if module.kind in WITH_WEIGHTS:
            weight_files(module)
    return modules


def weight_files(module: ModelModule) -> tuple[Path, ...]:
    """The safetensors files that loading ``module`` reads, in order of name. Raises Fatal where there are none."""
    single = module.folder / "model.safetensors"
    if single.is_file():
        return (single,)
    index = read_object(module.folder / "model.safetensors.index.json") if module.kind == "Transformer" else None
    if index is None:
        _refuse_pickles(module.folder)
        raise Fatal(f"{module.folder} has no model.safetensors; fetch the model again, with its safetensors files.")
    shards = tuple(module.folder / name for name in sorted(set(index.get("weight_map", {}).values())))
    for shard in shards:
        if shard.parent != module.folder or shard.suffix != ".safetensors" or not shard.is_file():
            raise Fatal(
                f"The weights' index in {module.folder} names {shard.name}, which is not there; fetch it again."
            )
    return shards


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in ``path``, or None where there is no such file. Raises Fatal where it is none."""
    document = _read_json(path)
    if document is not None and not isinstance(document, dict):
        raise Fatal(f"{path} holds no JSON object; fetch the model again.")
    return document


def _read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise Fatal(f"{path} cannot be read ({error}); fetch the model again.") from error


def _module(folder: Path, dotted: str, path: str) -> ModelModule:
    room, _, kind = dotted.rpartition(".")
    if room.partition(".")[0] != "sentence_transformers":
        raise Fatal(
            f"The model in {folder} has a module of its own, {dotted}, and remote code is off; choose a model that "
            "is made of sentence-transformers' modules."
        )
    if kind not in KINDS:
        raise Fatal(
            f"The model in {folder} has a {kind} module, which embedstream does not load; choose another model."
        )
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        raise Fatal(f"{folder}/modules.json leads out of the model's folder ({path}); do not use this model.")
    place = folder / parts
    names = _CONFIG_NAMES if kind == "Transformer" else ("config.json",)
    config: Mapping[str, Any] = next((found for name in names if (found := read_object(place / name))), {})
    return ModelModule(kind, "" if path == "." else path, place, config)


def _refuse_remote_code(folder: Path) -> None:
    for name in _MAY_NAME_CODE:
        if "auto_map" in (read_object(folder / name) or {}):
            raise Fatal(
                f"{folder / name} asks for code from the model's repository (auto_map), and remote code is off; "
                "choose a model that the transformers library knows by itself."
            )
    if "transformers_weights" in (read_object(folder / "config.json") or {}):
        raise Fatal(
            f"{folder}/config.json names a weights file of its own; rename it model.safetensors, drop the key."
        )


def _refuse_adapters(folder: Path) -> None:
    if (folder / "adapter_config.json").exists():
        raise Fatal(
            f"{folder} holds an adapter, whose vectors depend on a model that is elsewhere; merge the two and save "
            "them as one model."
        )


def _refuse_pickles(folder: Path) -> None:
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES) if folder.is_dir() else []
    if pickled:
        raise Fatal(
            f"{folder} has its weights only as {pickled[0]}, a pickle, which can run code when it is opened; convert "
            "the model to safetensors."
        )
