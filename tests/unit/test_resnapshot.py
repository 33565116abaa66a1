import orjson
import pytest

from stream.errors import Misuse
from stream.ports import Partition
from stream.resnapshot import signal


@pytest.mark.parametrize(("topic", "prefix"), [("kb.public.docs", "kb"), ("my.kb.public.docs", "my.kb")])
def test_the_signal_names_the_table_under_the_connectors_prefix(topic, prefix):
    record = signal("kb.signals", topic, "upgrade-1")
    assert (record.partition, record.key) == (Partition("kb.signals", 0), prefix.encode())
    assert orjson.loads(record.value) == {
        "id": "upgrade-1",
        "type": "execute-snapshot",
        "data": {"type": "INCREMENTAL", "data-collections": ["public.docs"]},
    }


@pytest.mark.parametrize("topic", ["docs", "public.docs", "kb..docs", ".public.docs"])
def test_a_topic_that_names_no_table_is_refused(topic):
    with pytest.raises(Misuse, match="--resnapshotted"):
        signal("kb.signals", topic, "upgrade-1")
