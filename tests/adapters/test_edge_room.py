"""A disk that runs full: the process stops while it can still say so, and goes on when there is room again."""

import os

import pytest
from index_world import FIELDS, SPEC, put

from adapters.edge import room
from adapters.edge.catalog import EdgeCatalog
from stream.errors import Fatal

NAME = "docs__abc__g1"
MORE_THAN_ANY_DISK_HAS = 1 << 62


@pytest.fixture
def full(monkeypatch):
    """Call it: from then on less is left than the reserve. ``monkeypatch.undo`` makes room."""
    return lambda: monkeypatch.setattr(room, "RESERVE_BYTES", MORE_THAN_ANY_DISK_HAS)


def test_without_room_a_write_and_a_flush_are_refused_and_what_was_written_stays(tmp_path, full, monkeypatch):
    catalog = EdgeCatalog(tmp_path)
    catalog.create(NAME, SPEC, FIELDS, {})
    index = catalog.open(NAME)
    index.write([put("before", 1)])
    full()
    for refused in (lambda: index.write([put("meanwhile", 2)]), index.flush):
        with pytest.raises(Fatal, match=r"MB left.*see to disk space, then start again"):
            refused()
    assert index.count() == 1, "reading goes on"
    catalog.close()

    monkeypatch.undo()
    catalog = EdgeCatalog(tmp_path)
    index = catalog.open(NAME)
    index.write([put("behind", 3)])
    assert index.count() == 2
    catalog.close()


def test_without_room_a_collection_is_not_loaded(tmp_path, full):
    """Loading carries out again what the log has and the files have not."""
    catalog = EdgeCatalog(tmp_path)
    catalog.create(NAME, SPEC, FIELDS, {})
    catalog.close()
    full()
    catalog = EdgeCatalog(tmp_path)
    with pytest.raises(Fatal, match="see to disk space"):
        catalog.open(NAME)
    catalog.close()


def test_what_writes_files_anew_needs_room_for_all_of_them(tmp_path, monkeypatch):
    catalog = EdgeCatalog(tmp_path)
    catalog.create(NAME, SPEC, FIELDS, {})
    catalog.open(NAME).write([put("before", 1)])
    (folder,) = tmp_path.rglob(NAME)
    with (folder / "large").open("wb") as large:
        os.posix_fallocate(large.fileno(), 0, 256 << 20)
    disk = os.statvfs(tmp_path)
    # Enough for a portion of writes, and not for the collection's files a second time.
    monkeypatch.setattr(room, "RESERVE_BYTES", disk.f_bavail * disk.f_frsize - (128 << 20))
    catalog.open(NAME).write([put("meanwhile", 2)])
    for refused in (lambda: catalog.optimize(NAME), lambda: catalog.rewrite(NAME)):
        with pytest.raises(Fatal, match="see to disk space"):
            refused()
    assert catalog.open(NAME).count() == 2
    catalog.close()
