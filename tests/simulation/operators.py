"""What people do to a running deployment: redrive, repair, purge, a cut-over, and damage done by hand.

Redrive and repair are events that are published again at the version they always had; the product's own functions
make them (``stream.redrive``, ``stream.republication``). The alias is switched by compare-and-set. Queries go through
the product's handle, which pairs a collection with the encoder of its contract.
"""

from dataclasses import replace

import numpy as np
from simulation.deployment import CHUNKS, INDEX, PAIRS, SOURCE, VENOM
from simulation.laws import Violation

from consumers.lag import lag_of
from consumers.lineage_watch import current_lineages
from schemas.identity import chunk_ids
from serving.handle import LiveIndex
from stream.collection import new_record
from stream.kept_letter import EMBEDDER, KeptLetter
from stream.points import DenseVector, State
from stream.ports import VectorSpec
from stream.probes import take
from stream.redrive import Redrive, Redriven
from stream.republication import republished


def letters_of(world, pair):
    """The dead letters that this pair's embedders wrote, one a revision."""
    found = {}
    for record in world.laws.letters:
        kept = KeptLetter.read(record)
        if kept.letter.stage == EMBEDDER and dict(kept.letter.headers)["chunking"].decode() == pair.header:
            found[kept.letter.key, dict(kept.letter.headers)["version"]] = kept
    return list(found.values())


def redrive(world, pair, kept):
    """Publishes one letter's revision again, at its version and under a key of its own."""
    lineages = current_lineages(world.bus.topics(), {SOURCE.topic: SOURCE.name}, CHUNKS.name)
    redriven = Redrive({SOURCE.topic: SOURCE}, pair.accepted, lineages, pair.cutter, CHUNKS).revision(kept, None)
    if not isinstance(redriven, Redriven):
        raise Violation(f"redrive: {redriven.sentence}")
    world.broker.append(redriven.outgoing)


def repair(world, pair, document):
    """Publishes the newest revision of a document again, to be embedded anew in the pair's collection. An audit looks
    again afterwards: a repair that is poison, or behind which a newer revision was under way already, was none.
    """
    event = world.laws.newest.get((document, pair.header))
    if event is not None:
        again = replace(event, recompute=pair.collection, attempt=None)
        world.broker.append(republished(CHUNKS, again, pair.header))
        if is_last(world, pair, event):
            world.to_repair.discard((pair, document))


def differs(world, pair, document):
    """Whether the index lacks a passage of the document's newest revision."""
    table, event = world.tables[pair], world.laws.newest[document, pair.header]
    payloads = [table.payload(chunk.id) for chunk in event.chunks]
    return any(payload is None or payload["state"] != State.LIVE for payload in payloads)


def is_last(world, pair, event):
    """Whether the table knows no newer revision, and this one can be embedded."""
    change = world.rows.changes.get(event.doc_id)
    poison = any(VENOM in chunk.text for chunk in event.chunks) and not world.encoders[pair].cured
    return change is not None and change.version == event.version and not poison


def damage(world, pair):
    """Somebody changes the index by hand: a hole, a wrong vector, or a chunk that nobody wrote."""
    rng, table = world.rng, world.tables[pair]
    live = [point.id for point in world.stored(pair) if point.state is State.LIVE]
    if not live:
        return
    point = rng.choice(live)
    payload = table.payload(point)
    document = payload["doc_id"]
    match rng.randrange(3):
        case 0:
            table._documents[document].pop(point)
            del table._payloads[point]
            table.vectors.drop(point)
        case 1:
            table.vectors.set(point, np.ones(8, np.float32))
        case _:
            phantom = chunk_ids(document, ["phantom"])[0]
            world.laws.phantoms.add(phantom)
            table._store(phantom, {**payload, "text": "phantom"})
            table.vectors.set(phantom, pair.model.encode("passage", ["phantom"])[0].values)
    table.watch.resync(document)
    world.to_repair.add((pair, document))
    world.laws.damaged.add((pair, document))


def create_beside(world, pair):
    """The collection of the next contract, which no process may make by itself beside another that is searched."""
    lineage = current_lineages(world.bus.topics(), {SOURCE.topic: SOURCE.name}, CHUNKS.name)
    replaces = pair.replaces and pair.replaces.collection
    record = replace(new_record(pair.contract, lineage, take(world.encoders[pair])), replaces=replaces)
    spec = VectorSpec(pair.model.contract.vector_name, pair.model.contract.dimensions)
    world.catalog.create(pair.collection, spec, SOURCE.fields, record.to_json())


def caught_up(world, pair):
    topics = world.bus.topics()
    return not any(
        lag_of(topics, group, [topic])[topic].events
        for group, topic in ((pair.chunker_group, SOURCE.topic), (pair.embedder_group, CHUNKS.name))
    )


def cut_over(world):
    """The alias follows whoever has caught up, there and back."""
    live = world.catalog.aliases().get(INDEX)
    wanted = [pair for pair in world.admissions if pair.collection != live and caught_up(world, pair)]
    if live is not None and wanted:
        world.catalog.switch_alias(INDEX, live, world.rng.choice(wanted).collection)
        # Whoever searches has the old encoder at hand.
        world.searcher.query()


class Searcher:
    """A query service with the encoders of all pairs."""

    def __init__(self, world):
        self._world = world
        self._live = LiveIndex(world.catalog, INDEX, [pair.model for pair in world.pairs])

    def query(self):
        """Looks for a passage that is live: the nearest hit is that passage, or the pair does not fit together."""
        handle = self._live.current()
        pair = next(pair for pair in PAIRS if pair.collection == handle.collection)
        document_points = [point for point in handle.index.scroll() if point.payload["state"] == State.LIVE]
        whole = [
            point for point in document_points if (pair, point.payload["doc_id"]) not in self._world.laws.damaged
        ]
        if not whole:
            return
        wanted = self._world.rng.choice(whole)
        vector: DenseVector
        (vector,) = handle.encoder.encode([wanted.payload["text"]])
        if handle.index.search(vector, 1)[0].score < 0.999:
            raise Violation(f"no mix: a query for {wanted.payload['text']!r} does not find it in {pair}")
