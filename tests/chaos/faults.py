"""The faults, as values: what each breaks, how it is healed, and which deployment has to come through it.

``inject`` breaks something under load, holds it as long as the fault lasts, and waits for a sign that somebody met
it; ``heal`` brings back what a supervisor or an operator would, and nothing else: what then is still wrong, the roles
have to mend by themselves. When and how long is the dice's, and the dice is the seed's.
"""

import errno
import os
import resource
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from chaos.comparison import points_of
from chaos.world import INDEX_TIMEOUT_S, SESSION_S, World

WRITES = "points/batch"
ANY = "points"
_ALL = 10**6
_LAST_BYTES = 64 << 20
_ROLES = ("chunker", "embedder")
_ONE = {"chunker": "a chunker", "embedder": "an embedder"}


@dataclass(frozen=True)
class Fault:
    """``inject`` returns what ``heal`` is told of it; ``on`` is the deployment that is compared afterwards."""

    name: str
    inject: Callable[[World, Random], Any]
    heal: Callable[[World, Any], None]
    on: str = "shared"


def _nothing(_world, _wound):
    pass


# --- SIGKILL ---


def kill_member(role):
    def inject(world, dice):
        name = f"{role} {dice.choice('ab')}"
        world.shared.members.kill(name)
        world.hold(dice.uniform(0, 2))
        return name

    return Fault(f"SIGKILL of {_ONE[role]}", inject, lambda world, name: world.shared.members.succeed(name))


def kill_server(name, title):
    def inject(world, dice):
        world.servers.kill(name)
        world.hold(dice.uniform(0, 6 if world.long else 1))

    return Fault(f"SIGKILL of {title}", inject, lambda world, _: world.servers.restore(name))


# --- SIGSTOP ---


def zombie(role):
    """Stopped until the group has given its partitions away, then let go on with what it had in hand."""

    def inject(world, dice):
        process = world.shared.members.running[f"{role} {dice.choice('ab')}"]
        members = world.group_size(role)
        process.send(signal.SIGSTOP)
        # In a campaign sometimes longer than a transaction may take, too.
        world.hold(SESSION_S + dice.uniform(1, 9 if world.long else 2))
        world.bites(lambda: world.group_size(role) < members, f"the group of the {role}s went on without one")
        return process

    return Fault(f"SIGSTOP of {_ONE[role]}, then SIGCONT", inject, lambda _, process: process.send(signal.SIGCONT))


# --- members ---


def _roll(world, dice):
    names = list(world.shared.members.running)
    for name in dice.sample(names, len(names)):
        world.shared.members.restart(name)


def _storm(world, dice):
    """Every two seconds one joins and one leaves, by its own will or not; at the end those who joined are gone."""
    members, joined = world.shared.members, []
    before = sum(map(world.group_size, _ROLES))
    for number in range(30 if world.long else 3):
        role = dice.choice(_ROLES)
        name = f"{role} storm {number}"
        members.add(name, role, f"storm{number}" if role == "chunker" else "")
        joined.append(name)
        world.hold(2)
        if len(joined) > 2:
            _go(members, joined.pop(dice.randrange(len(joined))), dice)
    world.bites(lambda: sum(map(world.group_size, _ROLES)) > before, "anybody joined")
    for name in joined:
        _go(members, name, dice)


def _go(members, name, dice):
    if dice.random() < 0.5:
        members.kill(name)
    else:
        members.leave(name)


# --- the broker behind a proxy ---


def _slow_network(world, dice):
    met = world.servers.proxy.met
    world.servers.proxy.delay(dice.uniform(0.05, 0.4))
    world.hold(dice.uniform(3, 12) if world.long else 3)
    world.bites(lambda: world.servers.proxy.met > met, "anything was late")


def _resets(world, dice):
    """Connections are reset again and again, and for a while nobody gets a new one."""
    met = world.servers.proxy.met
    for _ in range(12 if world.long else 5):
        world.servers.proxy.cut()
        world.hold(dice.uniform(0.05, 0.8))
    world.servers.proxy.refuse()
    world.hold(dice.uniform(1, 10) if world.long else 1.5)
    world.bites(lambda: world.servers.proxy.met > met, "any connection was cut")


def _black_hole(world, dice):
    """Shorter than a session or longer; what was under way arrives late, or its connection is gone."""
    met = world.servers.proxy.met
    world.servers.proxy.swallow()
    world.hold(dice.uniform(1, 2 * SESSION_S) if world.long else dice.uniform(1, 4))
    world.bites(lambda: world.servers.proxy.met > met, "anything was swallowed")
    return dice.random() < 0.5


# --- the index ---


