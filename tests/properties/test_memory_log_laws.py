"""The partition in memory against a plain model of what Kafka's readers see."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.memory.partition_log import PartitionLog, Transaction
from stream.ports import Partition, Record

PLACE = Partition("topic", 0)
KEYS = st.sampled_from([b"a", b"b", b"c"])


class LogAgainstModel(RuleBasedStateMachine):
    """The model keeps every record with its fate and asks it anew at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.log = PartitionLog()
        self.written: list[tuple[Record, Transaction | None]] = []
        self.open: list[Transaction] = []

    @rule(key=KEYS, value=st.sampled_from([b"x", b"y", None]))
    def append(self, key, value):
        self._append(key, value, None)

    @rule(key=KEYS, fresh=st.booleans(), which=st.integers(0, 3))
    def append_in_transaction(self, key, fresh, which):
        if fresh or not self.open:
            self.open.append(Transaction())
            which = len(self.open) - 1
        self._append(key, b"t", self.open[which % len(self.open)])

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 3), committed=st.booleans())
    def end(self, which, committed):
        transaction = self.open.pop(which % len(self.open))
        transaction.committed = committed
        before = self.log.end
        self.log.mark(transaction)
        assert self.log.end == before + 1

    @rule(drop=st.booleans())
    def compact(self, drop):
        self.log.compact(drop_tombstones=drop)
        stable = self.log.stable_end
        settled = [(record, fate) for record, fate in self.written if record.offset < stable and self._seen(fate)]
        newest = {record.key: record.offset for record, _fate in settled}
        kept = [
            (record, fate)
            for record, fate in settled
            if newest[record.key] == record.offset and not (drop and record.value is None)
        ]
        self.written = kept + [(record, fate) for record, fate in self.written if record.offset >= stable]

    @rule(back=st.integers(0, 5))
    def truncate(self, back):
        before = max(self.log.low, self.log.stable_end - back)
        self.log.truncate(before)
        self.written = [(record, fate) for record, fate in self.written if record.offset >= before]

    @invariant()
    def a_reader_sees_what_is_committed_and_stable_in_order(self):
        first_open = [record.offset for record, fate in self.written if fate in self.open]
        stable = min(first_open, default=self.log.end)
        assert self.log.stable_end == stable
        expected = [record for record, fate in self.written if record.offset < stable and self._seen(fate)]
        assert self.log.read(self.log.low, 1000) == (expected, max(self.log.low, stable))
        found, position = [], self.log.low
        while True:
            some, position = self.log.read(position, 2)
            found.extend(some)
            if not some:
                break
        assert found == expected

    def _append(self, key, value, transaction):
        record = Record(PLACE, self.log.end, key, value)
        self.written.append((record, transaction))
        self.log.append(record, transaction)

    @staticmethod
    def _seen(fate):
        return fate is None or fate.committed is True


TestLogAgainstModel = LogAgainstModel.TestCase
TestLogAgainstModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
