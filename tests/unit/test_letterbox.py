from schemas import dead_letter
from schemas.identity import Version
from stream.errors import Poison
from stream.letterbox import Letterbox
from stream.partitioning import partition_for
from stream.ports import Partition, Record

BOX = Letterbox("kb.dead-letters", 5, 100)
HEADERS = (("chunking", b"x"), ("twice", b"1"), ("twice", None), ("not utf-8", b"\xff"))
PLACE = Partition("kb.chunks", 3)
POISON = Poison("schema", "It is not what it should be.")


def letter_of(record, **more):
    made = BOX.letter(record, "embedder", POISON, **more)
    return made, dead_letter.decode(made.key, made.value, made.headers)


def test_the_record_is_kept_byte_for_byte_beside_where_it_stood_and_why_it_failed():
    record = Record(PLACE, 17, b"\xffkey", b"\x00value", HEADERS)
    made, letter = letter_of(record, version=Version(18), lineage="a/1+b/8")
    assert (made.key, made.value, made.headers[:4]) == (b"\xffkey", b"\x00value", HEADERS)
    assert (letter.topic, letter.partition, letter.offset) == ("kb.chunks", 3, 17)
    assert (letter.stage, letter.error_class, letter.message) == ("embedder", "schema", str(POISON))
    assert (letter.version, letter.lineage) == (18, "a/1+b/8")


def test_letters_of_one_key_stand_in_one_partition():
    records = [Record(PLACE, offset, b"[1]", b"") for offset in range(3)]
    numbers = {BOX.letter(record, "chunker", POISON).partition for record in records}
    assert numbers == {Partition("kb.dead-letters", partition_for(b"[1]", 5))}


def test_a_record_without_a_key_has_a_letter_too():
    made, letter = letter_of(Record(PLACE, 0, None, None))
    assert made.partition == Partition("kb.dead-letters", 0)
    assert (letter.key, letter.value, letter.version, letter.lineage) == (None, None, None, None)


def test_a_value_too_large_for_the_topic_gives_way_to_its_address():
    made, letter = letter_of(Record(PLACE, 17, b"k", b"x" * 101))
    assert len(made.value) < 400
    assert letter.value is None
    assert letter.truncated == dead_letter.Truncated.of(b"x" * 101)


def test_a_sentence_that_no_utf8_can_hold_is_written_as_an_escape():
    made = BOX.letter(Record(PLACE, 0, b"k", b"v"), "chunker", Poison("odd", "It holds \ud800."))
    assert dead_letter.decode(made.key, made.value, made.headers).message == "It holds \\ud800."
