"""``embedstream dead-letters list | show | redrive``: what could not be worked with, and once more.

``list`` and ``redrive`` name letters by where they lie, what they failed by and which document they are of; neither
prints a value of a record, nor the sentence of a failure, which may quote one. ``show`` prints one letter whole.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console

from adapters.kafka.producer import KafkaProducer
from adapters.kafka.reader import read_partitions
from compose.deployment import Deployment
from consumers.lineage_watch import current_lineages
from operations.dead_letters.reading import Letters
from operations.dead_letters.redriving import Redriving
from schemas.chunk_event import Json
from stream.errors import Fatal, Misuse
from stream.kept_letter import KeptLetter
from stream.letter_selection import Selection
from stream.ports import Partition, Record, Topics, VectorIndex
from stream.redrive import Outcome, Redrive
from stream.revision import ChunkTopic


@contextmanager
def letters_of(deployment: Deployment) -> Iterator[Letters]:
    """The letters of this deployment. Raises Fatal where there is no dead-letter topic."""
    with ExitStack() as opened:
        unframer = deployment.unframer()
        opened.callback(unframer.close)
        sources = {source.topic: source for source in deployment.settings.sources}
        yield Letters(lambda: _records(deployment), sources, unframer)


def _records(deployment: Deployment) -> Iterator[Record]:
    topic = deployment.settings.dead_letter_topic
    topics = deployment.topics()
    info = topics.describe([topic]).get(topic)
    if info is None:
        raise Fatal(f"The topic {topic} does not exist: no process of this deployment has run yet.")
    places = [Partition(topic, number) for number in range(info.partitions)]
    yield from read_partitions(deployment.settings.kafka.properties, places)


def listed(deployment: Deployment, selection: Selection) -> list[KeptLetter]:
    """Oldest first, without what the records hold."""
    with letters_of(deployment) as letters:
        found = [kept.without_value() for kept in letters.selected(selection)]
    return sorted(found, key=lambda kept: (kept.at_ms, kept.place, kept.offset))


def show_list(found: Sequence[KeptLetter], console: Console) -> None:
    """A line a letter, under a line that names the columns."""
    named = ("letter", "written", "stage", "kind", "document", "version", "bytes", "tries", "of")
    lines: list[tuple[str, ...]] = [named, *map(_line, found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines if found else ():
        padded = "  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True))
        console.print(padded.rstrip(), markup=False, soft_wrap=True)
    console.print(f"{len(found)} dead letter{'' if len(found) == 1 else 's'}", markup=False)


def _line(kept: KeptLetter) -> tuple[str, ...]:
    letter = kept.letter
    return (
        kept.address,
        when(kept.at_ms),
        letter.stage,
        letter.error_class,
        printable(kept.document or "-"),
        "-" if letter.version is None else str(letter.version),
        str(kept.length),
        str(kept.attempt),
        kept.origin,
    )


def one(deployment: Deployment, address: str) -> KeptLetter:
    """The letter at a place; the last one where several are of one record. Raises Fatal where there is none."""
    selection = Selection.written(places=[address])
    if selection.places[0].offset is None:
        raise Misuse(f"{address!r} names no single letter: write partition:offset, or topic:partition:offset.")
    with letters_of(deployment) as letters:
        found = list(letters.selected(selection))
    if not found:
        raise Fatal(f"There is no dead letter at {address}; `embedstream dead-letters list` shows those that are.")
    return found[-1]


def show_one(kept: KeptLetter, console: Console) -> None:
    """The letter whole: why it failed, its headers, key and value."""
    letter = kept.letter
    for name, text in (
        ("letter", f"{kept.place.topic} [{kept.place.number}] @{kept.offset}, written {when(kept.at_ms)}"),
        ("of", f"{letter.topic} [{letter.partition}] @{letter.offset}, given up by the {letter.stage}"),
        ("document", printable(kept.document or "not known")),
        ("version", "not known" if letter.version is None else str(letter.version)),
        ("lineage", letter.lineage or "not known"),
        ("why", printable(f"{letter.error_class}: {letter.message}")),
        ("tries", str(kept.attempt)),
        *(("header", f"{printable(header)}: {_text(content)}") for header, content in letter.headers),
        ("key", _text(letter.key)),
    ):
        console.print(f"{name:<9} {text}", markup=False, soft_wrap=True)
    if letter.truncated is not None:
        told = f"{letter.truncated.length} bytes, too large for a letter; blake2b-256 {letter.truncated.blake2b}"
        console.print(f"value     {told}", markup=False, soft_wrap=True)
    else:
        console.print(f"value     {_text(letter.value)}", markup=False, soft_wrap=True)


def redriven(deployment: Deployment, selection: Selection, *, dry_run: bool) -> Iterator[Outcome]:
    """One outcome a letter. Raises Misuse, Outage and Fatal."""
    topics = deployment.topics()
    settings = deployment.settings
    info = topics.describe([settings.chunks.topic]).get(settings.chunks.topic)
    if info is None:
        raise Fatal(f"The topic {settings.chunks.topic} does not exist: no chunker of this deployment has run yet.")
    redrive = Redrive(
        sources={source.topic: source for source in settings.sources},
        fingerprints=deployment.contract.accepted,
        lineages=current_lineages(topics, deployment.source_topics, settings.chunks.topic),
        cutter=deployment.cutter,
        chunks=ChunkTopic(settings.chunks.topic, info.partitions, _largest_event_bytes(deployment)),
        collection=deployment.collection,
        store_text=settings.index.store_text,
    )
    with ExitStack() as opened:
        letters = opened.enter_context(letters_of(deployment))
        producer = None
        if not dry_run:
            producer = KafkaProducer(settings.kafka.properties)
            opened.callback(producer.close)
        redriving = Redriving(
            redrive=replace(redrive, erased=letters.erased()),
            fetch=lambda place, offset: fetched(deployment, topics, place, offset),
            unframer=letters.unframer,
            index=opened.enter_context(_collection_if_made(deployment)),
            producer=producer,
        )
        yield from redriving.run(letters.selected(selection))


def _largest_event_bytes(deployment: Deployment) -> int:
    """An event that is as large as may be is larger by its attempt when it is published again, and an audit's by the
    collection's name; the topic takes that, for it has room for key and headers beside
    (``Deployment.largest_record_bytes``).
    """
    return deployment.settings.chunks.max_event_bytes + len(deployment.collection) + 64


@contextmanager
def _collection_if_made(deployment: Deployment) -> Iterator[VectorIndex | None]:
    """The collection that this configuration's embedder writes; None where it has not made it yet."""
    if deployment.settings.index.not_made_yet:
        yield None
        return
    catalog = deployment.catalog(serve=False)
    try:
        name = deployment.collection
        yield catalog.open(name) if name in catalog.collections() else None
    finally:
        catalog.close()


