"""One process owns a data directory, and what a killed owner leaves behind: real processes, real SIGKILL."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import index_owner
import pytest
from index_world import EAST, FIELDS, SPEC, chunk, found, mark, payload, put, touch

from adapters.edge.catalog import EdgeCatalog
from adapters.edge.client import SocketCatalog
from adapters.edge.opening import open_catalog
from adapters.memory.index import MemoryCatalog
from stream.errors import Fatal, Misuse, Outage
from stream.filter import equals
from stream.ports import VectorIndex

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60

Starting = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def owner(folder: Path) -> Iterator[Starting]:
    """Starts processes that own ``folder / "index"``; returns when they do."""
    processes: list[subprocess.Popen[str]] = []

    def start(command: str, *rest: str, path: Path = folder / "index") -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, ROOT / "tests" / "index_owner.py", command, path, *rest],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        )
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    assert process.wait(PATIENCE_S) == -signal.SIGKILL


# --- durability


def contents(index: VectorIndex) -> dict:
    return {
        point.id: (point.payload, None if point.vector is None else point.vector.values.tolist())
        for point in index.scroll(with_vectors=True)
    }


def after(revisions: int) -> VectorIndex:
    """The index as it is after whole revisions, in memory."""
    catalog = MemoryCatalog()
    catalog.create("docs", SPEC, FIELDS, {})
    index = catalog.open("docs")
    for number in range(1, revisions + 1):
        index.write(index_owner.revision(number))
    return index


@pytest.mark.parametrize("revisions", [1, 7, 300])
def test_every_acknowledged_write_survives_sigkill(folder: Path, owner: Starting, revisions: int):
    process = owner("write")
    while int(process.stdout.readline()) < revisions:
        pass
    kill(process)
    acknowledged = max([revisions, *map(int, process.stdout.read().split())])

    catalog = EdgeCatalog(folder / "index")
    index = catalog.open(index_owner.COLLECTION)
    # What was under way when the process died may be there or not; done again, it is there once.
    index.write(index_owner.revision(acknowledged + 1))
    assert contents(index) == contents(after(acknowledged + 1))
    assert found(index, limit=10_000) == {point.id for point in index.scroll() if point.payload["state"] == "live"}
    catalog.close()


def test_a_mark_that_was_discarded_stays_gone_after_sigkill(folder: Path, owner: Starting):
    process = owner("serve")
    with closing(SocketCatalog(folder / "index")) as catalog:
        catalog.create("docs", SPEC, FIELDS, {})
        index = catalog.open("docs")
        index.write([put("live", 1), *(mark(number, 8) for number in range(300))])
        index.flush()
        # Refused, and in the log all the same, before the delete: nothing of it may come in when the log is read.
        index.write([put(number, 5) for number in range(300)])
        catalog.bin("docs").discard(list(catalog.bin("docs").marks()))
    kill(process)

    with closing(EdgeCatalog(folder / "index")) as heir:
        assert {point.id for point in heir.open("docs").scroll()} == {chunk("live")}


def test_everything_is_there_after_closing_and_opening_again(folder: Path):
    catalog = EdgeCatalog(folder / "index")
    catalog.create("docs", SPEC, FIELDS, {"n": 1})
    catalog.switch_alias("live", None, "docs")
    catalog.open("docs").write([put("a", 1, section="x", draft=True), put("b", 1), mark("b", 2)])
    before = contents(catalog.open("docs"))
    catalog.close()

    again = EdgeCatalog(folder / "index")
    index = again.open("docs")
    assert contents(index) == before
    assert [hit.id for hit in index.search(EAST, 9, equals("draft", value=True))] == [chunk("a")]
    index.write([put("b", 1)])
    assert contents(index) == before, "the mark still refuses"
    assert again.metadata("docs") == {"n": 1}
    assert again.aliases() == {"live": "docs"}
    again.close()


@pytest.mark.parametrize(
    "step",
    [
        ("adapters.edge.catalog", "_make_shard"),
        ("adapters.edge.catalog", "EdgeShard.flush"),
        ("adapters.edge.catalog", "durable.replace"),
        ("adapters.edge.durable", "os.fsync", "1"),
        ("pathlib", "Path.replace", "1"),
        ("pathlib", "Path.rename", "1"),
    ],
    ids=lambda step: step[1],
)
def test_a_collection_whose_creation_was_killed_is_not_there_and_can_be_created(
    folder: Path, owner: Starting, step: tuple[str, ...]
):
    process = owner("die", *step)
    assert process.wait(PATIENCE_S) == -signal.SIGKILL

    catalog = EdgeCatalog(folder / "index")
    assert catalog.collections() == []
    assert list((folder / "index" / "collections").iterdir()) == []
    catalog.create(index_owner.COLLECTION, SPEC, FIELDS, {"n": 2})
    catalog.open(index_owner.COLLECTION).write([put("a", 1)])
    assert catalog.open(index_owner.COLLECTION).count() == 1
    catalog.close()


@pytest.mark.parametrize(
    ("call", "metadata", "aliases"),
    [
        ("2", {"n": 0}, {}),
        ("3", {"n": 1}, {}),
    ],
    ids=["metadata", "alias"],
)
def test_a_killed_compare_and_set_leaves_the_old_value(
    folder: Path, owner: Starting, call: str, metadata: dict, aliases: dict
):
    process = owner("die", "pathlib", "Path.replace", call)
    assert process.wait(PATIENCE_S) == -signal.SIGKILL

    catalog = EdgeCatalog(folder / "index")
    assert catalog.metadata(index_owner.COLLECTION) == metadata
    assert catalog.aliases() == aliases
    assert catalog.replace_metadata(index_owner.COLLECTION, metadata, {"n": 9})
    assert catalog.metadata(index_owner.COLLECTION) == {"n": 9}
    catalog.close()


# --- ownership


def one_sentence(error: BaseException) -> str:
    sentence = str(error)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_a_second_owner_is_refused_with_the_first_ones_process_id(folder: Path, owner: Starting):
    process = owner("hold")
    with pytest.raises(Fatal) as refused:
        EdgeCatalog(folder / "index")
    assert f"process {process.pid}" in one_sentence(refused.value)

    with pytest.raises(Fatal) as refused:
        open_catalog(folder / "index", serve=True, patience_s=0.2)
    assert f"process {process.pid}" in one_sentence(refused.value)


def test_a_second_owner_in_the_same_process_is_refused_too(folder: Path):
    catalog = EdgeCatalog(folder / "index")
    with pytest.raises(Fatal, match=f"process {os.getpid()}"):
        EdgeCatalog(folder / "index")
    catalog.close()
    EdgeCatalog(folder / "index").close()


def test_a_command_waits_for_another_that_is_about_to_finish(folder: Path, owner: Starting):
    process = owner("hold")
    finishing = threading.Timer(0.3, process.terminate)
    finishing.start()
    catalog = open_catalog(folder / "index", serve=False, patience_s=PATIENCE_S)
    assert process.wait(PATIENCE_S) == -signal.SIGTERM, "it came in only when the other had left"
    finishing.join()
    catalog.close()


def test_a_killed_owner_frees_the_directory_and_its_socket_file_is_replaced(folder: Path, owner: Starting):
    process = owner("serve")
    kill(process)
    assert (folder / "index" / "index.sock").exists()
    with pytest.raises(Outage):
        SocketCatalog(folder / "index")

    heir = open_catalog(folder / "index", serve=True)
    heir.create("docs", SPEC, FIELDS, {})
    client = SocketCatalog(folder / "index")
    assert client.owner == os.getpid()
    assert client.collections() == ["docs"]
    client.close()
    heir.close()
    assert not (folder / "index" / "index.sock").exists()


def test_whoever_comes_second_works_through_the_owners_socket(folder: Path, owner: Starting):
    process = owner("serve")
    catalog = open_catalog(folder / "index", serve=True)
    assert catalog.owner == process.pid
    catalog.create("docs", SPEC, FIELDS, {})
    catalog.open("docs").write([put("a", 1), touch(["a"], 2)])
    catalog.close()
    kill(process)

    heir = EdgeCatalog(folder / "index")
    assert heir.open("docs").points([chunk("a")])[0].payload == payload(2)
    heir.close()


def test_a_client_sees_an_outage_while_its_owner_is_gone_and_goes_on_with_the_next(folder: Path, owner: Starting):
    first = owner("serve")
    client = SocketCatalog(folder / "index")
    client.create("docs", SPEC, FIELDS, {})
    index = client.open("docs")
    index.write([put("a", 1)])
    kill(first)
    with pytest.raises(Outage) as gone:
        index.write([put("b", 1)])
    assert str(folder / "index") in one_sentence(gone.value)
    with pytest.raises(Outage):
        index.search(EAST, 1)

    owner("serve")
    index.write([put("b", 1)])
    assert found(index) == {chunk("a"), chunk("b")}
    client.close()


def answer_in_time(call: Callable[[], Any]) -> Any:
    """What the call answers once the outage is over."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except Outage:
            assert time.monotonic() < deadline


