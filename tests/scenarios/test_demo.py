"""The demo itself, as a user starts it: its report, and that nothing is left of it, however it ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.cdc, pytest.mark.kafka, pytest.mark.timeout(900)]

# Whoever runs these tests in the background ignores SIGINT, which children inherit.
COMMAND_LINE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from compose.cli import main
main()
"""


@pytest.fixture(scope="module", autouse=True)
def servers_can_be_had():
    from compose.native import jars
    from stream.errors import Fatal

    try:
        jars.resolve(jars.BROKER)
        jars.resolve(jars.CONNECT)
    except Fatal as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def folder():
    # Not pytest's own temporary folder: PostgreSQL runs as another user than root and must get in.
    place = Path(tempfile.mkdtemp(prefix="embedstream-demo-"))
    place.chmod(0o755)
    yield place / "demo"
    assert not left_of(place)
    shutil.rmtree(place)


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND_LINE, "demo", "--folder", str(folder), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def left_of(folder):
    """Processes whose command line names the folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE and str(folder) in " ".join(process.info["cmdline"] or [])
    ]


def test_the_quick_demo_ends_well_and_its_report_says_so(folder, wait_until):
    report = folder.parent / "report.json"
    demo = start(folder, "--quick", "--report", str(report))
    try:
        wait_until(lambda: (folder / "embedstream.toml").exists() or demo.poll() is not None, 120, "the first server")
        second = start(folder)
        said = second.communicate(timeout=120)[0]
        assert second.returncode == 1
        assert said.startswith("A demo runs in ")
        assert len(said.splitlines()) == 1
        output = demo.communicate(timeout=800)[0]
    finally:
        demo.kill()
    assert demo.returncode == 0, output
    found = json.loads(report.read_text())
    assert found["documents"] > 50
    assert found["embedded"] == found["chunks"] > 500
    assert 1 <= found["edit"]["embedded"] <= 4
    assert found["edit"]["kept"] > 50
    assert found["fields"]["embedded"] == 0
    assert found["freshness_ms"]["n"] == 40
    assert 0 < found["freshness_ms"]["p50"] <= found["freshness_ms"]["p95"] <= found["freshness_ms"]["p99"]
    assert found["edit"]["ms"] > 0
    assert found["fields"]["ms"] > 0
    assert found["delete"]["ms"] > 0
    assert found["recovery"] == {"equal": True, "missing": 0, "orphans": 0, "stale": 0}
    for step in ("1  ", "2  ", "3  ", "4  ", "5  "):
        assert f"\n{step}" in output
    assert not folder.exists()


def test_a_killed_demo_is_cleaned_up_by_the_next_and_ctrl_c_cleans_up_too(folder, wait_until):
    killed = start(folder)
    wait_until(lambda: (folder / "process" / "run-all.pid").exists() or killed.poll() is not None, 120, "a process")
    killed.kill()
    killed.communicate(timeout=60)
    left = {process.pid for process in left_of(folder)}
    assert left
    following = start(folder)

    def has_taken_over():
        if following.poll() is not None:
            return True
        running = {process.pid for process in left_of(folder)}
        return (folder / "process" / "run-all.pid").exists() and not left & running

    wait_until(has_taken_over, 180, "the next demo, alone")
    following.send_signal(signal.SIGINT)
    output = following.communicate(timeout=120)[0]
    assert following.returncode == 130, output
    assert "Traceback" not in output
    assert not folder.exists()
