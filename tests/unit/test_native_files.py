"""What the local stack remembers, and how it recognises what is its own. No server is started here."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from compose.native import records
from compose.native.ports import LOOPBACK, Ports, is_free
from compose.native.processes import Child
from stream.errors import Fatal

SLEEPER = "import sys, time\nprint('up', flush=True)\ntime.sleep(600)"
DEAF = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"


@pytest.fixture
def child(tmp_path):
    """A child in a folder of its own, ended with the test."""
    child = Child("sleeper", tmp_path)
    yield child
    child.kill()


def start(child, program=SLEEPER):
    process = child.start([sys.executable, "-c", program, child.mark], environment=dict(os.environ))
    child.await_ready(lambda: child.log.read_text() == "up\n", 20)
    return process


def test_a_record_is_read_as_it_was_written(tmp_path):
    records.write(tmp_path / "record", {"pid": 7, "started": 1.5, "name": "x"})
    assert records.read(tmp_path / "record") == {"pid": 7, "started": 1.5, "name": "x"}
    assert (tmp_path / "record").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damaged", [b"", b'{"pid": 1', b"[1, 2]", b"\xff\xfe", b'{"pid": [1]}'])
def test_a_missing_or_damaged_record_is_an_empty_one(tmp_path, damaged):
    assert records.read(tmp_path / "none") == {}
    (tmp_path / "record").write_bytes(damaged)
    assert records.read(tmp_path / "record") == {}


def test_a_port_once_given_is_given_again(tmp_path):
    port = Ports(tmp_path / "ports.json").claim("kafka")
    again = Ports(tmp_path / "ports.json")
    assert again.claim("kafka") == port
    assert again.remembered("kafka") == port
    assert again.claim("connect") != port


def test_a_port_that_somebody_took_meanwhile_is_replaced(tmp_path):
    ports = Ports(tmp_path / "ports.json")
    port = ports.claim("kafka")
    with socket.create_server((LOOPBACK, port)):
        assert not is_free(port)
        assert ports.claim("kafka") != port


def test_a_child_is_found_by_any_later_command(child):
    process = start(child)
    assert Child(child.name, child.folder).find() == process
    assert os.getsid(process.pid) == process.pid


def test_a_child_whose_pid_file_was_never_written_is_found_by_its_mark(child):
    process = start(child)
    child.pid_file.unlink()
    assert child.find() == process
    assert child.stop()
    assert not psutil.pid_exists(process.pid)


def test_a_recycled_pid_is_never_touched(child):
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout.readline()
        records.write(child.pid_file, {"pid": stranger.pid, "started": time.time() - 86_400})
        assert child.find() is None
        assert child.stop() is False
        assert stranger.poll() is None
        assert not child.pid_file.exists()
        stranger.kill()


def test_stopping_asks_first(child):
    process = start(child, SLEEPER)
    began = time.monotonic()
    assert child.stop(deadline_s=30)
    assert time.monotonic() - began < 15
    assert not psutil.pid_exists(process.pid)


def test_a_child_that_does_not_listen_is_killed_after_the_deadline(child):
    process = start(child, DEAF)
    assert child.stop(deadline_s=0.3)
    assert not psutil.pid_exists(process.pid)


def test_a_child_that_dies_while_it_is_looked_for_leaves_no_zombie(child, monkeypatch):
    process = start(child)
    status = psutil.Process.status

    def dying(self):
        if self.pid == process.pid:
            os.kill(process.pid, signal.SIGKILL)
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        return status(self)

    monkeypatch.setattr(psutil.Process, "status", dying)
    assert child.find() is None
    assert not psutil.pid_exists(process.pid)


def test_stopping_twice_is_no_error(child):
    start(child)
    assert child.stop() is True
    assert child.stop() is False


def test_a_child_killed_by_somebody_else_is_gone(child, wait_until):
    process = start(child)
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: child.find() is None, 10, "the death of the child")


def test_an_early_death_is_told_with_the_end_of_the_log(child):
    child.start(
        [sys.executable, "-c", "import sys; print('port 1 is taken'); sys.exit(3)", child.mark],
        environment=dict(os.environ),
    )
    with pytest.raises(Fatal, match=r"sleeper stopped while it was starting(.|\n)*port 1 is taken"):
        child.await_ready(lambda: False, 20)


def test_a_child_that_is_not_ready_in_time_is_told_too(child):
    start(child)
    with pytest.raises(Fatal, match="was not ready after"):
        child.await_ready(lambda: False, 0.1)
    assert child.find() is not None


def test_the_log_of_the_previous_start_is_kept(child):
    start(child)
    child.stop()
    start(child)
    assert child.log.with_suffix(".log.previous").read_text() == "up\n"


def test_a_program_that_does_not_exist_is_one_sentence(child):
    with pytest.raises(Fatal, match="sleeper could not be started"):
        child.start(["/nowhere/at/all", child.mark], environment={})
    with contextlib.suppress(FileNotFoundError):
        child.pid_file.unlink()


def test_a_command_without_the_mark_is_refused(child):
    with pytest.raises(ValueError, match="mark"):
        child.start([sys.executable, "-c", SLEEPER], environment={})
