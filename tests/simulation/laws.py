"""The invariants of DESIGN 11 that a history has to keep, each checked where it would break first.

    2 no regression   at every single write: a stored version never falls, nor a document's newest
    3 no gap          at every single write: a document with text that is live stays live until its delete
    4 no mix          at every put, and again in the end: each vector is its own contract's; at every query
    5 no skip         at every commit: all below it is applied and flushed, stale, of another chunking, or a dead
                      letter, of which each group that needs one has written its own
    6 no waste        at every call of the encoder: nothing is embedded that had been found live, recompute aside
    1 convergence     when the stream is drained: the live points are exactly ``embed(chunk(table))``

And what DESIGN 5 says of writers: two writes of one id at one version agree in state, landed or refused; and what
comes too late finds its point there and is refused, so none ever comes in below its document's newest version, where
no later revision might know of it. And what DESIGN 3 says of the bus: in the chunk topic the events of a key stand in
version order, once; two events of one revision agree; a dead letter is the record byte for byte.

What damaged an index by hand broke these laws itself: a damaged document is judged again once it was repaired.
"""

from collections import Counter, defaultdict

import numpy as np
from simulation.deployment import CHUNKS, LETTERS, SOURCE, VENOM
from simulation.rows import GARBAGE

from schemas import chunk_codec, dead_letter
from schemas.identity import DocId
from stream.change import Delete
from stream.payload import live_payload
from stream.points import Mark, Put, State, Touch
from stream.ports import Partition
from stream.text import embedded_text

_ALL = 1 << 30


class Violation(AssertionError):
    """A law is broken; the sentence begins with its name."""


