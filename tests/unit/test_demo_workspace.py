"""The demo's folder: one demo at a time, nobody else's files, and nothing left behind."""

import os
import subprocess
import sys

import pytest

from compose.demo.workspace import LOCK_FILE, held
from stream.errors import Fatal, Misuse


def test_a_folder_is_made_held_and_gone_afterwards(tmp_path):
    folder = tmp_path / "data" / "demo"
    with held(folder) as workspace:
        assert workspace.process.folder.is_dir()
        workspace.configuration.write_text("")
        workspace.index.mkdir()
        workspace.ports.claim("query")
    assert not folder.exists()


def test_a_second_demo_in_the_same_folder_is_refused_in_one_sentence(tmp_path):
    with held(tmp_path / "demo"):
        with pytest.raises(Fatal, match=rf"already \(process {os.getpid()}\)"), held(tmp_path / "demo"):
            pytest.fail("two demos in one folder")
        assert (tmp_path / "demo" / LOCK_FILE).exists()
    with held(tmp_path / "demo"):
        pass


def test_two_demos_in_two_folders_do_not_meet(tmp_path):
    with held(tmp_path / "one"), held(tmp_path / "other"):
        pass


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "precious").write_text("")
    with pytest.raises(Misuse, match="holds files that are no demo's"), held(tmp_path):
        pytest.fail("the folder was taken")
    assert (tmp_path / "index" / "precious").exists()
    assert not (tmp_path / LOCK_FILE).exists()


def test_a_place_that_is_no_folder_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Misuse, match="--folder"), held(tmp_path / "file" / "demo"):
        pytest.fail("the folder was taken")


def test_what_a_killed_demo_left_is_stopped_and_removed(tmp_path):
    folder = tmp_path / "demo"
    # A demo that ends without cleaning up: its lock goes with it, its process and its files stay.
    left_by = """
import os, sys
from pathlib import Path
from compose.demo.workspace import _locked, Workspace
folder = Path(sys.argv[1])
_locked(folder)
workspace = Workspace(folder)
workspace.prepare()
workspace.index.mkdir()
child = workspace.process
sleeping = [sys.executable, "-X", child.mark, "-c", "import time; time.sleep(600)"]
print(child.start(sleeping, environment=os.environ).pid)
sys.stdout.flush()
os._exit(9)
"""
    dead = subprocess.run(
        [sys.executable, "-c", left_by, str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert dead.returncode == 9, dead.stderr
    with held(folder) as workspace:
        assert workspace.process.find() is None
        assert not workspace.index.exists()
    assert not folder.exists()


def test_an_error_inside_leaves_nothing_either(tmp_path):
    def fail(workspace):
        workspace.configuration.write_text("")
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"), held(tmp_path / "demo") as workspace:
        fail(workspace)
    assert not (tmp_path / "demo").exists()
