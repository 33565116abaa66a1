"""A source joins a running deployment on a real broker, whichever of its processes hears of it first."""

import pytest
from stream_process import wait_for

NOTES = 24


def with_notes(stream):
    """The configuration after: a source more, with a payload field that the collection does not know."""
    return [
        stream.source(),
        {
            "name": "notes",
            "topic": f"{stream.name}.notes",
            "format": "document",
            "text": ["text"],
            "fields": {"colour": "keyword"},
        },
    ]


def put_docs(stream, numbers):
    for number in numbers:
        row = {"id": number, "title": None, "body": f"Text {number}.", "section": "a", "pages": number}
        stream.put({"id": number}, row)


def put_notes(stream, start=0):
    for number in range(start, start + NOTES):
        note = {"text": f"Note {number}.", "colour": "red" if number % 2 else "blue"}
        stream.put(str(number).encode(), note, topic=f"{stream.name}.notes")


@pytest.fixture
def stream(new_stream):
    made = new_stream()
    made.create()
    made.create(f"{made.name}.notes")
    put_docs(made, range(6))
    return made


def notes_of(stream):
    return {doc for doc in stream.texts() if doc.startswith("notes/")}


def all_notes(count=NOTES):
    return {f"notes/{number}" for number in range(count)}


def test_the_chunkers_hear_of_it_first(stream):
    """The old embedder commits behind events that it does not know; its successor goes back for them."""
    chunker, embedder = stream.run("chunker").ready(), stream.run("embedder").ready()
    stream.drained()
    chunker.stop()
    stream.run("chunker", source=with_notes(stream)).ready()
    put_notes(stream)
    stream.tables["source"] = with_notes(stream)
    stream.drained()
    assert notes_of(stream) == set()
    embedder.stop()
    before = stream.points(None)
    successor = stream.run("embedder", "query").ready()
    wait_for(lambda: notes_of(stream) == all_notes(), "the notes to be there", seen=stream.status)
    stream.drained()
    after = stream.points(None)
    assert {id_: after[id_] for id_ in before} == before
    assert successor.chunks("embedded") == NOTES
    hits = successor.search("Note", filter={"must": [{"key": "colour", "match": {"value": "red"}}]}, limit=50)
    assert {hit["doc_id"] for hit in hits} == {f"notes/{number}" for number in range(1, NOTES, 2)}


def test_the_embedders_hear_of_it_first(stream):
    chunker, embedder = stream.run("chunker").ready(), stream.run("embedder").ready()
    stream.drained()
    embedder.stop()
    stream.run("embedder", source=with_notes(stream)).ready()
    put_notes(stream)
    chunker.stop()
    stream.run("chunker", source=with_notes(stream)).ready()
    stream.tables["source"] = with_notes(stream)
    stream.drained()
    assert notes_of(stream) == all_notes()


def test_an_embedder_that_stays_as_it_is_learns_of_it_from_another_one(stream):
    """Two embedders share the partitions; the one that was not restarted serves the new source in its own."""
    chunker, old = stream.run("chunker").ready(), stream.run("embedder").ready()
    stream.drained()
    chunker.stop()
    stream.run("chunker", source=with_notes(stream)).ready()
    put_notes(stream)
    stream.chunked()
    stream.tables["source"] = with_notes(stream)
    wait_for(lambda: old.events("mismatched"), "the old one to meet events that it does not know")
    visitor = stream.start("embedder").ready()
    visitor.stop()
    put_notes(stream, NOTES)
    wait_for(lambda: notes_of(stream) == all_notes(2 * NOTES), "all notes to be there", seen=stream.status)
    assert old.alive