class Laws:
    def __init__(self, world):
        self._world = world
        self.records = {}
        """Place → offset → record of the chunk topic, those that compaction took away too."""
        self.revisions = {}
        """(Document, header, version) → event."""
        self.newest = {}
        """(Document, header) → the newest event in the chunk topic."""
        self._known = {}
        """(Document, header) → its events."""
        self.letters = []
        self._lettered = Counter()
        self._excused = defaultdict(set)
        """(Place, offset) → groups that committed past it because of a letter."""
        self._in_order = {}
        self._seen = {}
        self._changes = -1
        self._groups = []
        self._commits = {}
        self._highest = {}
        self.recomputed = set()
        """(Document, version, collection) of repairs."""
        self.damaged = set()
        """(Collection, document), for good: what stands below a commit may have been damaged since."""
        self.phantoms = set()
        """Chunks that nobody wrote but whoever damaged an index: they are live and no text of their document."""

    # --- the bus, looked at after every move of anybody ---

    def look(self):
        broker = self._world.broker
        moved, self._changes = broker.changed.count != self._changes, broker.changed.count
        for place in self._world.places if moved else ():
            end = broker.log(place).stable_end
            start = self._seen.get(place, 0)
            if end != start:
                self._seen[place] = end
                for record in broker.log(place).read(start, _ALL)[0]:
                    self._letter(record) if place.topic == LETTERS.topic else self._event(record)
        self._groups = self._groups or [(*named, broker.group(named[1])) for named in self._world.groups]
        for pair, name, topic, group in self._groups:
            if group.committed != self._commits.get(name):
                self._commits[name] = dict(group.committed)
                self._commits_of(pair, name, topic, group.committed)

    def _event(self, record):
        self.records.setdefault(record.partition, {})[record.offset] = record
        key = chunk_codec.decode_key(record.key)
        if record.value is None:
            return
        event = chunk_codec.decode(record.value)
        if key.version is None:
            before = self._in_order.get(record.key, -1)
            if event.version <= before:
                raise Violation(
                    f"order on the chunk topic: {event.doc_id} has version {event.version} after version {before}"
                )
            self._in_order[record.key] = event.version
        if event.recompute:
            self.recomputed.add((event.doc_id, event.version, event.recompute))
        name = (event.doc_id, key.chunking, event.version)
        if name not in self.revisions:
            self._known.setdefault(name[:2], []).append(event)
        known = self.revisions.setdefault(name, event)
        if known.chunks != event.chunks or known.kind != event.kind:
            raise Violation(f"agreement: there are two revisions {event.version} of {event.doc_id}")
        newest = self.newest.get(name[:2])
        if newest is None or newest.version <= event.version:
            self.newest[name[:2]] = event

    def _letter(self, record):
        letter = dead_letter.decode(record.key, record.value, record.headers)
        place = Partition(letter.topic, letter.partition)
        self.letters.append(record)
        self._lettered[place, letter.offset] += 1
        original = self._original(place, letter.offset)
        if (letter.key, letter.value, letter.headers) != (original.key, original.value, original.headers):
            raise Violation(f"poison: the letter of {place} @{letter.offset} is not its record byte for byte")

    def _commits_of(self, pair, group, topic, committed):
        for place, at in committed.items():
            if place.topic != topic:
                continue
            start = self._highest.get((group, place), 0)
            if at.offset > start:
                self._highest[group, place] = at.offset
                check = self._no_row_skipped if topic == SOURCE.topic else self._no_event_skipped
                check(pair, group, place, start, at.offset)

    def _original(self, place, offset):
        """The record that a letter tells of; a source's are never taken away."""
        if place.topic == CHUNKS.name:
            return self.records[place][offset]
        return self._world.broker.log(place).read(offset, 1)[0][0]

    def _is_excused(self, group, place, offset, lettered):
        """Whether there are as many letters of the record as groups that committed past it without its effect."""
        excused = self._excused[place, offset]
        excused.add(group)
        return len(excused) <= self._lettered[place, offset] + lettered[place, offset]

    def _no_row_skipped(self, pair, group, place, start, end):
        published, lettered = self._behind_open_transactions()
        for record in self._world.broker.log(place).read(start, _ALL)[0]:
            if record.offset >= end:
                continue
            name = (f"{SOURCE.name}/{record.key.decode()}", pair.header)
            newest = max(published.get(name, -1), self.newest[name].version if name in self.newest else -1)
            if (record.value == GARBAGE or newest < record.offset + 1) and not self._is_excused(
                group, place, record.offset, lettered
            ):
                raise Violation(f"no skip: {pair}'s chunkers committed past {place} @{record.offset}")

    def _behind_open_transactions(self):
        """Newest versions and letters that are committed and not seen yet: an older transaction is open."""
        published, lettered = {}, Counter()
        for place in self._world.places:
            log = self._world.broker.log(place)
            for entry in log._entries if log.stable_end < log.end else ():
                if entry.offset < log.stable_end or not entry.visible:
                    continue
                record = entry.record
                if place.topic == LETTERS.topic:
                    letter = dead_letter.decode(record.key, record.value, record.headers)
                    lettered[Partition(letter.topic, letter.partition), letter.offset] += 1
                else:
                    key = chunk_codec.decode_key(record.key)
                    version = chunk_codec.decode_headers(record.headers).version
                    name = (key.doc_id, key.chunking)
                    published[name] = max(version, published.get(name, -1))
        return published, lettered

    def _no_event_skipped(self, pair, group, place, start, end):
        table = self._world.tables[pair]
        lettered = self._behind_open_transactions()[1]
        # What compaction took away before it was read is superseded by a later record of its key.
        for record in self._world.broker.log(place).read(start, _ALL)[0]:
            offset = record.offset
            if offset >= end or record.value is None:
                continue
            event = chunk_codec.decode(record.value)
            if chunk_codec.decode_key(record.key).chunking != pair.header or (pair, event.doc_id) in self.damaged:
                continue
            stored = [table.payload(point) | {"id": point} for point in table.of_document(event.doc_id)]
            newest = max((payload["version"] for payload in stored), default=-1)
            live = {payload["id"] for payload in stored if payload["state"] == State.LIVE}
            partial = newest == event.version and live != {chunk.id for chunk in event.chunks}
            unsafe = newest < event.version or partial or (event.doc_id, event.version) in table.watch.unflushed
            if unsafe and not self._is_excused(group, place, offset, lettered):
                raise Violation(
                    f"no skip: {pair}'s embedders committed past {place} @{offset}, {event.doc_id} at version "
                    f"{event.version}, which is not applied and flushed"
                )

    # --- the index ---

    def watched(self, pair, table):
        """The table; every single write to it is looked at."""
        table.watch = _Watch(self, pair, table)
        return table

    def pass_on_damage(self, pair, document):
        """What somebody damaged elsewhere was copied, and is for an audit of this collection to find."""
        self.damaged.add((pair, document))
        self._world.to_repair.add((pair, document))

    def watched_encoder(self, pair, encoder, index, replaced):
        """The encoder of one process; every text that it is given is looked at."""
        return _WatchedEncoder(self, pair, encoder, index, replaced)

    def is_wanted(self, pair, text, index, replaced):
        """Whether some chunk with this text is to be made anew, or was neither live when its document was read nor to
        be copied.
        """
        copied = replaced.points_live if replaced else {}
        return any(
            text == embedded_text(None, chunk.text)
            and (
                not (chunk.id in live or copied.get(chunk.id))
                or (document, event.version, pair.collection) in self.recomputed
            )
            for document, live in index.found_live.items()
            for event in self._known.get((document, pair.header), ())
            for chunk in event.chunks
        )

    def revision(self, document, header, version):
        return self.revisions.get((document, header, version))

    # --- the end ---

    def check_settled(self, pair, *, leave_out=()):
        """Convergence, and no mix. ``leave_out``: documents about which somebody still has to do something."""
        live = {
            point.id: point
            for point in self._world.index(pair).scroll(with_vectors=True)
            if point.payload["state"] == State.LIVE and point.payload["doc_id"] not in leave_out
        }
        expected = self._expected(pair, leave_out)
        if found := {point: live[point].payload for point in live.keys() - expected.keys()}:
            raise Violation(f"convergence: {pair} holds what the table does not: {_short(found)}")
        if lost := {point: expected[point] for point in expected.keys() - live.keys()}:
            raise Violation(f"convergence: {pair} lacks what the table holds: {_short(lost)}")
        for point, payload in expected.items():
            if dict(live[point].payload) != payload:
                raise Violation(f"convergence: {pair} tells {live[point].payload} and the table {payload}")
            if not _alike(live[point].vector, pair.model.encode("passage", [payload["text"]])[0]):
                raise Violation(f"no mix: {pair} holds a vector of {payload['doc_id']} that its model did not make")

    def _expected(self, pair, leave_out):
        """Id → payload, of the table's documents under the pair's chunking."""
        expected = {}
        for document, change in self._world.rows.changes.items():
            if document in leave_out or isinstance(change, Delete):
                continue
            event = pair.cutter.event(SOURCE.name, change, "")
            for position, chunk in enumerate(event.chunks):
                payload = live_payload(event, position, chunk, store_text=True)
                expected[chunk.id] = {name: value for name, value in payload.items() if value is not None}
        return expected

    @property
    def venomous(self):
        """Documents whose last row nobody can embed before the cure."""
        return {
            document
            for document, change in self._world.rows.changes.items()
            if not isinstance(change, Delete) and VENOM in change.text
        }


