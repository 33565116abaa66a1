"""``embedstream dead-letters list | show | redrive`` on a stream, whose letters each end as an operator wants.

One stream for the module: a chunker's letter (a document too large for the limit of the time) and an embedder's (an
event that the next configuration can read) are mended and redriven; every other letter is told why it is not.
"""

import json
import secrets

import pytest
from cdc_events import assert_holds, envelope, row
from commanded import commanded
from deployed_stream import Stream
from stream_process import wait_for

from schemas import chunk_codec
from schemas.chunk_event import ATTEMPT_HEADER

SECRET = f"secret{secrets.token_hex(6)}"
SMALL = {"chunks": {"max_event_bytes": 1200}}


class Letters:
    def __init__(self, stream):
        self.stream = stream

    def run(self, *arguments, **changed):
        return commanded(self.stream.config(**changed), "dead-letters", *arguments)

    def json(self, *arguments, status=0, **changed):
        ended, said = self.run(*arguments, "--json", **changed)
        assert ended == status, said
        return json.loads(said)

    def of(self, document):
        return self.json("list", "--document", document)


@pytest.fixture(scope="module")
def letters(kafka):
    stream = Stream(kafka)
    try:
        stream.create()
        with_small_events = stream.run(**SMALL).ready()
        long = " ".join(f"Sentence {n} of a long text." for n in range(60))
        stream.put({"id": "large"}, envelope("c", row("large", long)))
        stream.put({"id": "moved"}, envelope("c", row("moved", long)))
        stream.put({"id": "typed"}, envelope("c", row("typed", "A text.") | {"pages": SECRET}))
        stream.put(None, envelope("c", row("nobody", SECRET)))
        stream.put({"id": "good"}, envelope("c", row("good", "A good text.")))
        stream.drained()
        stream.put({"id": "moved"}, envelope("u", row("moved", "A newer text.")))
        stream.drained()
        with_small_events.stop()
        yield Letters(stream)
    finally:
        stream.close()


def test_a_list_names_letters_and_prints_no_value(letters):
    status, said = letters.run("list", "--stage", "chunker")
    assert status == 0
    assert "docs/large" in said
    assert "4 dead letters" in said
    assert SECRET not in said
    assert SECRET not in letters.run("list", "--json")[1]
    kinds = sorted(each["kind"] for each in letters.json("list", "--stage", "chunker"))
    assert kinds == ["field-type", "missing-key", "oversized", "oversized"]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--kind", "oversized"], 2),
        (["--kind", "oversized", "--document", "docs/large"], 1),
        (["--document", 'docs/{"id": "large"}'], 1),
        (["--source", "docs", "--stage", "chunker"], 4),
        (["--stage", "embedder", "--kind", "oversized"], 0),
        (["--at", "CDC"], 4),
        (["--at", "no.such.topic"], 0),
    ],
)
def test_a_list_is_narrowed_by_kind_document_source_stage_and_place(letters, options, count):
    given = [option.replace("CDC", letters.stream.cdc) for option in options]
    assert len(letters.json("list", *given)) == count


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--source", "wiki"], "'wiki' is no source of this configuration"),
        (["--stage", "query"], "--stage takes chunker or embedder"),
        (["--document", "large"], "names no source"),
        (["--at", "a b"], "is no place"),
    ],
)
def test_a_wrong_option_is_told_and_ends_with_2(letters, options, why):
    status, said = letters.run("list", *options)
    assert (status, why in said) == (2, True), said


def test_one_letter_is_shown_whole_by_its_own_place_and_by_that_of_its_record(letters):
    (listed,) = letters.of("docs/typed")
    status, said = letters.run("show", listed["letter"])
    assert status == 0
    assert SECRET in said
    assert "field-type: The field 'pages'" in said
    origin = f"{listed['topic']}:{listed['partition']}:{listed['offset']}"
    shown = letters.json("show", origin)
    assert json.loads(shown["value"])["after"]["pages"] == SECRET
    assert json.loads(shown["key"]) == {"id": "typed"}
    raw = letters.stream.command("dead-letters", "show", origin, "--raw").printed()
    assert json.loads(raw)["after"]["pages"] == SECRET


def test_a_letter_that_is_not_there_ends_with_1_and_what_names_none_with_2(letters):
    assert letters.run("show", "0:99999")[0] == 1
    assert letters.run("show", letters.stream.cdc)[0] == 2
    status, said = letters.run("redrive")
    assert (status, "say --all" in said) == (2, True)


def test_letters_are_redriven_at_their_versions_and_twice_is_harmless(letters):
    stream = letters.stream
    (large,), (moved,) = letters.of("docs/large"), letters.of("docs/moved")
    ends = stream.topics.ends(stream.cdc)
    told = {each["document"]: each for each in letters.json("redrive", "--at", stream.cdc, status=1, **SMALL)}
    assert {name: each["outcome"] for name, each in told.items()} == dict.fromkeys(
        ["docs/large", "docs/moved", "docs/typed", None], "refused"
    )
    running = stream.run().ready()
    before = running.chunks("embedded")
    for outcome in ("published", "applied"):
        told = {each["document"]: each for each in letters.json("redrive", "--kind", "oversized")}
        assert {name: each["outcome"] for name, each in told.items()} == {
            "docs/large": outcome,
            "docs/moved": "stale",
        }
        assert (told["docs/large"]["version"], told["docs/large"]["attempt"]) == (large["version"], 1)
        assert f"holds version {stream_version(stream, 'docs/moved')}" in told["docs/moved"]["sentence"]
        stream.drained()
        assert len(stream.texts()["docs/large"]) > 3
        assert stream.texts()["docs/moved"] == ["A newer text."]
    assert running.chunks("embedded") - before == len(stream.texts()["docs/large"])
    assert stream.topics.ends(stream.cdc) == ends, "a redrive never writes to the CDC topic"
    assert_holds(stream.points(None), stream.deployment(), stream.records(stream.cdc))
    (published,) = [record for record in stream.records(stream.chunks) if ATTEMPT_HEADER in dict(record.headers)]
    assert chunk_codec.decode_key(published.key).version == large["version"]
    assert moved["version"] < stream_version(stream, "docs/moved")
    running.stop()


def test_an_events_letter_is_published_as_the_event_it_was_and_its_attempts_are_counted(letters):
    """An event that this version cannot read, as one of a newer version would be; it stays a letter."""
    stream = letters.stream
    running = stream.run().ready()
    stream.drained()
    (good,) = [event for event in stream.records(stream.chunks) if b"docs/good" in (event.key or b"")]
    broken = good.value.replace(b'"schema":1', b'"schema":2')
    stream.put(good.key, broken, topic=stream.chunks, headers=good.headers, partition=good.partition.number)
    stream.drained()
    wait_for(lambda: letters.of("docs/good"), "its letter")
    (outcome,) = letters.json("redrive", "--document", "docs/good", status=1)
    assert outcome["outcome"] == "refused"
    assert "schema" in outcome["sentence"]
    running.stop()


def stream_version(stream, document):
    return max(payload["version"] for payload in stream.points().values() if payload["doc_id"] == document)
