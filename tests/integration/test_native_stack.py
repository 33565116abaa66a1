"""The life of the local stack with real servers: started, found, killed, started again."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from compose.native import records
from compose.native.kafka import Kafka
from compose.native.ports import Ports
from compose.native.processes import Child
from compose.native.stack import Stack
from stream.errors import Fatal, Misuse

UP = "import sys; from pathlib import Path; from compose.native.stack import Stack; Stack(Path(sys.argv[1])).up()"

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def stack():
    """A stack that only this module has: its tests kill it."""
    folder = Path(tempfile.mkdtemp(prefix="embedstream-stack-"))
    folder.chmod(0o755)
    stack = Stack(folder / "stack")
    yield stack
    stack.remove()
    shutil.rmtree(folder)


def pid_of(stack, name="kafka"):
    return {server.name: server.pid for server in stack.status()}.get(name)


def topics(address):
    return set(AdminClient({"bootstrap.servers": address}).list_topics(timeout=20).topics)


def create(address, topic):
    admin = AdminClient({"bootstrap.servers": address})
    for created in admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)]).values():
        created.result(30)


def test_a_second_up_finds_the_first(stack):
    first = stack.up()
    pid = pid_of(stack)
    said = []
    assert Stack(stack.folder, said.append).up() == first
    assert pid_of(stack) == pid
    assert not any("starting" in line for line in said)


def test_topics_survive_a_killed_broker_at_the_same_address(stack, unique_name):
    topic = unique_name()
    address = stack.up().kafka
    create(address, topic)
    os.kill(pid_of(stack), signal.SIGKILL)
    assert stack.up().kafka == address
    assert topic in topics(address)


def test_a_killed_broker_is_given_up_before_it_starts_again_and_a_stopped_one_needs_it_not(stack):
    stack.up()
    os.kill(pid_of(stack), signal.SIGKILL)
    said = []
    Stack(stack.folder, said.append).up()
    assert any("broker was killed" in line for line in said)
    assert "Fencing broker 1" in (stack.folder / "kafka" / "controller.log").read_text()
    assert not (stack.folder / "kafka" / "controller.pid").exists()
    stack.down()
    said.clear()
    Stack(stack.folder, said.append).up()
    assert not any("broker was killed" in line for line in said)


def test_an_up_that_was_killed_at_the_fence_leaves_nothing_to_the_next(stack, wait_until):
    address = stack.up().kafka
    os.kill(pid_of(stack), signal.SIGKILL)
    controller = Child("controller", stack.folder / "kafka")
    controller.log.unlink(missing_ok=True)
    with subprocess.Popen([sys.executable, "-c", UP, str(stack.folder)]) as half:
        wait_until(controller.log.exists, 60, "the controller alone")
        half.kill()
    assert stack.up().kafka == address
    assert controller.find() is None


def test_topics_survive_down_and_up(stack, unique_name):
    topic = unique_name()
    address = stack.up().kafka
    create(address, topic)
    assert stack.down() == ("kafka",)
    assert stack.down() == ()
    assert pid_of(stack) is None
    assert stack.up().kafka == address
    assert topic in topics(address)


def test_down_after_a_killed_broker_leaves_nothing(stack):
    stack.up()
    os.kill(pid_of(stack), signal.SIGKILL)
    stack.down()
    assert pid_of(stack) is None
    assert not (stack.folder / "kafka" / "kafka.pid").exists()


def test_a_stale_pid_file_neither_hides_the_broker_nor_hits_a_stranger(stack):
    address = stack.up().kafka
    pid = pid_of(stack)
    records.write(stack.folder / "kafka" / "kafka.pid", {"pid": os.getpid(), "started": 1.0})
    assert stack.up().kafka == address
    assert pid_of(stack) == pid
    assert stack.down() == ("kafka",)


def test_an_up_that_was_killed_half_way_is_taken_further(stack, wait_until):
    stack.remove()
    with subprocess.Popen([sys.executable, "-c", UP, str(stack.folder)]) as half:
        wait_until((stack.folder / "kafka" / "server.properties").exists, 60, "the start of the preparation")
        half.kill()
    address = stack.up().kafka
    assert "__consumer_offsets" not in topics(address)
    with subprocess.Popen([sys.executable, "-c", UP, str(stack.folder)]) as whole:
        assert whole.wait(120) == 0
    assert stack.down() == ("kafka",)


def test_a_folder_whose_cluster_id_begins_with_a_dash_is_prepared_too(tmp_path):
    folders = (tmp_path / str(number) for number in itertools.count())
    kafkas = (Kafka(folder / "kafka", Ports(folder / "ports.json")) for folder in folders)
    stack = Stack(next(kafka for kafka in kafkas if kafka.cluster.startswith("-")).folder.parent)
    try:
        assert topics(stack.up().kafka) == set()
    finally:
        stack.remove()


def test_two_ups_at_once_start_one_broker(stack):
    stack.down()
    found = []
    threads = [threading.Thread(target=lambda: found.append(Stack(stack.folder).up().kafka)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(found) == 2
    assert len(set(found)) == 1
    assert stack.down() == ("kafka",)


def test_a_broker_that_cannot_start_says_why(stack):
    stack.up()
    stack.down()
    meta = stack.folder / "kafka" / "data" / "meta.properties"
    good = meta.read_text()
    meta.write_text("version=1\ncluster.id=somebody-else\nnode.id=77\n")
    try:
        with pytest.raises(Fatal, match=r"kafka stopped while it was starting(.|\n)*77"):
            stack.up()
    finally:
        meta.write_text(good)
    stack.up()


def test_nothing_to_start_and_a_comma_in_the_path_are_misuse(stack, tmp_path):
    with pytest.raises(Misuse, match="Nothing to start"):
        stack.up(kafka=False, cdc=False)
    with pytest.raises(Misuse, match="comma"):
        Stack(tmp_path / "a,b")


def test_a_stack_that_never_was_is_down(tmp_path):
    stack = Stack(tmp_path / "none")
    assert stack.down() == ()
    assert stack.status() == ()
    assert not stack.folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run PostgreSQL as somebody else")
def test_below_a_closed_folder_postgresql_lies_elsewhere_and_nothing_is_opened(tmp_path):
    from compose.native.postgres import Postgres

    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    modes = {folder: folder.stat().st_mode for folder in (closed, *closed.parents)}
    server = Postgres(closed / "postgres", Ports(closed / "ports.json"))
    try:
        server.start(lambda _line: None)
        server.await_ready()
        process = server.child.find()
        assert process.username() == "nobody"
        assert {folder: folder.stat().st_mode for folder in modes} == modes
        elsewhere = Path((closed / "postgres" / "elsewhere").read_text().strip())
        assert (elsewhere / "data" / "PG_VERSION").exists()
        assert (elsewhere / "data").stat().st_mode & 0o077 == 0
    finally:
        server.child.stop()
        server.remove()
    assert not elsewhere.exists()
