"""A source whose documents are erased: its topics, its collections, and what others do meanwhile."""

from dataclasses import replace

from chunker_world import CDC, SOURCE
from embedding_world import MIB, Loop, memory_index
from letter_world import SOURCES
from stream_world import CHUNKS, ENCODER, LETTERS, LINEAGE, PLACE

from adapters.memory.broker import MemoryBroker
from operations.dead_letters.reading import Letters
from operations.erase.erasing import Erasing
from operations.erase.surroundings import Collection, Surroundings
from stream.delta import plan_revision
from stream.errors import Outage
from stream.framed import NoRegistry
from stream.ports import Committed, Partition

DOC = "docs/1"
CHUNKER, EMBEDDER = "kb.chunker", "kb.embedder"
OLD = "kb.embedder.old"
BOX = Partition(LETTERS.topic, 0)


class World:
    """One source whose chunker and embedder have read everything, and what erasing is given of it."""

    def __init__(self, *published, members=1, partitions=1, **loop):
        self.broker = MemoryBroker()
        self.broker.create_topic(CHUNKS.name, partitions, MIB)
        self.loop = Loop(broker=self.broker, **loop)
        self.partitions = partitions
        self.broker.create_topic(CDC.topic, 1, {"cleanup.policy": "delete", "retention.ms": "1000"})
        self.collections = [Collection("docs__x__g1", {"docs": LINEAGE}, self.loop.index, EMBEDDER)]
        self.letters, self.members, self.now = [], {EMBEDDER: members}, 5_000
        self.lineages = {"docs": LINEAGE}
        self.meanwhile = self.always = lambda: None
        self.dies_after = None
        self.patience = lambda done: done()
        if published:
            with self.loop:
                self.loop.publish(*published)
                self.loop.drain()

    def another(self, name, index, group=OLD, **lineages):
        """One more collection of the index."""
        self.collections.append(Collection(name, lineages or {"docs": LINEAGE}, index, group))
        return index

    def erase(self, *documents, dry_run=False):
        producer = Meanwhile(self)
        around = Surroundings(
            topics=self.loop.bus.topics(),
            records=lambda places, starts: [
                each for place in places for each in self.broker.log(place).read(starts.get(place, 0), 1_000)[0]
            ],
            letters=lambda selection: [kept for kept in self.letters if selection.takes(kept)],
            notes=self.notes,
            letter_topic=LETTERS.topic,
            collections=self.collections,
            sources={"docs": SOURCE},
            unframer=NoRegistry(),
            lineages=self.lineages,
            chunks=replace(CHUNKS, partitions=self.partitions),
            chunker_group=CHUNKER,
            members=lambda group: self.members.get(group, 0),
            patience=self.patience,
            producer=None if dry_run else producer,
            now_ms=lambda: self.now,
        )
        return Erasing(around).run(documents or (DOC,))

    def notes(self):
        """What earlier runs noted beside the dead letters."""
        return Letters(lambda: self.broker.log(BOX).read(0, 1_000)[0], SOURCES, NoRegistry()).erased()

    def row(self, *written):
        """Records of the CDC topic, which the chunker has passed."""
        for each in written:
            self.broker.append(each)
        self.broker.group(CHUNKER).committed[CDC] = Committed(self.broker.log(CDC).end)

    @property
    def keys(self):
        """Of the chunk topic: key → whether its last record is null."""
        return {each.key: each.value is None for each in self.broker.log(PLACE).read(0, 1_000)[0]}


class Meanwhile:
    """A producer before whose first write something else happens, and behind each what always does."""

    def __init__(self, world):
        self.world = world

    def send(self, records):
        happens, self.world.meanwhile = self.world.meanwhile, lambda: None
        happens()
        if self.world.dies_after is not None:
            if self.world.dies_after == 0:
                self.world.dies_after = None
                raise Outage("killed")
            self.world.dies_after -= 1
        self.world.loop.producer.send(records)
        self.world.always()

    def close(self):
        """Nothing is open."""


def only(report):
    (document,) = report.documents
    return document


def stored(index, document=DOC):
    return {point.id: point for point in index.read([document])[document]}


def applied(*events):
    """A collection that holds these."""
    index = memory_index()
    for event in events:
        plan = plan_revision(event, index.read([event.doc_id])[event.doc_id])
        index.write(plan.writes({each.id: ENCODER.encode("passage", [each.passage])[0] for each in plan.missing}))
    return index