def index_answers(title, *orders):
    """Faults of the index server, each to at most so many requests, or to all while it lasts (0)."""

    def inject(world, dice):
        for kind, where, most, more in orders:
            times = dice.randint(1, most) if most else _ALL
            world.qdrant.order(kind, where, times=times, **more)
        world.hold(dice.uniform(2, 8) if world.long else 2)
        world.bites(lambda: world.qdrant.met() > 0, "the index did anything wrong")
        # What is for some requests alone is over when they have come.
        world.bites(lambda: not 0 < world.qdrant.left() < _ALL // 2, "the index did all of it", 60)

    return Fault(f"index: {title}", inject, lambda world, _: world.qdrant.clear())


# --- the embedded index ---


def _running_edge(world):
    """The process with the embedded index, at work."""
    members = world.edge.members.complete()
    before = members.works()
    world.bites(lambda: members.works() > before, "the embedded index is written to")
    return members.running["all"]


def _fill_the_disk(world, dice):
    """Until the process notices; where only its files are limited, for some seconds, which some survive."""
    process = _running_edge(world)
    if world.mounted:
        fill(world.files / "ballast", keep=dice.randrange(64 << 10), hold=world.hold)
        world.bites(lambda: not process.alive, "the full disk was noticed")
    else:
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        # Files of the index are larger than this, its log is not.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (256 << 10, hard))
        world.until(lambda: not process.alive, dice.uniform(4, 15) if world.long else 6)
    return process


def _make_room(world, process):
    """A process that stopped for want of room is started again; one that did not goes on as it is."""
    if world.mounted:
        (world.files / "ballast").unlink()
    elif process.alive:
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    members = world.edge.members
    if not process.alive:
        del members.running["all"]
        said, status = process.said(), process.ended()
        assert status == 1, f"with a full disk it ended with status {status}: {said[-2000:]}"
        assert "see to disk space" in said.splitlines()[-1], said[-2000:]
    members.complete()


def fill(path, keep, hold):
    """Writes until there is no room, as fast as a disk may fill up, then gives ``keep`` bytes back. The last of it
    goes at 30 MB a second, which leaves a process time between its look at the room and its write.
    """
    with path.open("wb", buffering=0) as ballast:
        for piece, pause_s in ((1 << 20, 0.005), (4096, 0)):
            try:
                while ballast.write(bytes(piece)) == piece:
                    hold(pause_s if shutil.disk_usage(path).free > _LAST_BYTES else max(pause_s, piece / 30e6))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        ballast.truncate(max(0, ballast.tell() - keep))
        os.fsync(ballast.fileno())


def _cut_the_power(world, dice):
    """SIGKILL in the moment after writes were acknowledged; what was committed by then has to be in the files."""
    for _ in range(3 if world.long else 2):
        process = _running_edge(world)
        acknowledged = process.events("applied")
        for _ in range(dice.randint(1, 10)):
            world.until(lambda p=process, a=acknowledged: p.events("applied") > a, 10)
            acknowledged = process.events("applied")
        world.edge.members.kill("all")
        committed = world.edge.committed()
        world.report(world.edge.wire.read())
        world.report(world.edge.wire.skipped(points_of(world.edge.deployment), committed))


FAULTS = (
    kill_member("chunker"),
    kill_member("embedder"),
    kill_server("kafka", "the broker"),
    kill_server("connect", "Kafka Connect"),
    kill_server("postgres", "PostgreSQL"),
    zombie("chunker"),
    zombie("embedder"),
    Fault("rolling restart", _roll, _nothing),
    Fault("rebalance storm", _storm, _nothing),
    Fault("broker: latency", _slow_network, lambda world, _: world.servers.proxy.heal()),
    Fault("broker: resets", _resets, lambda world, _: world.servers.proxy.heal()),
    Fault("broker: black hole", _black_hole, lambda world, forget: world.servers.proxy.heal(forget=forget)),
    index_answers("429", ("answer", ANY, 0, {"status": 429, "retry_after": "1"})),
    index_answers("500", ("answer", ANY, 0, {"status": 500})),
    index_answers(
        "time-outs",
        ("slow", WRITES, 3, {"seconds": INDEX_TIMEOUT_S + 1.0}),
        ("silence", ANY, 2, {"seconds": INDEX_TIMEOUT_S + 1.0}),
        ("silence after", WRITES, 2, {"seconds": INDEX_TIMEOUT_S + 1.0}),
    ),
    index_answers(
        "half-written batches", ("half", WRITES, 6, {}), ("reset after", WRITES, 6, {}), ("half", WRITES, 6, {})
    ),
    Fault("Edge: disk full", _fill_the_disk, _make_room, on="edge"),
    Fault("Edge: power cut", _cut_the_power, lambda world, _: world.edge.members.complete() and None, on="edge"),
)
