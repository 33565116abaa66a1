"""The index: whether this configuration may write and search what is there, and what carries it.

The refusals are the embedder's own (``stream.collection``), with both sides shown on one line. An engine is told of
only where the catalog has one (``stream.engine``).
"""

from collections.abc import Iterator, Mapping

from operations.doctor.finding import Finding, advice, fatal, ok, refused
from operations.doctor.wanted import Named
from stream.collection import CollectionRecord, collection_name
from stream.contract import differences
from stream.engine import EngineInfo
from stream.errors import Fatal

_ABOUT = "index"


def check_collection(
    named: Named,
    live: str | None,
    records: Mapping[str, CollectionRecord],
    lineages: Mapping[str, str] | None,
    *,
    consumed: bool | None,
) -> Iterator[Finding]:
    """``live`` is the collection behind the index's name, ``records`` those of the collections that matter.

    ``lineages`` are the topics' as they are, ``consumed`` whether the embedders' group has committed; None where
    the broker did not tell.
    """
    about = f"{_ABOUT} {named.index}"
    own = records.get(named.collection)
    if live is None and own is None:
        if consumed:
            yield _lost(about, named)
        else:
            yield ok(about, "it does not exist yet; an embedder makes it")
        return
    if live is not None and live != named.collection:
        yield from _another(about, named, live, records)
    if own is None:
        if consumed:
            yield _lost(about, named)
        return
    try:
        own.joined(named.contract, lineages or {})
    except Fatal as error:
        yield refused(about, str(error))
    else:
        yield ok(about, f"collection {named.collection} has this configuration's contract")


def check_engine(info: EngineInfo) -> Iterator[Finding]:
    """The server of the index."""
    about = "engine"
    yield ok(about, f"version {info.version} at {info.where}")
    if not info.recent:
        yield advice(about, f"version {info.version} has known faults", f"upgrade it to {info.recommended} or newer")
    if info.state is not None and info.state not in ("green", "ok"):
        yield advice(about, f"the collection's state is {info.state}", "see the server's log")
    if info.replicas is not None:
        majority = info.replicas // 2 + 1
        if info.replicas > 1 and (info.written or 1) < majority:
            yield fatal(
                about,
                f"the collection has {info.replicas} replicas, and a write is acknowledged by {info.written or 1}: a "
                "plan could be made on what was overwritten already",
                f"set its write_consistency_factor to {majority} or more",
            )
        elif info.replicas == 1:
            yield ok(about, "one replica of each shard: a lost node is rebuilt from the topics")
        else:
            yield ok(about, f"{info.replicas} replicas of each shard, {info.written} acknowledge a write")


def _another(about: str, named: Named, live: str, records: Mapping[str, CollectionRecord]) -> Iterator[Finding]:
    same = live.startswith(collection_name(named.index, named.contract.fingerprint, 0)[:-1])
    if same:
        yield ok(about, f"users search {live}; this configuration's collection takes the name when it has caught up")
        return
    record = records.get(live)
    sides = (
        "; ".join(
            f"{item.path}: here {item.ours!r}, in the collection {item.theirs!r}"
            for item in differences(named.contract, record.contract)
        )
        if record is not None
        else "its record cannot be read"
    )
    yield fatal(
        about,
        f"this configuration has contract {named.contract.fingerprint}, and users search {live} ({sides})",
        "use the model and settings that made the collection, or another index.name beside it",
    )


def _lost(about: str, named: Named) -> Finding:
    return fatal(
        about,
        f"the collection {named.collection} is gone, and its consumer group has read events into it already",
        "put its data back (index.url), or raise index.generation by one to build it anew",
    )
