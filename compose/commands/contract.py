"""``embedstream contract show`` and ``diff``: the fingerprints, and all that enters them.

``diff`` compares this configuration with the collection that users search, or with another configuration.
"""

from rich.console import Console

from compose.commands.looking import live_collection
from compose.deployment import Deployment
from schemas.chunk_event import Json
from stream.contract import Contract, Difference, differences


def described(deployment: Deployment) -> dict[str, Json]:
    """For ``--json``: fingerprints, names derived from them, and the contract."""
    contract = deployment.contract
    return {
        "fingerprint": contract.fingerprint,
        "chunking_fingerprint": contract.chunking_fingerprint,
        "encoding_fingerprint": contract.encoding.fingerprint,
        "header_fingerprints": {source: str(value) for source, value in contract.accepted.items()},
        "collection": deployment.collection,
        "vector": contract.encoding.vector_name,
        "groups": {"chunker": deployment.chunker_group, "embedder": deployment.embedder_group},
        "contract": contract.to_json(),
    }


def show(deployment: Deployment, console: Console) -> None:
    """Plain lines, one a fact."""
    facts = described(deployment)
    for name in ("fingerprint", "chunking_fingerprint", "encoding_fingerprint", "collection", "vector"):
        console.print(f"{name.replace('_', ' '):<21} {facts[name]}", markup=False, soft_wrap=True)
    for source, value in deployment.contract.accepted.items():
        console.print(f"{'header of ' + source:<21} {value}", markup=False, soft_wrap=True)
    _show_part("", deployment.contract.to_json(), console)


def against_live(deployment: Deployment) -> tuple[Contract, list[Difference]]:
    """The live collection's contract, and where this configuration differs from it."""
    with live_collection(deployment) as live:
        theirs = live.record.contract
    return theirs, differences(deployment.contract, theirs)


def show_differences(found: list[Difference], other: str, console: Console) -> None:
    """One line a difference, both sides."""
    if not found:
        console.print(f"no difference: vectors here and {other} can be compared")
    for difference in found:
        console.print(
            f"{difference.path}: here {difference.ours!r}, {other} {difference.theirs!r}",
            markup=False,
            soft_wrap=True,
        )


def _show_part(path: str, value: Json, console: Console) -> None:
    if isinstance(value, dict):
        for name, part in value.items():
            _show_part(f"{path}.{name}" if path else name, part, console)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            _show_part(f"{path}.{number}", item, console)
    else:
        console.print(f"{path:<32} {value}", markup=False, soft_wrap=True)
