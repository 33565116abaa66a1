"""The beginning of an upgrade: the next pair's collection, which its processes wait for.

Nothing is replayed before it is known that the replay will be whole, and nothing is made before it is known that the
next encoder is sound: the collection carries its contract, its probes, and the name of the one that it replaces.
Said again, it finds what it made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from operations.upgrade.surroundings import Surroundings
from stream import probes
from stream.collection import check_contract, from_json, new_record
from stream.errors import Fatal, Misuse
from stream.ports import Encoder, FieldType, VectorSpec
from stream.upgrade import Kind, lost_history

_RACES = 20


@dataclass(frozen=True, slots=True)
class Begun:
    """``anew``: this call made the collection."""

    collection: str
    anew: bool


def check_startable(around: Surroundings, *, resnapshot: bool) -> None:
    """Raises Misuse where users search neither of the two or the next one already, Fatal where history is gone."""
    live = around.live
    if live == around.after.collection:
        raise Misuse(
            f"Index {around.index_name} means {live} already, which --next makes: the upgrade is done. "
            "`embedstream upgrade retire` takes the collection before it away."
        )
    if live != around.before.collection:
        raise Misuse(
            f"Index {around.index_name} means {live or 'nothing yet'}, and --config makes "
            f"{around.before.collection}; name the file of what is searched now with --config."
        )
    if not resnapshot:
        _check_history(around)


def _check_history(around: Surroundings) -> None:
    replayed = (around.chunk_topic,) if around.change.kind is Kind.ENCODING else around.cdc_topics
    described = around.topics.describe(replayed, settings=True)
    for topic in replayed:
        info = described.get(topic)
        if info is None:
            raise Fatal(f"The topic {topic} does not exist, so there is nothing to replay; correct its name.")
        gone = lost_history(topic, info, around.topics.low_watermarks(topic))
        if gone is not None:
            raise Fatal(_gone(around, topic, gone.number))


def _gone(around: Surroundings, topic: str, number: int) -> str:
    which = "and it is not only compacted, " if topic == around.chunk_topic else ""
    tables = ", ".join(f'"{".".join(cdc.rsplit(".", 2)[-2:])}"' for cdc in around.cdc_topics)
    return (
        f"The first records of {topic} [{number}] are gone, {which}so a replay would miss every document that was "
        "not changed since; have all rows written again by an incremental snapshot: say this with --resnapshot, or "
        'send the connector the signal {"type": "execute-snapshot", "data": {"type": "INCREMENTAL", '
        f'"data-collections": [{tables}]}}}} yourself and say this with --resnapshotted.'
    )


def start(
    around: Surroundings, fields: Mapping[str, FieldType], lineages: Mapping[str, str], encoder: Encoder
) -> Begun:
    """Makes the collection, or finds it. Raises Fatal where its embedders run already, or it is another's."""
    pair, replaces = around.after, around.before.collection
    contract = pair.contract
    if not around.has(pair):
        if not around.groups.delete(pair.embedder_group):
            raise Fatal(
                f"Group {pair.embedder_group} has members and its collection does not exist; stop the embedders of "
                "the next pair, then say this again."
            )
        record = replace(new_record(contract, lineages, probes.take(encoder)), replaces=replaces)
        vector = VectorSpec(contract.encoding.vector_name, contract.encoding.dimensions)
        try:
            around.catalog.create(pair.collection, vector, fields, record.to_json())
        except Fatal:
            # Somebody said the same a moment ago; then theirs is the one to find.
            if not around.has(pair):
                raise
        else:
            return Begun(pair.collection, anew=True)
    return _found(around, encoder)


def _found(around: Surroundings, encoder: Encoder) -> Begun:
    pair, replaces = around.after, around.before.collection
    for _ in range(_RACES):
        metadata = around.catalog.metadata(pair.collection)
        record = from_json(metadata)
        check_contract(pair.contract, record.contract)
        probes.check(record.probes, encoder, pair.collection)
        wanted = replace(record, replaces=replaces)
        if wanted == record or around.catalog.replace_metadata(pair.collection, metadata, wanted.to_json()):
            return Begun(pair.collection, anew=False)
    raise Fatal(
        f"The metadata of collection {pair.collection} keeps changing under this process; see what writes it."
    )
