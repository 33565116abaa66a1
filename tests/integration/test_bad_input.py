"""Bad input to a running stream: each record ends as a dead letter or as a document, and the stream goes on.

Every kind of bad input that the project answers for, and the test that shows its end (``::`` alone: in this file):

    undecodable bytes                       ::test_a_record_that_can_never_work_is_a_dead_letter
    wrong schema                            the same, and test_stream_intake.py for chunk events
    missing key                             the same
    payload field of the wrong type         the same
    TOAST placeholder                       the same; its cure ::test_a_placeholder_takes_its_value_from_before
    lone surrogates                         the same
    NUL, emoji, right-to-left text          ::test_any_text_is_found_as_it_was_written
    text of one endless word                ::test_an_endless_word_is_a_document_like_any_other
    50 MB text                              ::test_a_text_of_50_megabytes_is_a_dead_letter_without_its_text
    vector with NaN                         ::test_a_vector_with_nan_takes_its_own_document_and_no_other
    empty text                              test_stream_rows.py::test_a_row_without_text_is_a_document_…
    absent mapped column                    test_bad_input_stops.py
    re-created or repartitioned CDC topic   test_bad_input_stops.py
    topic that does not exist               test_bad_input_stops.py
    unreachable broker                      test_bad_input_stops.py
    unknown configuration key               test_bad_input_stops.py
    model folder with pickled weights       test_bad_input_stops.py
    collection of another contract          test_bad_input_stops.py
    data directory of another process       test_bad_input_stops.py
    truncated table                         test_bad_input_stops.py

What each decoder refuses in detail is in ``tests/unit`` (test_change, test_debezium, test_plain_document,
test_chunk_codec); here it is shown that the running stream does with it what it should.
"""

import hashlib
import json
import secrets

import pytest
from cdc_events import assert_holds, envelope, row
from deployed_stream import LARGEST_RECORD, Stream
from models import build_tiny_model
from safetensors.numpy import load_file, save_file

PLACEHOLDER = "__debezium_unavailable_value"


class Bad:
    """A running stream with a source of envelopes and one of plain documents."""

    def __init__(self, stream):
        self.stream = stream
        self.id = secrets.token_hex(6)
        self.plain = f"{stream.name}.plain"

    def row(self, *rest, **more):
        return row(self.id, *rest, **more)

    def letter(self, key, value, topic="", headers=()):
        """The one letter that this record makes."""
        before = len(self.stream.letters())
        self.stream.put(key, value, topic=topic, headers=headers)
        self.stream.drained()
        (letter,) = self.stream.letters()[before:]
        return letter


@pytest.fixture(scope="module")
def shared(kafka):
    stream = Stream(kafka)
    try:
        plain = stream.source("plain", topic=f"{stream.name}.plain", format="document", title=None, fields={})
        stream.change({"source": [stream.source(), plain], "registry": {"on_framed": "dead-letter"}})
        stream.create()
        stream.create(f"{stream.name}.plain", 2, max_message_bytes=str(LARGEST_RECORD))
        stream.run().ready()
        yield stream
    finally:
        stream.close()


@pytest.fixture
def bad(shared):
    return Bad(shared)


def plain(value):
    return lambda bad: (bad.id.encode(), value)


def change(**columns):
    return lambda bad: ({"id": bad.id}, envelope("u", bad.row("a text") | columns))


NEVER = {
    "bytes": ("plain", plain(b"\xff\xfe\x00text"), "undecodable"),
    "cut off": ("plain", plain(b'{"body": "cut o'), "undecodable"),
    "lone surrogate": ("plain", plain(b'{"body": "lone \\ud800 surrogate"}'), "undecodable"),
    "nan": ("plain", plain(b'{"body": "a", "pages": NaN}'), "undecodable"),
    "array": ("plain", plain(b'["an array"]'), "not-an-object"),
    "number for text": ("plain", plain(b'{"body": 7}'), "text-type"),
    "long integer": ("plain", plain(b'{"body": "a", "n": 123456789012345678901}'), "integer-range"),
    "no key": ("plain", lambda _: (None, b'{"body": "nobody"}'), "missing-key"),
    "key of bytes": ("plain", lambda _: (b"\xff", b'{"body": "nobody"}'), "undecodable"),
    "row without key": ("docs", lambda bad: (None, envelope("c", bad.row("nobody"))), "missing-key"),
    "null in key": ("docs", lambda bad: ({"id": None}, envelope("c", bad.row("nobody"))), "null-key"),
    "unknown op": ("docs", lambda bad: ({"id": bad.id}, envelope("x", bad.row("a"))), "unknown-op"),
    "no row": ("docs", lambda bad: ({"id": bad.id}, envelope("u")), "envelope"),
    "avro": ("docs", lambda bad: ({"id": bad.id}, b"\x00\x00\x00\x00\x07Avro"), "registry-framed"),
    "placeholder": ("docs", change(body=PLACEHOLDER), "placeholder"),
    "array for text": ("docs", change(body=["text"]), "text-type"),
    "text for integer": ("docs", change(pages="seven"), "field-type"),
    "object for keyword": ("docs", change(section={"a": 1}), "field-type"),
    "surrogate in row": (
        "docs",
        lambda bad: ({"id": bad.id}, b'{"op":"u","after":{"body":"\\udc00"}}'),
        "undecodable",
    ),
}
"""Source, record, and the kind of its dead letter."""


