"""The weights' digest: what makes a vector, apart from the fields of the contract that say it in words.

It stands for three things, hashed together:

- the bytes of every safetensors file that is loaded, with its name relative to the model's folder;
- the network's ``config.json``, and
- the modules in order, each with its class and configuration.

Left out are keys that no vector depends on (who saved the model, with which version, in which number format: that is
what the probes guard) and what the contract has as a field of its own (the maximum length). A module's configuration
is read in its present spelling, so a folder whose small files were rewritten by a newer library keeps its digest.

Reading 90 MB takes a tenth of a second, reading 10 GB a quarter of a minute, so a file's digest is kept in the user's
cache folder under its path, modification time and size. The cache is a convenience: damaged, it is ignored.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import platformdirs

from adapters.model_modules import WITH_WEIGHTS, ModelModule, read_object, weight_files
from schemas.chunk_event import Json
from stream.contract import fingerprint

_COSMETIC = frozenset(
    {
        "_attn_implementation",
        "_commit_hash",
        "_name_or_path",
        "_pre_quantization_dtype",
        "attn_implementation",
        "dtype",
        "gradient_checkpointing",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
_TRANSFORMER_DEFAULTS: Mapping[str, Any] = {
    "do_lower_case": False,
    "document_length": None,
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
    "query_expansion": None,
    "query_length": None,
    "transformer_task": "feature-extraction",
}
_DENSE_DEFAULTS: Mapping[str, Any] = {
    "bias": True,
    "module_input_name": "sentence_embedding",
    "module_output_name": "sentence_embedding",
    "use_residual": False,
}
_NORMALIZE_DEFAULTS: Mapping[str, Any] = {
    "module_input_name": "sentence_embedding",
    "module_output_name": "sentence_embedding",
}
_PRESENT_NAMES = {"model_args": "model_kwargs", "tokenizer_args": "processor_kwargs", "config_args": "config_kwargs"}
_BLOCK = 1 << 22


def default_cache_file() -> Path:
    """Where digests are kept between runs."""
    return platformdirs.user_cache_path("embedstream") / "model-digests.json"


@dataclass(frozen=True, slots=True)
class DigestCache:
    """Digests of files by path, modification time and size. Writers replace the file whole: the last one wins, and
    what is lost is computed again.
    """

    file: Path

    def digest(self, path: Path) -> str:
        """blake2b-128 of the file's bytes, in hexadecimal."""
        key, before = str(path.resolve()), path.stat()
        stamp = [before.st_mtime_ns, before.st_size]
        kept = self._read().get(key)
        if isinstance(kept, dict) and kept.get("stamp") == stamp and isinstance(kept.get("digest"), str):
            return str(kept["digest"])
        hasher = hashlib.blake2b(digest_size=16)
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                hasher.update(block)
        after = path.stat()
        if [after.st_mtime_ns, after.st_size] == stamp:
            self._write({**self._read(), key: {"stamp": stamp, "digest": hasher.hexdigest()}})
        return hasher.hexdigest()

    def _read(self) -> dict[str, Any]:
        try:
            document = orjson.loads(self.file.read_bytes())
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}

    def _write(self, document: Mapping[str, Any]) -> None:
        # A container may have no home that can be written: the digest is then computed at every start.
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.file.parent, prefix=self.file.name)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
                Path(name).replace(self.file)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise


def weights_digest(folder: Path, modules: tuple[ModelModule, ...], cache: DigestCache) -> str:
    """26 characters of base32: see the top of this file."""
    weights: dict[str, Json] = {
        path.relative_to(folder).as_posix(): cache.digest(path)
        for module in modules
        if module.kind in WITH_WEIGHTS
        for path in weight_files(module)
    }
    network = read_object(modules[0].folder / "config.json") or {}
    return fingerprint(
        {
            "weights": weights,
            "network": _plain(_essential(network)),
            "modules": [[module.kind, _plain(_settings(module))] for module in modules],
        }
    )


def _settings(module: ModelModule) -> Mapping[str, Any]:
    """The module's configuration in its present spelling, without what is cosmetic or a default."""
    config = _essential(module.config)
    match module.kind:
        case "Transformer":
            config = {_PRESENT_NAMES.get(key, key): value for key, value in config.items() if key != "max_seq_length"}
            return {key: value for key, value in config.items() if value and value != _TRANSFORMER_DEFAULTS.get(key)}
        case "Pooling":
            return {"modes": list(module.pooling_modes), "include_prompt": config.get("include_prompt", True)}
        case "Dense":
            return {**_DENSE_DEFAULTS, **{key: value for key, value in config.items() if value is not None}}
        case "Normalize":
            return {**_NORMALIZE_DEFAULTS, **{key: value for key, value in config.items() if value is not None}}
        case _:
            return config


def _essential(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _essential(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in _COSMETIC
    }


def _plain(value: Any) -> Json:  # noqa: ANN401 - any JSON
    """What canonical JSON cannot carry (NaN, integers of more than 53 bits) is spelled out."""
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case bool() | str() | None:
            return value
        case int() | float() if abs(value) < 2**53:
            return value
        case _:
            return repr(value)