def fetched(deployment: Deployment, topics: Topics, place: Partition, offset: int) -> Record | None:
    """One record of a topic, None where it is gone."""
    if place.topic not in topics.describe([place.topic]):
        return None
    lowest, end = topics.low_watermarks(place.topic).get(place), topics.ends(place.topic).get(place)
    if lowest is None or end is None or not lowest <= offset < end:
        return None
    for found in read_partitions(deployment.settings.kafka.properties, [place], {place: offset}):
        return found if found.offset == offset else None
    return None


def show_outcome(outcome: Outcome, console: Console) -> None:
    """One line."""
    kept = outcome.kept
    line = f"{outcome.what:<9} {kept.address} {kept.document or kept.origin}: {outcome.sentence}"
    console.print(printable(line), markup=False, soft_wrap=True)


def summary(outcomes: Sequence[Outcome], *, dry_run: bool) -> str:
    """How many of each."""
    if not outcomes:
        return "no dead letter is meant"
    counted = {what: sum(outcome.what == what for outcome in outcomes) for what in _ORDER}
    published = "to be published" if dry_run else "published"
    told = [f"{counted['published']} {published}"]
    told += [f"{number} {what}" for what, number in counted.items() if what != "published" and number]
    return ", ".join(told)


_ORDER = ("published", "applied", "stale", "repeated", "refused")


def list_json(found: Iterable[KeptLetter]) -> list[Json]:
    """For ``--json``."""
    return [_described(kept) for kept in found]


def one_json(kept: KeptLetter) -> dict[str, Json]:
    """For ``--json``: bytes as text where they are UTF-8, else under ``base64``."""
    letter = kept.letter
    headers: list[Json] = [[name, _json_bytes(content)] for name, content in letter.headers]
    truncated: Json = None
    if letter.truncated is not None:
        truncated = {"length": letter.truncated.length, "blake2b": letter.truncated.blake2b}
    return {
        **_described(kept),
        "message": letter.message,
        "lineage": letter.lineage,
        "headers": headers,
        "key": _json_bytes(letter.key),
        "value": _json_bytes(letter.value),
        "truncated": truncated,
    }


def outcomes_json(outcomes: Iterable[Outcome]) -> list[Json]:
    """For ``--json``."""
    return [
        {
            "letter": outcome.kept.address,
            "outcome": outcome.what,
            "sentence": outcome.sentence,
            "document": outcome.kept.document,
            "version": outcome.event.version if outcome.event is not None else outcome.kept.letter.version,
            "attempt": outcome.event.attempt if outcome.event is not None else None,
        }
        for outcome in outcomes
    ]


def _described(kept: KeptLetter) -> dict[str, Json]:
    letter = kept.letter
    return {
        "letter": kept.address,
        "written_ms": kept.at_ms,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "stage": letter.stage,
        "kind": letter.error_class,
        "source": kept.source,
        "document": kept.document,
        "version": letter.version,
        "bytes": kept.length,
        "attempts": kept.attempt,
    }


def when(at_ms: int) -> str:
    """To the second, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if at_ms > 0 else "-"


def _text(content: bytes | None) -> str:
    if content is None:
        return "null"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return f"{len(content)} bytes, base64 {base64.b64encode(content).decode()}"
    return printable(text)


def printable(text: str) -> str:
    """A terminal obeys what it is shown, and rows hold what anybody wrote: control characters as escapes, line breaks
    too, or an id would forge a line.
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _json_bytes(content: bytes | None) -> Json:
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
