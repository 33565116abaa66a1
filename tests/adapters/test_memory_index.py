"""What the index in memory offers beyond the laws: the hook before each effect, and views of other processes."""

import pytest
from index_world import FIELDS, SPEC, chunk, mark, one, payload, put, touch

from adapters.memory.index import MemoryCatalog


class Crash(Exception):
    pass


def test_the_hook_is_called_before_each_single_effect():
    seen: list[str] = []
    catalog = MemoryCatalog(seen.append)
    catalog.create("docs", SPEC, FIELDS, {})
    catalog.replace_metadata("docs", {}, {"a": 1})
    catalog.switch_alias("live", None, "docs")
    index = catalog.open("docs")
    index.write([put("a", 1), touch(["a"], 1), mark("a", 2)])
    index.flush()

    assert seen == [
        *("catalog.create", "catalog.replace_metadata", "catalog.switch_alias"),
        *("index.put", "index.touch", "index.mark", "index.flush"),
    ]


def test_a_writer_that_crashes_at_the_hook_has_written_what_came_before():
    catalog = MemoryCatalog()
    catalog.create("docs", SPEC, FIELDS, {})

    def crash_at_the_mark(name: str) -> None:
        if name == "index.mark":
            raise Crash

    with pytest.raises(Crash):
        catalog.seen_by(crash_at_the_mark).open("docs").write([put("a", 1), mark("b", 1), put("c", 1)])

    assert [point.id for point in catalog.open("docs").scroll()] == [chunk("a")]


def test_the_condition_is_checked_after_the_hook_at_the_moment_of_the_write():
    catalog = MemoryCatalog()
    catalog.create("docs", SPEC, FIELDS, {})
    index = catalog.open("docs")

    def overtaken(_name: str) -> None:
        index.write([put("a", 9)])

    catalog.seen_by(overtaken).open("docs").write([put("a", 5)])

    assert one(index, "a").payload == payload(9)


def test_a_view_shares_everything_but_the_hook():
    catalog = MemoryCatalog()
    other = catalog.seen_by(lambda _name: None)
    other.create("docs", SPEC, FIELDS, {"k": 1})
    other.open("docs").write([put("a", 1)])
    other.close()

    assert catalog.metadata("docs") == {"k": 1}
    assert catalog.open("docs").count() == 1