def test_an_owner_that_stops_answering_is_an_outage(folder: Path, owner: Starting):
    process = owner("serve")
    with closing(answer_in_time(lambda: SocketCatalog(folder / "index", timeout_s=0.5))) as client:
        process.send_signal(signal.SIGSTOP)
        # Until all its threads stand still it may answer.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        began = time.monotonic()
        with pytest.raises(Outage):
            client.collections()
        assert time.monotonic() - began < PATIENCE_S
        process.send_signal(signal.SIGCONT)
        assert answer_in_time(client.aliases) == {}, "the late answer to the first call is not taken for the second's"


def test_directory_lock_and_socket_are_for_their_owner_alone(folder: Path):
    catalog = EdgeCatalog(folder / "index")
    catalog.serve()
    modes = {
        name: stat.S_IMODE((folder / "index" / name).stat().st_mode)
        for name in (".", "owner.lock", "index.sock", "collections")
    }
    catalog.close()
    assert modes == {".": 0o700, "owner.lock": 0o600, "index.sock": 0o600, "collections": 0o700}


def test_a_data_directory_may_have_a_long_path(folder: Path):
    path = folder.joinpath(*["a-rather-long-folder-name"] * 12)
    owning = open_catalog(path, serve=True)
    owning.create("docs", SPEC, FIELDS, {})
    client = open_catalog(path, serve=False)
    client.open("docs").write([put("a", 1)])
    assert found(owning.open("docs")) == {chunk("a")}
    client.close()
    owning.close()


