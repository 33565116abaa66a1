"""The newest records of a source, read as its chunker would read them, and what they say of the mapping.

A renamed column, a wrong type, a table without a key and a column that the database's log does not repeat all show in
the records before they show in the index. The reading is the chunker's own (``stream.change``), so what is poison
here is poison there, and what would stop the chunker is told with the sentence that it would stop with.

PostgreSQL logs what a table's *replica identity* says. By default an update tells of the old row nothing, and a large
column that did not change is missing from the new one; whether the newest updates carry the old row shows which.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from operations.doctor.finding import Finding, advice, fatal, ok, refused, unchecked
from schemas.envelope import is_envelope, opened
from schemas.identity import Version
from schemas.malformed import Malformed
from schemas.wrapped import Said
from stream.change import Change, Delete, Ignore, Upsert, read_change
from stream.errors import Fatal, Poison
from stream.ports import Record, Unframer
from stream.source import Source

_POSTGRES = "postgresql"


@dataclass(frozen=True, slots=True)
class Sample:
    """One record, as far as it could be read."""

    record: Record
    read: Change | Poison | Fatal
    bare_update_of: str | None = None
    """The table of an update that tells nothing of the old row."""
    full_update: bool = False
    """An update that tells of it."""


def take(source: Source, records: Sequence[Record], unframer: Unframer) -> list[Sample]:
    """Raises Outage where the registry that a frame names is away."""
    return [_sample(source, record, unframer) for record in records]


def check_mapping(source: Source, samples: Sequence[Sample]) -> Iterator[Finding]:
    """What would become of the newest records."""
    about = f"source {source.name}"
    if not samples:
        yield unchecked(about, f"topic {source.topic} holds no records yet")
        return
    sentences = dict.fromkeys(str(sample.read) for sample in samples if isinstance(sample.read, Fatal))
    yield from (refused(about, sentence) for sentence in sentences)
    poisons = [sample.read for sample in samples if isinstance(sample.read, Poison)]
    good = [sample.read for sample in samples if isinstance(sample.read, Upsert | Delete)]
    for kind, count in sorted(Counter(poison.kind for poison in poisons).items()):
        example = next(str(poison) for poison in poisons if poison.kind == kind)
        what = f"{count} of its {len(samples)} newest records would be dead letters ({kind}): {example.rstrip('.')}"
        yield fatal(about, what, "") if not good and not sentences else advice(about, what, "")
    upserts = [change for change in good if isinstance(change, Upsert)]
    if upserts and not any(change.text for change in upserts):
        columns = ", ".join(column.name for column in source.text)
        yield advice(
            about,
            f"none of its {len(upserts)} newest rows has a text in {columns}",
            "see whether source.text names the columns that hold the text",
        )
    if good and not sentences and not poisons:
        ignored = sum(isinstance(sample.read, Ignore) for sample in samples)
        rest = f", {ignored} say nothing of a row" if ignored else ""
        yield ok(about, f"its {len(samples)} newest records can be read as mapped{rest}")


def check_identity(source: Source, samples: Sequence[Sample]) -> Iterator[Finding]:
    """Whether updates carry what the mapping needs."""
    about = f"source {source.name}"
    bare = [sample.bare_update_of for sample in samples if sample.bare_update_of is not None]
    full = sum(sample.full_update for sample in samples)
    if bare:
        table = Counter(bare).most_common(1)[0][0]
        yield advice(
            about,
            f"{len(bare)} of {len(bare) + full} updates tell nothing of the old row: a large column that did not "
            "change will be missing from an update, which is then a dead letter",
            f"ALTER TABLE {table} REPLICA IDENTITY FULL, or use Debezium's column reselector",
        )
    elif full:
        yield ok(about, "updates carry the old row (REPLICA IDENTITY FULL)")


def clocks(source: Source, samples: Sequence[Sample]) -> dict[str, int]:
    """The newest clock of the source's commits and of its topic's records, milliseconds since 1970."""
    commits = [
        change.source_ts_ms
        for change in (sample.read for sample in samples)
        if isinstance(change, Upsert | Delete) and change.source_ts_ms is not None
    ]
    stamps = [sample.record.timestamp_ms for sample in samples if sample.record.timestamp_ms > 0]
    found = {}
    if commits:
        found[f"the newest commit of source {source.name}"] = max(commits)
    if stamps:
        found[f"the newest record of topic {source.topic}"] = max(stamps)
    return found


def _sample(source: Source, record: Record, unframer: Unframer) -> Sample:
    version = Version(record.offset + 1)
    try:
        key, value = unframer.unframed(record)
        bare, full = _identity(source, value)
        change = read_change(source, key, value, record.headers, version, record.timestamp_ms)
    except (Poison, Fatal) as error:
        return Sample(record, error)
    return Sample(record, change, bare, full)


def _identity(source: Source, value: Said | None) -> tuple[str | None, bool]:
    """Of an update in PostgreSQL's envelope: its table where it is bare, and whether it is full."""
    if source.format != "debezium" or value is None:
        return None, False
    try:
        payload, _ = opened(value, "value")
    except Malformed:
        return None, False
    if not isinstance(payload, dict) or not is_envelope(payload) or payload.get("op") != "u":
        return None, False
    origin = payload.get("source")
    if not isinstance(origin, dict) or origin.get("connector") != _POSTGRES:
        return None, False
    if payload.get("before") is not None:
        return None, True
    names = [str(origin[part]) for part in ("schema", "table") if origin.get(part)]
    return ".".join(names) or "…", False
