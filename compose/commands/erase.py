"""``embedstream erase DOC_ID…``: documents that are gone from their source, out of the index and the chunk topic.

What is left of them, and until when, is told with it: compaction and retention are the brokers', and the files of an
index hold what was overwritten in them until they are written anew. An index in a folder is written anew here where
this process owns the folder; a process that serves it would have to stop for as long.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from rich.console import Console

from adapters.edge.catalog import EdgeCatalog
from adapters.kafka.groups import KafkaGroups
from adapters.kafka.producer import KafkaProducer
from adapters.kafka.reader import read_partitions
from compose.commands.dead_letters import letters_of, printable, when
from compose.deployment import Deployment, SystemClock
from compose.waiting import wait_until
from consumers.lineage_watch import current_lineages
from operations.dead_letters.reading import Letters
from operations.erase.erasing import Erasing
from operations.erase.report import Erased, Report
from operations.erase.surroundings import Collection, Surroundings
from schemas.chunk_event import Json
from schemas.identity import DocId
from stream.collection import from_json
from stream.errors import Fatal, Misuse
from stream.kept_letter import KeptLetter
from stream.letter_selection import Selection
from stream.ports import IndexCatalog
from stream.remains import Remains
from stream.revision import ChunkTopic

WAIT_S = 30.0
"""How long processes that are behind are waited for, or half of the grace if that is less."""


def erased(deployment: Deployment, documents: Sequence[DocId], *, dry_run: bool, wait_s: float | None) -> Report:
    """What became of each, and what is left. Raises Outage, Fatal and Misuse."""
    settings = deployment.settings
    wait_s = min(WAIT_S, settings.index.plan_max_age_s) if wait_s is None else wait_s
    if wait_s > settings.index.plan_max_age_s:
        raise Misuse(
            f"--wait {wait_s:g} is too long: what an erasure writes must not be older than half of [index] grace_s, "
            f"{settings.index.plan_max_age_s:g} seconds."
        )
    deadline = time.monotonic() + wait_s
    topics = deployment.topics()
    info = topics.describe([settings.chunks.topic]).get(settings.chunks.topic)
    if info is None:
        raise Fatal(f"The topic {settings.chunks.topic} does not exist: no chunker of this deployment has run yet.")
    with ExitStack() as opened:
        catalog = None
        if not settings.index.not_made_yet:
            catalog = deployment.catalog(serve=False)
            opened.callback(catalog.close)
        letters = opened.enter_context(letters_of(deployment))
        producer = None
        if not dry_run:
            producer = KafkaProducer(settings.kafka.properties)
            opened.callback(producer.close)
        groups = KafkaGroups(settings.kafka.properties)
        around = Surroundings(
            topics=topics,
            records=lambda places, starts: read_partitions(settings.kafka.properties, places, starts),
            letters=lambda selection: _letters(deployment, letters, selection),
            notes=lambda: letters.erased() if _has_letters(deployment) else {},
            letter_topic=settings.dead_letter_topic,
            collections=[] if catalog is None else list(_collections(deployment, catalog)),
            sources={source.name: source for source in settings.sources},
            unframer=letters.unframer,
            lineages=current_lineages(topics, deployment.source_topics, settings.chunks.topic),
            chunks=ChunkTopic(settings.chunks.topic, info.partitions, settings.chunks.max_event_bytes),
            chunker_group=deployment.chunker_group,
            members=groups.members,
            patience=lambda condition: wait_until(condition, deadline),
            producer=producer,
            now_ms=SystemClock().now_ms,
        )
        report = Erasing(around).run(documents)
        left = () if catalog is None else tuple(_in_files(deployment, catalog, report))
        return Report(report.documents, report.remains, left, report.dry_run)


def show(report: Report, console: Console) -> None:
    """A few lines a document, then what is left."""
    for each in report.documents:
        console.print(printable(_headline(each, report)), markup=False, soft_wrap=True)
    if report.remains:
        console.print("bytes of it are left in", markup=False)
        for one in report.remains:
            console.print(f"  {one.topic} ({one.what}): {_until(one)}", markup=False, soft_wrap=True)
        for sentence in report.index:
            console.print(f"  {sentence}", markup=False, soft_wrap=True)


def to_json(report: Report) -> dict[str, Json]:
    """For ``--json``."""
    return report.to_json()


def _headline(each: Erased, report: Report) -> str:
    if each.refused is not None:
        rescued = ""
        if each.came_back:
            would = "would be" if report.dry_run else "was"
            what = _counted(each.came_back, "newer revision")
            rescued = f" {what} behind which an earlier run wrote a null {would} published again."
        return f"not erased  {each.refused}{rescued}"
    marked = ", ".join(f"{_counted(count, 'point')} marked in {name}" for name, count in each.marked.items())
    did = [marked or "no point was left to mark", f"{_counted(each.nulled, 'key')} nulled in the chunk topic"]
    if each.came_back:
        did.append(f"{_counted(each.came_back, 'revision')} that came back meanwhile published again")
    if each.unfinished is not None:
        return f"unfinished  {each.document}: {each.known_by}; {', '.join(did)}. {each.unfinished}"
    would = "would erase" if report.dry_run else "erased"
    return f"{would:<11} {each.document}: {each.known_by}; {', '.join(did)}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _until(one: Remains) -> str:
    parts = []
    if one.until_ms is not None:
        parts.append(f"until {when(one.until_ms)} at the latest")
    elif one.not_before_ms is not None:
        parts.append(f"at least until {when(one.not_before_ms)}, with no latest time")
    else:
        parts.append("with no latest time")
    return f"{parts[0]}: {one.why}"


def _collections(deployment: Deployment, catalog: IndexCatalog) -> Iterator[Collection]:
    """Every collection of the index, of whatever contract and generation."""
    prefix = f"{deployment.settings.index.name}__"
    for name in catalog.collections():
        if not name.startswith(prefix):
            continue
        record = from_json(catalog.metadata(name))
        contract, _, generation = name.removeprefix(prefix).partition("__")
        group = f"{deployment.settings.kafka.group_prefix}.embedder.{contract}.{generation}"
        yield Collection(name, record.lineage, catalog.open(name), group)


def _letters(deployment: Deployment, letters: Letters, selection: Selection) -> Iterator[KeptLetter]:
    """None where nobody ever wrote one."""
    if _has_letters(deployment):
        yield from (kept.without_value() for kept in letters.selected(selection))


def _has_letters(deployment: Deployment) -> bool:
    topic = deployment.settings.dead_letter_topic
    return bool(deployment.topics().describe([topic]))


def _in_files(deployment: Deployment, catalog: IndexCatalog, report: Report) -> Iterator[str]:
    """What is left in the files of the index, which are written anew where that is this process's to do."""
    done = [each for each in report.documents if each.refused is None]
    if not done:
        return
    index = deployment.settings.index
    if index.server is not None:
        yield (
            f"the files of {index.url}: Qdrant's optimizer drops what was overwritten in its own time; snapshots "
            "keep it until they are deleted"
        )
    elif not isinstance(catalog, EdgeCatalog):
        yield (
            f"the files in {index.folder}, which another process owns and serves: they keep what was overwritten in "
            "them; stop that process and run this again, and they are written anew"
        )
    elif report.dry_run:
        yield f"the files in {index.folder} would be written anew, without what was overwritten in them"
    else:
        prefix = f"{index.name}__"
        for name in catalog.collections():
            if name.startswith(prefix):
                catalog.rewrite(name)