def test_a_relative_path_means_the_same_directory(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    owning = open_catalog(Path("index"), serve=True)
    client = open_catalog(Path("index"), serve=False)
    assert isinstance(client, SocketCatalog)
    client.close()
    owning.close()


def test_a_path_that_is_no_directory_is_fatal(folder: Path):
    (folder / "file").write_text("mine")
    with pytest.raises(Fatal, match=r"index\.url"):
        open_catalog(folder / "file", serve=False)


# --- files that were damaged, catalogs that were closed, the optimizer


def test_a_damaged_description_is_fatal_and_named(folder: Path):
    catalog = EdgeCatalog(folder / "index")
    catalog.create("docs", SPEC, FIELDS, {})
    description = folder / "index" / "collections" / "docs" / "collection.json"
    description.write_bytes(b"{")
    with pytest.raises(Fatal, match=r"collection\.json"):
        catalog.metadata("docs")
    description.write_bytes(b'{"format": 99}')
    with pytest.raises(Fatal, match="99"):
        catalog.open("docs")
    catalog.close()


def test_a_closed_catalog_and_its_indexes_refuse_every_call(folder: Path):
    catalog = open_catalog(folder / "index", serve=True)
    catalog.create("docs", SPEC, FIELDS, {})
    client = open_catalog(folder / "index", serve=False)
    mine, theirs = catalog.open("docs"), client.open("docs")
    client.close()
    catalog.close()
    catalog.close()

    for call in (catalog.collections, catalog.aliases, mine.count, mine.flush, client.collections, theirs.count):
        with pytest.raises(Fatal, match="closed"):
            call()
    with pytest.raises(Fatal, match="closed"):
        mine.write([put("a", 1)])
    with pytest.raises(Fatal, match="closed"):
        catalog.create("other", SPEC, FIELDS, {})


def test_the_optimizer_changes_no_answer(folder: Path):
    catalog = EdgeCatalog(folder / "index")
    catalog.create("docs", SPEC, FIELDS, {})
    index = catalog.open("docs")
    index.write([put(name, 1) for name in range(300)])
    index.write([mark(name, 2) for name in range(0, 300, 3)])
    before = contents(index)

    catalog.optimize("docs")

    assert contents(index) == before
    assert found(index, limit=1000) == {chunk(name) for name in range(300) if name % 3}
    index.write([put(0, 1), put(3, 3)])
    assert index.count("live") == 201
    catalog.close()


def test_a_process_that_serves_does_not_optimize(folder: Path):
    catalog = EdgeCatalog(folder / "index")
    catalog.create("docs", SPEC, FIELDS, {})
    catalog.serve()
    with pytest.raises(Misuse):
        catalog.optimize("docs")
    catalog.close()
