"""The encoding half of the contract, read from a model's files without importing torch.

The chunker and ``contract show`` need to know what a model does to a text, not to run it. So this file reads what
sentence-transformers would read and decides as it would: the shortest bound on the length, the side on which long
texts are cut, which prompt belongs to a passage and which to a query, how tokens become one vector and of how many
dimensions. ``adapters.sentence_encoder`` compares the answer with the loaded model and refuses to serve where they
differ; a test does the same over many shapes of folder.

Prompts: a passage takes the first that is not empty of those named ``document``, ``passage`` and ``corpus``, a query
the one named ``query``. (The library's ``encode_document`` means the same, but its own empty ``document`` hides a
saved ``passage``.) Where all of these are empty, the model's default prompt is for both, as in ``encode``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters import tokenizer
from adapters.model_files import ModelFiles
from adapters.model_modules import ModelModule, read_modules, read_object
from adapters.weights_digest import DigestCache, default_cache_file, weights_digest
from stream.contract import EncodingContract
from stream.errors import Fatal

_PASSAGE_NAMES = ("document", "passage", "corpus")
_QUERY_NAMES = ("query",)
_NO_LIMIT = 1_000_000
"""A tokenizer without a maximum states 10³⁰."""
_WIDTHS = ("hidden_size", "d_model", "dim", "n_embd")


def read_contract(files: ModelFiles, cache: DigestCache | None = None) -> EncodingContract:
    """The contract of ``files``. Raises Fatal where the folder must not be loaded or does not say what is needed."""
    modules = read_modules(files.folder)
    transformer = modules[0]
    network = read_object(transformer.folder / "config.json")
    if network is None:
        raise Fatal(f"{transformer.folder} has no config.json; fetch the model again.")
    general = read_object(files.folder / "config_sentence_transformers.json") or {}
    _refuse_other_metric(files, general, modules)
    settings = _tokenizer_settings(transformer)
    _refuse_lower_casing(transformer)
    dimensions = _dimensions(modules, network)
    if cut := general.get("truncate_dim"):
        dimensions = min(dimensions, int(cut))
    prompts = general.get("prompts") or {}
    default = prompts.get(general.get("default_prompt_name"))
    return EncodingContract(
        model=files.name,
        weights=weights_digest(files.folder, modules, cache or DigestCache(default_cache_file())),
        tokenizer=tokenizer.load(transformer.folder).digest,
        passage_prompt=_prompt(prompts, _PASSAGE_NAMES, default),
        query_prompt=_prompt(prompts, _QUERY_NAMES, default),
        max_tokens=_max_tokens(files, transformer, network, settings),
        truncation_side=_truncation_side(transformer, settings),
        pooling=_pooling(modules),
        normalize=any(module.kind == "Normalize" for module in modules),
        dimensions=dimensions,
    )


def _prompt(prompts: Mapping[str, str | None], names: Sequence[str], default: str | None) -> str:
    if any(prompts.get(name) for name in (*_PASSAGE_NAMES, *_QUERY_NAMES)):
        return next((prompt for name in names if (prompt := prompts.get(name))), "")
    return default or ""


def _tokenizer_settings(transformer: ModelModule) -> dict[str, Any]:
    """``tokenizer_config.json``, overruled by what the module's own configuration passes to the tokenizer."""
    own = transformer.config.get("processor_kwargs") or transformer.config.get("tokenizer_args") or {}
    return {**(read_object(transformer.folder / "tokenizer_config.json") or {}), **own}


def _max_tokens(
    files: ModelFiles, transformer: ModelModule, network: Mapping[str, Any], settings: Mapping[str, Any]
) -> int:
    own = transformer.config.get("processor_kwargs") or transformer.config.get("tokenizer_args") or {}
    stated = own.get("model_max_length", transformer.config.get("max_seq_length"))
    if stated is None:
        positions = network.get("max_position_embeddings", -1)
        limits = [settings.get("model_max_length", settings.get("max_len")), None if positions == -1 else positions]
        stated = min((int(limit) for limit in limits if limit is not None), default=_NO_LIMIT)
    if int(stated) >= _NO_LIMIT:
        raise Fatal(
            f"The model {files.name} states no maximum length; write max_seq_length into "
            f"{transformer.folder}/sentence_bert_config.json."
        )
    return int(stated)


def _truncation_side(transformer: ModelModule, settings: Mapping[str, Any]) -> str:
    """A direction stored beside the vocabulary counts where the tokenizer's configuration names none."""
    side = settings.get("truncation_side")
    if side is None:
        stored = (read_object(transformer.folder / "tokenizer.json") or {}).get("truncation") or {}
        side = stored.get("direction", "right")
    return str(side).lower()


def _pooling(modules: Sequence[ModelModule]) -> str:
    """The modes joined by ``+``; a module other than the usual four says its name instead."""
    unusual = [module.kind for module in modules if module.kind in {"WeightedLayerPooling", "LayerNorm"}]
    modes = [mode for module in modules if module.kind == "Pooling" for mode in module.pooling_modes]
    return "+".join([*unusual, *modes]) or "model"


def _dimensions(modules: Sequence[ModelModule], network: Mapping[str, Any]) -> int:
    for module in reversed(modules):
        if module.kind == "Dense":
            return int(module.config["out_features"])
        if module.kind == "LayerNorm":
            return int(module.config["dimension"])
        if module.kind == "Pooling":
            width = module.config.get("embedding_dimension", module.config.get("word_embedding_dimension"))
            if width is not None:
                return int(width) * len(module.pooling_modes)
    text = network.get("text_config") or {}
    for part in (network, text):
        for key in _WIDTHS:
            if key in part:
                return int(part[key])
    raise Fatal(f"The model in {modules[0].folder} does not say how many dimensions it has; choose another one.")


def _refuse_other_metric(files: ModelFiles, general: Mapping[str, Any], modules: Sequence[ModelModule]) -> None:
    """Vectors are compared by cosine. Where all have length 1, dot product and distance order them alike."""
    metric = general.get("similarity_fn_name") or "cosine"
    unit = modules[-1].kind == "Normalize" and not general.get("truncate_dim")
    if metric != "cosine" and not (unit and metric in {"dot", "euclidean"}):
        raise Fatal(
            f"The model {files.name} is made for comparison by {metric}, and the index compares by cosine; choose "
            "its variant with normalized vectors."
        )


def _refuse_lower_casing(transformer: ModelModule) -> None:
    """The chunker reads ``tokenizer.json`` alone: what is changed beside it would be counted differently there."""
    if not transformer.config.get("do_lower_case"):
        return
    normalizer = (read_object(transformer.folder / "tokenizer.json") or {}).get("normalizer") or {}
    steps = normalizer.get("normalizers", [normalizer])
    if not any(step.get("type") == "Lowercase" or step.get("lowercase") for step in steps):
        raise Fatal(
            f"{transformer.folder}/sentence_bert_config.json lower-cases texts (do_lower_case) and tokenizer.json "
            "does not, so the two would count different tokens; add the Lowercase normalizer to tokenizer.json."
        )