class _Watch:
    """Stands between a table and its writers, and compares before with after."""

    def __init__(self, laws, pair, table):
        self.laws, self.pair, self.table = laws, pair, table
        self._apply, self._discard = table.apply, table.discard
        table.apply, table.discard = self.apply, self.discard
        self._newest = {}
        self._live = {}
        self._states = {}
        self.unflushed = set()
        """(Document, version) of what a loss of power now would take."""

    def apply(self, write):
        document = self._document(write)
        if document is None:
            return
        before, stood = self._versions(document), self._stored(document)
        self._check_agreement(document, write)
        if isinstance(write, Put):
            self._check_vector(document, write)
        self._apply(write)
        after = self._versions(document)
        if self._stored(document) != stood:
            self.unflushed.add((document, write.version))
        for point, version in before.items():
            if after.get(point, -1) < version:
                raise Violation(f"no regression: a point of {document} fell from version {version}")
        if (self.pair, document) not in self.laws.damaged:
            for point in after.keys() - before.keys():
                if after[point] < (newest := max(before.values(), default=-1)):
                    raise Violation(f"no orphan: a point of {document} at {newest} came in at version {after[point]}")
        self._check(document, write)

    def discard(self, point, version):
        payload = self.table.payload(point)
        self._discard(point, version)
        if payload is not None:
            if (self.pair, payload["doc_id"]) in self.laws.damaged:
                self.resync(payload["doc_id"])
            self._check(payload["doc_id"], None)

    def _check_vector(self, document, write):
        text = embedded_text(None, write.payload["text"])
        if np.array_equal(write.vector.values, self.pair.model.encode("passage", [text])[0].values):
            return
        if (self.pair.replaces, document) not in self.laws.damaged:
            raise Violation(f"no mix: {self.pair} was given a vector of another contract for {document}")
        self.laws.pass_on_damage(self.pair, document)

    def _check_agreement(self, document, write):
        """DESIGN 5: two writes of one id at one version agree in state."""
        state = write.state if isinstance(write, Mark) else State.LIVE
        for point in write.ids if isinstance(write, Touch) else (write.id,):
            if self._states.setdefault((point, write.version), state) is not state:
                raise Violation(f"agreement: a point of {document} is written live and removed at {write.version}")

    def resync(self, document):
        """Somebody changed the document by hand."""
        self._newest.pop(document, None)
        self._live.pop(document, None)

    def _check(self, document, write):
        stored = {point: self.table.payload(point) for point in self.table.of_document(document)}
        newest = max((payload["version"] for payload in stored.values()), default=-1)
        if newest < self._newest.get(document, -1):
            raise Violation(f"no regression: the newest version of {document} fell to {newest}")
        self._newest[document] = newest
        own = [payload for point, payload in stored.items() if point not in self.laws.phantoms]
        live = sum(payload["state"] == State.LIVE for payload in own)
        if not live and self._live.get(document):
            event = None if write is None else self.laws.revision(document, self.pair.header, write.version)
            if event is None or event.chunks:
                raise Violation(f"no gap: {document} has text and none of it is found")
        self._live[document] = live

    def _document(self, write):
        if isinstance(write, Mark):
            return write.doc_id
        if isinstance(write, Put):
            return DocId(write.payload["doc_id"])
        point = write.ids[0] if hasattr(write, "ids") else write.id
        payload = self.table.payload(point)
        return None if payload is None else DocId(payload["doc_id"])

    def _stored(self, document):
        return {point: dict(self.table.payload(point)) for point in self.table.of_document(document)}

    def _versions(self, document):
        return {point: self.table.payload(point)["version"] for point in self.table.of_document(document)}


class _WatchedEncoder:
    """Stands between an embedder and its encoder."""

    def __init__(self, laws, pair, inner, index, replaced):
        self._laws, self._pair, self._inner, self._index, self._replaced = laws, pair, inner, index, replaced
        self.contract = inner.contract

    def count_tokens(self, kind, texts):
        return self._inner.count_tokens(kind, texts)

    def encode(self, kind, texts):
        for text in texts:
            if not self._laws.is_wanted(self._pair, text, self._index, self._replaced):
                raise Violation(f"no waste: {text!r} was embedded again, though it is live wherever it belongs")
        return self._inner.encode(kind, texts)


def _alike(left, right):
    return left is not None and float(left.values @ right.values) > 0.999


def _short(points):
    return sorted((str(payload["doc_id"]), payload["version"], payload.get("text")) for payload in points.values())
