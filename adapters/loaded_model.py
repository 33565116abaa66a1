"""A model on a device, loaded from safe files and compared with its contract.

Loading goes through sentence-transformers with remote code off, local files only and safetensors required. Then what
the library reports (length, side, dimensions, pooling, normalization, prompts) is compared with the contract that was
read from the same files without it, and the ids of some awkward texts with those that ``tokenizer.json`` alone gives,
because the chunker counts with that file alone. Where anything differs nothing is served.

The tokenizers handed out are copies: the library switches truncation and padding on its own one at every call, which
two threads must not do at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from transformers.utils import logging as transformers_logging

from adapters import tokenizer
from adapters.forward_pass import ForwardPass, ModulePass, fits_own_loop, own_pass
from adapters.model_files import ModelFiles
from adapters.model_modules import read_modules
from stream.contract import EncodingContract
from stream.errors import EmbedstreamError, Fatal, Misuse
from stream.ports import TextKind

Device = Literal["auto", "cpu", "cuda", "mps"]
NumberFormat = Literal["auto", "float32", "bfloat16"]

_AWKWARD_TEXTS = (
    "",
    "Plain words, with CAPITALS and a number: 1,024.5",
    "naïve façade Ångström e\u0301",
    "東京タワー 한국어 ไทย",
    "שלום עולם مرحبا",
    "👩\u200d👩\u200d👧 🇯🇵 \u2764\ufe0f",
    "tabs\tand\nlines\r\n\u00a0\u3000spaces\u200b",
    "a\x00b\x07c",
    "def f(x_1): return {'a': x_1 ** 2}  # ~`^|\\",
    "x" * 300,
)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """``counter`` neither truncates nor pads; ``number_format`` is what the weights are held in."""

    forward: ForwardPass
    counter: Tokenizer
    device: torch.device
    number_format: str


def load_model(
    files: ModelFiles, contract: EncodingContract, device: Device, number_format: NumberFormat
) -> LoadedModel:
    """Raises Misuse for a device that is not there, Fatal where the loaded model does not keep ``contract``."""
    place = _place(device)
    wanted = torch.float32
    if number_format == "bfloat16" or (number_format == "auto" and _multiplies_bfloat16(place)):
        wanted = torch.bfloat16
    prompts: dict[TextKind, str] = {"passage": contract.passage_prompt, "query": contract.query_prompt}
    model = _load(files, place, wanted)
    own = fits_own_loop(model, prompts)
    if not own and wanted != torch.float32:
        # The modules' own forward would pool and normalize in the weights' format.
        model = _load(files, place, torch.float32)
    _compare(model, contract)
    _require_positions(model, contract)
    backend = model.tokenizer.backend_tokenizer
    counter, cutter = _copy(backend), _copy(backend)
    _compare_tokens(files, counter)
    cutter.enable_truncation(contract.max_tokens, direction=contract.truncation_side)
    forward: ForwardPass = own_pass(model, cutter, prompts) if own else ModulePass(model, cutter, prompts)
    return LoadedModel(forward, counter, place, str(model.dtype).removeprefix("torch."))


def _place(device: Device) -> torch.device:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return torch.device(next(name for name, present in there.items() if present))
    if not there[device]:
        raise Misuse(f"[encoding] device = {device!r}, and this machine has none that torch can use; write 'auto'.")
    return torch.device(device)


def _multiplies_bfloat16(place: torch.device) -> bool:
    """Whether the hardware itself multiplies bfloat16: emulated, it is slower than float32."""
    if place.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if place.type != "cpu":
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_tile", "sve_bf16"))


def _load(files: ModelFiles, place: torch.device, number_format: torch.dtype) -> SentenceTransformer:
    try:
        with _no_progress_bar():
            model = SentenceTransformer(
                str(files.folder),
                device=str(place),
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True, "dtype": number_format},
            )
        model.eval()
        for module, listed in zip(model, read_modules(files.folder), strict=True):
            if listed.kind == "Dense" and number_format != torch.float32:
                # The library gave it the network's format; it follows the pooling, which is float32.
                dense: Any = module.float()
                dense.load_torch_weights(str(files.folder), subfolder=listed.path, local_files_only=True, model=dense)
    except EmbedstreamError:
        raise
    except Exception as error:
        first_line = str(error).strip().partition("\n")[0]
        raise Fatal(
            f"The model {files.name} in {files.folder} cannot be loaded ({first_line}); fetch it again."
        ) from error
    return model


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    logging: Any = transformers_logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _compare(model: SentenceTransformer, contract: EncodingContract) -> None:
    """Raises Fatal at the first fact of the contract that the library reports otherwise."""
    reported: dict[str, Any] = {
        "dimensions": model.get_embedding_dimension(),
        "max_tokens": model.max_seq_length,
        "truncation_side": model.tokenizer.truncation_side,
        "normalize": any(type(module).__name__ == "Normalize" for module in model),
    }
    for prompt in (contract.passage_prompt, contract.query_prompt):
        reported[f"the prompt {prompt!r}"] = prompt if prompt in {"", *model.prompts.values()} else None
    for name, value in reported.items():
        claimed = getattr(contract, name, value)
        if claimed != value or value is None:
            raise Fatal(
                f"The files of the model {contract.model} say {name} = {claimed!r}, sentence-transformers {value!r}; "
                "state it in the model's own configuration files, or choose another model."
            )


def _require_positions(model: SentenceTransformer, contract: EncodingContract) -> None:
    """A table of learned positions has a last row: a longer text would fail at its turn, and on a GPU take the device
    with it. Networks that compute positions have no such table.
    """
    embeddings = getattr(getattr(model[0], "model", None), "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    if not isinstance(table, torch.nn.Embedding):
        return
    # RoBERTa and its kin count from the row behind the padding's.
    first = 0 if table.padding_idx is None else table.padding_idx + 1
    if contract.max_tokens > table.num_embeddings - first:
        raise Fatal(
            f"The model {contract.model} states a maximum of {contract.max_tokens} tokens and has positions for "
            f"{table.num_embeddings - first}; write that as max_seq_length into its sentence_bert_config.json."
        )


def _compare_tokens(files: ModelFiles, counter: Tokenizer) -> None:
    alone = tokenizer.load(files.tokenizer_folder)
    for text in _AWKWARD_TEXTS:
        if list(alone.ids(text)) != counter.encode(text).ids:
            raise Fatal(
                f"The tokenizer.json of the model {files.name} gives other tokens than the library's tokenizer for "
                f"{text[:24]!r}, so chunks could be cut wrongly; save the tokenizer again with the present library."
            )


def _copy(backend: Tokenizer) -> Tokenizer:
    copied: Tokenizer = Tokenizer.from_str(backend.to_str())
    copied.no_truncation()
    copied.no_padding()
    return copied
