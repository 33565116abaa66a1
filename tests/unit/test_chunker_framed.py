"""The chunker's loop on records framed by a registry: what a registry that is away does to it, and what not."""

from dataclasses import replace

import pytest
from chunker_world import CDC, World, row
from connect_converters import FramedWriter
from doubles.schema_registry import SchemaRegistryDouble

from adapters.schema_registry.client import RegistrySchemas
from adapters.schema_registry.unframer import RegistryUnframer
from stream.errors import Fatal, Outage
from stream.ports import Committed, Outgoing

KEY = {"type": "int32"}
ROW = {"type": "struct", "name": "kb.Row", "fields": [{"type": "string", "field": "body", "optional": True}]}


@pytest.fixture
def registry():
    double = SchemaRegistryDouble()
    yield double
    double.stop()


@pytest.fixture(params=["prefix", "header"])
def framed(registry, request):
    """``framed(key, body)``: a document as an Avro serializer writes it."""
    writer = FramedWriter(registry.url, "avro", request.param)

    def write(key, body):
        said = None if body is None else {"schema": ROW, "payload": {"body": body}}
        key_bytes, value, headers = writer.record(CDC.topic, {"schema": KEY, "payload": key}, said)
        return Outgoing(CDC, key_bytes, value, tuple(headers))

    yield write
    writer.close()


@pytest.fixture
def world(registry):
    made = World().start()
    made.unframer = RegistryUnframer(RegistrySchemas({"url": registry.url}))
    made.chunker._parts = replace(made.chunker._parts, unframer=made.unframer)
    yield made
    made.unframer.close()


def said_by(world):
    return [
        (event.kind, event.doc_id, event.version, [chunk.text for chunk in event.chunks]) for event in world.events
    ]


def test_framed_and_unframed_documents_stand_side_by_side(world, framed):
    world.write(framed(1, "Alpha."), row("2", "Beta."), framed(2, "Beta, again."), framed(1, None))
    world.turn()
    assert said_by(world) == [
        ("upsert", "docs/2", 3, ["Beta, again."]),
        ("delete", "docs/1", 4, []),
    ]
    assert world.letters == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_registry_that_is_away_dead_letters_nothing_and_everything_is_read_when_it_is_back(
    world, framed, registry, status
):
    world.write(row("1", "Alpha."), framed(2, "Beta."), row("3", 7), framed(4, "Delta."))
    registry.fail_next(status, times=3)
    for _ in range(3):
        with pytest.raises(Outage):
            world.turn()
        assert (world.events, world.letters, world.committed) == ([], [], {})
    world.turn()
    assert [event.doc_id for event in world.events] == ["docs/1", "docs/2", "docs/4"]
    assert [letter.offset for letter in world.letters] == [2]
    assert world.committed[CDC] == Committed(4)


def test_a_registry_with_a_closed_port_is_waited_for_by_the_loop(world, framed, registry):
    world.write(framed(1, "Alpha."))
    registry.stop()
    waits = []

    class Stopping:
        def is_set(self):
            return bool(world.events)

        def wait(self, timeout=None):
            waits.append(timeout)
            if len(waits) == 4:
                registry.start()
            return self.is_set()

    world.chunker.run(world.consumer, world.producer, Stopping())
    assert said_by(world) == [("upsert", "docs/1", 1, ["Alpha."])]
    assert len(waits) == 4
    assert waits[3] > waits[0]
    assert world.letters == []
    assert world.counted("outages", stage="chunker") == 4


def test_a_letter_of_a_framed_record_holds_its_bytes_and_headers_as_they_were(world, framed):
    good = framed(1, "Alpha.")
    broken = replace(good, value=good.value[:-1] + b"\xff" * 3, headers=(*good.headers, ("odd", None)))
    world.write(broken, framed(2, "Beta."))
    world.turn()
    (letter,) = world.letters
    assert (letter.key, letter.value, letter.headers) == (broken.key, broken.value, broken.headers)
    assert (letter.error_class, letter.offset) == ("undecodable", 0)
    assert [event.doc_id for event in world.events] == ["docs/2"]


def test_credentials_that_are_refused_stop_the_chunker_and_commit_nothing(world, framed, registry):
    world.write(framed(1, "Alpha."))
    registry.credentials = "reader:secret"
    with pytest.raises(Fatal, match="refuses the credentials"):
        world.turn()
    assert (world.events, world.letters, world.committed) == ([], [], {})


def test_a_framed_record_stops_a_chunker_without_a_registry(framed):
    world = World().start()
    world.write(framed(1, "Alpha."))
    with pytest.raises(Fatal, match=f"topic '{CDC.topic}' is framed by a schema registry"):
        world.turn()
    assert (world.events, world.letters, world.committed) == ([], [], {})