@pytest.fixture(scope="module")
def written(shared):
    """Each of them between two good revisions: (document of it, the texts before and behind, its letter)."""
    cases = {name: Bad(shared) for name in NEVER}

    def good(when):
        for bad in cases.values():
            shared.put({"id": bad.id}, envelope("u", bad.row(f"Good {when} {bad.id}.")))

    good("before")
    for name, bad in cases.items():
        source, record, _ = NEVER[name]
        topic = shared.cdc if source == "docs" else bad.plain
        shared.put(*record(bad), topic=topic, headers=[("case", name.encode()), ("odd", b"\x00\xff"), ("odd", None)])
    shared.drained()
    before = shared.texts()
    good("behind")
    shared.drained()
    behind = shared.texts()
    letters = {dict(letter.headers).get("case"): letter for letter in shared.letters()}
    return {
        name: (bad, before[f"docs/{bad.id}"], behind[f"docs/{bad.id}"], letters[name.encode()])
        for name, bad in cases.items()
    }


@pytest.mark.parametrize("name", NEVER)
def test_a_record_that_can_never_work_is_a_dead_letter(written, name):
    """Key, value and headers as they were, with the place, the stage, the kind and a sentence; the others go on."""
    source, record, kind = NEVER[name]
    bad, before, behind, letter = written[name]
    as_written = [one if one is None or isinstance(one, bytes) else json.dumps(one).encode() for one in record(bad)]
    assert [letter.key, letter.value] == as_written
    assert letter.headers == (("case", name.encode()), ("odd", b"\x00\xff"), ("odd", None))
    assert letter.topic == (bad.stream.cdc if source == "docs" else bad.plain)
    assert (letter.stage, letter.error_class) == ("chunker", kind)
    assert letter.version == letter.offset + 1
    assert letter.lineage
    assert letter.message.endswith(".")
    assert before == [f"Good before {bad.id}."], "the last good revision stays"
    assert behind == [f"Good behind {bad.id}."]


def test_a_placeholder_takes_its_value_from_before(bad):
    before, after = bad.row(f"A large text {bad.id}."), bad.row(PLACEHOLDER, section="changed")
    bad.stream.put({"id": bad.id}, envelope("u", after, before=before))
    bad.stream.drained()
    assert bad.stream.texts()[f"docs/{bad.id}"] == [f"A large text {bad.id}."]


@pytest.mark.parametrize(
    "text",
    [
        "before\x00and after NUL \x01 and a bell \x07",
        "emoji 👩‍👩‍👧‍👦 and 🇺🇦 and 👍🏽",
        "שלום עולם, هذا نص عربي من اليمين إلى اليسار \u202e(bidi)\u202c.",
        "日本語の文章です。これは二つ目の文です。",
        "a\u0301 and \u00e1 \ufeff \u2028 line \u2029 paragraph",
        '"quotes" \\ back\\slashes <tags> & {"json": "inside"}',
        "\U0010ffff\ufffe",
    ],
    ids=["nul", "emoji", "right to left", "no spaces", "combining", "quotes", "noncharacters"],
)
def test_any_text_is_found_as_it_was_written(bad, text):
    key = {"id": f"{bad.id} {text}"}
    bad.stream.put(key, envelope("c", bad.row(text, text, text)))
    bad.stream.drained()
    points = [one for one in bad.stream.points().values() if one["doc_id"] == f"docs/{key['id']}"]
    assert "".join("".join(str(one["text"]).split()) for one in points) == "".join(text.split())
    for one in points:
        start, end = one["span"]
        assert one["text"] == text[start:end]
        assert (one["title"], one["section"]) == (text, text)


def test_an_endless_word_is_a_document_like_any_other(bad):
    word = "a" * 200_000
    bad.stream.put(bad.id, {"body": f"before {word} after"}, topic=bad.plain)
    bad.stream.drained()
    assert "".join(bad.stream.texts()[f"plain/{bad.id}"]).replace(" ", "") == f"before{word}after"


@pytest.mark.parametrize("unit", ["a sentence that is said again. ", "a"], ids=["sentences", "one word"])
def test_a_text_of_50_megabytes_is_a_dead_letter_without_its_text(bad, unit):
    value = json.dumps({"body": (unit * (50_000_000 // len(unit) + 1))[:50_000_000]}).encode()
    letter = bad.letter(bad.id.encode(), value, bad.plain)
    assert letter.error_class == "oversized"
    assert letter.value is None
    assert letter.truncated.length == len(value)
    assert letter.truncated.blake2b == hashlib.blake2b(value, digest_size=32).hexdigest()
    bad.stream.put(bad.id.encode(), {"body": "A shorter text."}, topic=bad.plain)
    bad.stream.drained()
    assert bad.stream.texts()[f"plain/{bad.id}"] == ["A shorter text."]


def test_a_vector_with_nan_takes_its_own_document_and_no_other(new_stream):
    """A model that is broken at one word, as weights of a bad training run can be."""
    stream = new_stream()
    folder = build_tiny_model(stream.folder / "model")
    weights = load_file(folder / "model.safetensors")
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    weights["embeddings.word_embeddings.weight"][vocabulary.index("zulu")] = float("nan")
    save_file(weights, folder / "model.safetensors")
    stream.change({"encoding": {"model": f"path:{folder}", "number_format": "float32"}})
    stream.create()
    for number in range(9):
        body = f"Number {number} says zulu here." if number == 4 else f"Number {number} says nothing."
        stream.put({"id": number}, envelope("c", row(number, body)))
    stream.run().ready()
    stream.drained()
    (letter,) = stream.letters()
    assert letter.stage == "embedder"
    assert letter.error_class.startswith("vector")
    assert json.loads(letter.key)[0] == "docs/4"
    assert letter.version is not None
    assert sorted(stream.texts()) == [f"docs/{number}" for number in range(9) if number != 4]
    stream.put({"id": 4}, envelope("u", row(4, "Number 4 is mended.")))
    stream.drained()
    assert_holds(stream.points(None), stream.deployment(), stream.records(stream.cdc))
