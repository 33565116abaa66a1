"""Archives of the servers' classes: written once, read by every start, and never in the way of one."""

import tempfile
from pathlib import Path

import psutil
import pytest

from compose.native import jars, quick_start
from compose.native.kafka import Kafka
from compose.native.ports import Ports

pytestmark = pytest.mark.kafka


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty one, in place of the user's."""
    monkeypatch.setattr(jars.platformdirs, "user_cache_path", lambda _: tmp_path / "cache")
    return tmp_path / "cache" / "java"


@pytest.fixture
def broker():
    with tempfile.TemporaryDirectory(prefix="embedstream-broker-") as name:
        broker = Kafka(Path(name) / "kafka", Ports(Path(name) / "ports.json"))
        yield broker
        broker.child.kill()


def is_read(broker, archive):
    return str(archive) in {mapped.path for mapped in psutil.Process(broker.child.find().pid).memory_maps()}


def test_what_was_recorded_is_read_and_recorded_once(cache, broker, monkeypatch):
    quick_start.record()
    archive = jars.resolve(jars.BROKER).archive
    assert {archive, jars.resolve(jars.CONNECT).archive} == set(cache.iterdir())
    broker.start(print)
    broker.await_ready()
    assert is_read(broker, archive)

    monkeypatch.setattr(quick_start, "Kafka", None)  # nothing is started any more
    quick_start.record()


def test_an_archive_that_does_not_fit_is_passed_over(cache, broker):
    cache.mkdir(parents=True)
    archive = jars.resolve(jars.BROKER).archive
    archive.write_bytes(b"no archive" * 1000)
    broker.start(print)
    broker.await_ready()
    assert not is_read(broker, archive)


def test_a_few_archives_stay(cache):
    cache.mkdir(parents=True)
    for number in range(9):
        (cache / f"{number}.aot").write_bytes(b"")
    quick_start._prune(cache)
    assert len(list(cache.iterdir())) == quick_start._KEPT
