"""The table and its connector: rows that are written, deleted and written again, and the topic that tells of them.

The connector is at least once: after a restart it tells a part of the history again, at higher offsets (u1 u2 u1 u2).
Some records no chunker can read. What the index has to hold in the end is asked here: the last good row of each key.
"""

import orjson
from simulation.deployment import PARTITIONS, SOURCE, VENOM

from schemas.identity import Version
from stream.change import read_change
from stream.ports import Outgoing, Partition

WORDS = ("alpha", "beta", "gamma", "delta")
GARBAGE = b"\xff no JSON"


class Rows:
    def __init__(self, broker, rng, *, keys, venom):
        self._broker, self._rng = broker, rng
        self._keys = [f"k{number}" for number in range(keys)]
        self._venom = venom
        self._told = {number: [] for number in range(PARTITIONS)}
        self._words = dict.fromkeys(self._keys)
        self._before = {key: [] for key in self._keys}
        self.last = {}
        """Key → record of its last good row, a delete included."""

    def write(self):
        """One row is inserted, edited, emptied or deleted."""
        key = self._rng.choice(self._keys)
        words = self._words[key]
        words = self._edited(list(words)) if words is not None else self._inserted(key)
        if words is not None and self._venom and self._rng.random() < 0.15:
            words.append(VENOM)
        self._words[key] = words
        self._before[key].append(words)
        value = {"body": " ".join(words), "colour": self._rng.randint(0, 1)} if words is not None else None
        self._append(key, None if value is None else orjson.dumps(value))

    def write_garbage(self):
        """A record that nobody can read, under a key that has a document."""
        self._append(self._rng.choice(self._keys), GARBAGE)

    def rewind(self):
        """The connector tells the last part of a partition's history again."""
        number = self._rng.randrange(PARTITIONS)
        told = self._told[number]
        if told:
            for key, value in told[-self._rng.randint(1, min(4, len(told))) :]:
                self._append(key, value)

    @property
    def changes(self):
        """Document → its last good change, at its version."""
        return {
            change.doc_id: change
            for change in (
                read_change(SOURCE, one.key, one.value, (), Version(one.offset + 1), one.timestamp_ms)
                for one in self.last.values()
            )
        }

    def _inserted(self, key):
        """A new row, or one of before that comes back."""
        before = [words for words in self._before[key] if words]
        if before and self._rng.random() < 0.7:
            return [word for word in self._rng.choice(before) if word != VENOM]
        return self._rng.choices(WORDS, k=self._rng.randint(1, 4))

    def _edited(self, words):
        match self._rng.randrange(7):
            case 0:
                return None
            case 1:
                return []
            case 2 | 3 if words:
                words.pop(self._rng.randrange(len(words)))
            case 4:
                self._rng.shuffle(words)
            case _:
                words.insert(self._rng.randint(0, len(words)), self._rng.choice(WORDS))
        return [word for word in words if word != VENOM][:5]

    def _append(self, key, value):
        number = self._keys.index(key) % PARTITIONS
        place = Partition(SOURCE.topic, number)
        self._told[number].append((key, value))
        self._broker.append(Outgoing(place, key.encode(), value))
        if value != GARBAGE:
            log = self._broker.log(place)
            self.last[key] = log.read(log.end - 1, 1)[0][0]
