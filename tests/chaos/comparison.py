"""Index against table, row by row, and what is wrong with it by name.

``lost``: a passage that the table demands is not live, or lives with another text, payload or version than the row's
last change; a record that was dead-lettered; a revision below a committed offset of which the index knows nothing.
``resurrected``: a live passage of a document that the table no longer has. ``orphaned``: a live passage that its
document, as it is now, does not have. ``duplicated``: one id or one place of a document live twice, or one version of
a document twice among the committed records of the chunk topic.
"""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, fields

from adapters.kafka.reader import read_partitions
from compose.commands.looking import live_collection
from compose.waiting import outlasting
from schemas.chunk_codec import decode
from schemas.identity import Version
from stream.change import Ignore, read_change

_TECHNICAL = frozenset({"version", "state", "payload_digest", "source", "source_ts_ms"})
PATIENCE_S = 60.0
"""For what a broker is asked that is on its way back."""
_REMEMBERED = 64
"""Versions of a document that are remembered with their offsets: more than any commit is behind."""


@dataclass(frozen=True)
class Difference:
    """What was found of each kind, as words for a person."""

    lost: tuple[str, ...] = ()
    resurrected: tuple[str, ...] = ()
    orphaned: tuple[str, ...] = ()
    duplicated: tuple[str, ...] = ()

    def __add__(self, other):
        return Difference(*(getattr(self, kind.name) + getattr(other, kind.name) for kind in fields(self)))

    def __bool__(self):
        return any(getattr(self, kind.name) for kind in fields(self))

    def counts(self):
        return {kind.name: len(getattr(self, kind.name)) for kind in fields(self)}


def points_of(deployment):
    """(id, payload) of every point, marks too, in the order in which the index tells them."""
    with live_collection(deployment) as live:
        return [(point.id, point.payload) for point in live.index.scroll()]


def compared(documents, wanted, points):
    """``documents``: those of the table; ``wanted`` as of ``Table.wanted``; ``points`` as of ``points_of``."""
    live = [(id_, payload) for id_, payload in points if payload["state"] == "live"]
    said = {
        id_: {name: value for name, value in payload.items() if name not in _TECHNICAL and value is not None}
        for id_, payload in live
    }
    lost = [
        f"{id_} of {payload['doc_id']}: "
        + ("is not live" if id_ not in said else f"{said[id_]} instead of {payload}")
        for id_, payload in wanted.items()
        if said.get(id_) != payload
    ]
    strays = [(id_, payload) for id_, payload in live if id_ not in wanted]
    gone = [f"{id_} of {one['doc_id']}" for id_, one in strays if one["doc_id"] not in documents]
    orphans = [f"{id_} of {one['doc_id']}" for id_, one in strays if one["doc_id"] in documents]
    ids = Counter(id_ for id_, _ in points)
    places = Counter((payload["doc_id"], payload["position"]) for payload in dict(live).values())
    twice = [f"point {id_} is there {number} times" for id_, number in ids.items() if number > 1]
    twice += [f"place {place} is taken {number} times" for place, number in places.items() if number > 1]
    return Difference(tuple(lost), tuple(gone), tuple(orphans), tuple(twice))


class Reading:
    """A topic, read on from where the last look ended; by the broker's plain door."""

    def __init__(self, topics, brokers, topic):
        self._topics, self._given, self.topic = topics, {"bootstrap.servers": brokers}, topic
        self._starts = {}

    def more(self):
        """Committed records since the last look. Brokers that are still coming back are asked again."""
        return outlasting(self._now, PATIENCE_S)

    def _now(self):
        places = sorted(self._topics.ends(self.topic))
        known = {place: start for place, start in self._starts.items() if place in places}
        found = list(read_partitions(self._given, places, known))
        # Only whole looks count: one that was broken off is made again.
        self._starts.update({record.partition: record.offset + 1 for record in found})
        return found


class Wire:
    """What the topics of one deployment say, as far as it was read."""

    def __init__(self, topics, brokers, deployment, letters):
        settings = deployment.settings
        (self._source,) = settings.sources
        self._rows = Reading(topics, brokers, self._source.topic)
        self._events = Reading(topics, brokers, settings.chunks.topic)
        self._letters = Reading(topics, brokers, letters)
        self._unframer = deployment.unframer()
        self._newest = {}
        self._versions = {}
        self.known = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        """Document → (partition, offset, version) of its last chunk events."""

    def read(self):
        """Reads on; what is wrong on the wire by itself."""
        for record in self._rows.more():
            key, value = self._unframer.unframed(record)
            version = Version(record.offset + 1)
            change = read_change(self._source, key, value, record.headers, version, record.timestamp_ms)
            if not isinstance(change, Ignore):
                self._newest[change.doc_id] = version
        twice = []
        for record in self._events.more():
            event = decode(record.value)
            if event.version <= self._versions.get(event.doc_id, 0):
                twice.append(f"version {event.version} of {event.doc_id} is behind a newer one or itself")
            self._versions[event.doc_id] = event.version
            self.known[event.doc_id].append((record.partition, record.offset, event.version))
        letters = [f"dead letter {letter.key!r}: {letter.headers}" for letter in self._letters.more()]
        return Difference(lost=tuple(letters), duplicated=tuple(twice))

    def outdated(self, points):
        """Live points that are not of their row's last change."""
        return Difference(
            lost=tuple(
                f"{id_} of {payload['doc_id']} is at {payload['version']}, the row at {newest}"
                for id_, payload in points
                if payload["state"] == "live"
                and payload["version"] != (newest := self._newest.get(payload["doc_id"]))
            )
        )

    def skipped(self, points, committed):
        """Documents whose events lie below a committed offset while the index knows only older ones."""
        held = {}
        for _, payload in points:
            held[payload["doc_id"]] = max(held.get(payload["doc_id"], 0), payload["version"])
        found = []
        for document, events in self.known.items():
            for partition, offset, version in reversed(events):
                if partition in committed and offset < committed[partition].offset:
                    if held.get(document, 0) < version:
                        found.append(f"{document} is at {held.get(document, 0)}, committed at {version}")
                    break
        return Difference(lost=tuple(found))
