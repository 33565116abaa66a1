"""When a killed broker is given up before it starts again, by what its controller tells; no server is started."""

import os
import sys

import pytest

from compose.native import fence
from compose.native.fence import Fence
from compose.native.processes import Child
from stream.errors import Fatal

REPLAYED = "INFO ClusterControlManager - [QuorumController id=1] Replayed"
CHANGED = f"{REPLAYED} BrokerRegistrationChangeRecord modifying 1: BrokerRegistrationChangeRecord(brokerId=1, fenced="
SERVED = f"{REPLAYED} initial RegisterBrokerRecord for broker 1: RegisterBrokerRecord(brokerId=1, fenced=true, x=0)"
UNFENCED = f"{CHANGED}-1, inControlledShutdown=0)"
UNCHANGED = f"{CHANGED}0, inControlledShutdown=1)"
FENCED = f"{CHANGED}1, inControlledShutdown=0)"
ACTIVE = "WARN QuorumController - Performing controller activation."
NOTHING_STALE = "DEBUG - Processed maybeFenceStaleBroker(7) in 3 us"
WRITING = "DEBUG - Read-write operation maybeFenceStaleBroker(42) will be completed when the log reaches offset 136."
WRITTEN = "DEBUG - Processed maybeFenceStaleBroker(42) in 128330 us"

TELLER = """
import sys, time
for line in sys.argv[2:]:
    print(line, flush=True)
time.sleep(600)
"""


def told(*lines):
    return fence.has_given_up("\n".join(lines))


def test_before_it_leads_a_controller_has_given_nobody_up():
    assert not told()
    assert not told(SERVED, UNFENCED)
    assert not told(SERVED, UNFENCED, FENCED)


def test_a_broker_that_was_serving_is_given_up_once_that_is_written():
    before = (SERVED, UNFENCED, ACTIVE, NOTHING_STALE)
    assert not told(*before)
    assert not told(*before, FENCED, WRITING)
    assert not told(*before, FENCED, WRITING, NOTHING_STALE)
    assert told(*before, FENCED, WRITING, NOTHING_STALE, WRITTEN)


def test_a_change_of_something_else_leaves_the_broker_serving():
    assert not told(SERVED, UNFENCED, UNCHANGED, ACTIVE)


def test_a_broker_that_never_served_needs_no_giving_up():
    assert told(ACTIVE)
    assert told(SERVED, ACTIVE)
    assert told(SERVED, UNFENCED, FENCED, ACTIVE)


def test_only_a_killed_broker_needs_a_fence(tmp_path):
    metadata = tmp_path / "__cluster_metadata-0"
    assert not fence.needed(tmp_path)
    metadata.mkdir()
    (metadata / "bootstrap.checkpoint").touch()
    assert not fence.needed(tmp_path)
    (metadata / "00000000000000000000.log").touch()
    assert fence.needed(tmp_path)
    (tmp_path / ".kafka_cleanshutdown").touch()
    assert not fence.needed(tmp_path)


def test_the_controller_alone_is_the_same_voter_on_the_same_storage_and_no_clients_door():
    both = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": "1@127.0.0.1:2",
        "log.dirs": "/data",
        "advertised.listeners": "PLAINTEXT://127.0.0.1:1",
    }
    alone = fence.properties(both)
    assert alone["process.roles"] == "controller"
    assert alone["listeners"] == "CONTROLLER://127.0.0.1:2"
    assert "advertised.listeners" not in alone
    assert all(alone[name] == both[name] for name in ("node.id", "controller.quorum.voters", "log.dirs"))


@pytest.fixture
def child(tmp_path):
    child = Child("controller", tmp_path)
    yield child
    child.kill()


def teller(child, *lines):
    return [sys.executable, "-c", TELLER, child.mark, *lines]


def test_the_controller_ends_when_it_has_given_the_broker_up(child):
    Fence(child).hold(teller(child, SERVED, UNFENCED, ACTIVE, WRITING, WRITTEN), environment=dict(os.environ))
    assert child.find() is None
    assert not child.pid_file.exists()


def test_a_controller_that_dies_is_passed_over_and_one_left_behind_is_ended(child):
    left = child.start(teller(child), environment=dict(os.environ))
    Fence(child).hold([sys.executable, "-c", "", child.mark], environment=dict(os.environ))
    assert child.find() is None
    assert not left.is_running()


def test_a_controller_that_never_gives_up_is_fatal_and_ended(child, monkeypatch):
    monkeypatch.setattr(fence, "_DEADLINE_S", 0.2)
    with pytest.raises(Fatal, match=r"did not give up(.|\n)*activation"):
        Fence(child).hold(teller(child, SERVED, UNFENCED, ACTIVE), environment=dict(os.environ))
    assert child.find() is None
