"""The signal by which a Debezium connector writes every row of a table again, while the stream goes on.

A replay of a CDC topic is whole only where the topic has its beginning. Where it has not, an *incremental snapshot*
writes all rows behind its end, between the changes; versions grow on, and both pairs of an upgrade read the same.
Debezium reads signals from a topic of one partition, under the connector's ``topic.prefix`` as key.

Source: Debezium's documentation, "Sending signals to a Debezium connector", the Kafka signal channel.
"""

import orjson

from stream.errors import Misuse
from stream.ports import Outgoing, Partition


def signal(signal_topic: str, cdc_topic: str, id_: str) -> Outgoing:
    """For the table of this CDC topic; ``id_`` names the signal in Debezium's log.

    Raises Misuse where the topic is not named ``<topic.prefix>.<schema>.<table>``, as connectors name theirs.
    """
    parts = cdc_topic.rsplit(".", 2)
    if len(parts) < 3 or not all(parts):
        raise Misuse(
            f"The topic {cdc_topic} is not named <topic.prefix>.<schema>.<table>, so its table is not known; send "
            "the connector the signal yourself, then say --resnapshotted."
        )
    prefix, schema, table = parts
    value = {
        "id": id_,
        "type": "execute-snapshot",
        "data": {"type": "INCREMENTAL", "data-collections": [f"{schema}.{table}"]},
    }
    return Outgoing(Partition(signal_topic, 0), prefix.encode(), orjson.dumps(value))
