"""``embedstream upgrade``: two files, one of what is searched and one of what is to follow, and the steps between.

Nothing is remembered between two commands but what Kafka and the index hold: group offsets, the collections with
their metadata, and the alias. So each may be interrupted and said again.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import httpx

from adapters.kafka.groups import KafkaGroups
from adapters.kafka.producer import KafkaProducer
from compose.commands import audit
from compose.deployment import Deployment
from compose.pairs import Both, check_shared, surroundings
from consumers.lineage_watch import current_lineages
from operations.audit.report import Report
from operations.upgrade.gates import Gate, closed
from operations.upgrade.overlap import Overlap, Searched, overlap, sampled_queries
from operations.upgrade.progress import Progress, progress
from operations.upgrade.retiring import Retired, Retirement, retire, retirement
from operations.upgrade.starting import Begun, check_startable, start
from operations.upgrade.surroundings import Surroundings
from operations.upgrade.switching import Switched, switch
from operations.upgrade.verifying import Checks, Ready, verify
from stream.errors import Fatal, Misuse
from stream.ports import Outgoing
from stream.resnapshot import signal
from stream.upgrade import Pair

_READY_S = 5.0
QUERIES = 50
HOLD = 1_000_000
"""Documents held at once while both collections are compared: some 300 bytes each."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Options of verify, cutover and rollback. ``services``: addresses of query services beside the file's own."""

    wait_s: float = 60.0
    sample: int = audit.SAMPLE
    queries: tuple[str, ...] = ()
    least_overlap: float = 0.0
    services: tuple[str, ...] = ()
    force: bool = False
    hold: int = HOLD


@dataclass(slots=True)
class Verdict:
    """The gates as they were told, and the switch, where one was made."""

    target: str
    gates: list[Gate] = field(default_factory=list)
    switched: Switched | None = None
    already: bool = False
    overridden: tuple[str, ...] = ()


@contextmanager
def opened(both: Both, wait_s: float) -> Iterator[Surroundings]:
    """The index and the topics, for the length of the block. Raises Misuse where the files do not go together."""
    check_shared(both)
    settings = both.present.settings
    if settings.index.not_made_yet:
        raise Misuse(f"There is no index in {settings.index.folder} yet, so there is nothing to upgrade.")
    topics = both.present.topics()
    # Served, so that what this command opens beside reaches the same index, where nobody else owns it.
    with closing(both.present.catalog(serve=True)) as catalog:
        yield surroundings(both, catalog, topics, KafkaGroups(settings.kafka.properties), wait_s)


def begun(both: Both, *, resnapshot: bool = False, resnapshotted: bool = False) -> Begun:
    """``upgrade start``. ``resnapshot``: the connectors are asked to write all rows again; ``resnapshotted``: they
    were asked already. Raises Misuse and Fatal before anything is made.
    """
    signals = _signals(both.following) if resnapshot else []
    with opened(both, 0.0) as around:
        check_startable(around, resnapshot=resnapshot or resnapshotted)
        settings = both.following.settings
        lineages = current_lineages(around.topics, both.following.source_topics, settings.chunks.topic)
        begun = start(around, settings.fields, lineages, both.following.profiles.bulk)
        if signals:
            with closing(KafkaProducer(settings.kafka.properties)) as producer:
                producer.send(signals)
        return begun


def _signals(deployment: Deployment) -> list[Outgoing]:
    """One a source. Raises Misuse where a source does not say where its connector looks for them."""
    signals = []
    for number, source in enumerate(deployment.settings.sources):
        if source.signal is None:
            raise Misuse(
                f"Source {source.name!r} does not say in which topic its connector looks for signals; write "
                f"source.{number}.signal into the next file (the connector's signal.kafka.topic), or send the signal "
                "yourself and say --resnapshotted."
            )
        signals.append(signal(source.signal, source.topic, f"embedstream-{deployment.collection}"))
    return signals


def progress_of(both: Both) -> Progress:
    """``upgrade status``."""
    with opened(both, 0.0) as around:
        return progress(around)


def verified(both: Both, asked: Asked, tell: Callable[[Gate], None]) -> Verdict:
    """``upgrade verify``: each gate is told as it is known. The target is the pair that is not searched."""
    with opened(both, asked.wait_s) as around:
        target = around.before if around.live == around.after.collection else around.after
        return _verdict(both, around, target, asked, tell)


def moved(both: Both, asked: Asked, tell: Callable[[Gate], None], *, back: bool) -> Verdict:
    """``upgrade cutover`` and, with ``back``, ``rollback``. A switch that was made already is no failure."""
    with opened(both, asked.wait_s) as around:
        target = around.before if back else around.after
        if around.live == target.collection:
            return Verdict(target.collection, already=True)
        verdict = _verdict(both, around, target, asked, tell)
        stopped = closed(verdict.gates)
        if any(gate.binding for gate in stopped) or (stopped and not asked.force):
            return verdict
        verdict.overridden = tuple(gate.name for gate in stopped)
        verdict.switched = switch(around, target, behind="caught up" in verdict.overridden)
        return verdict


def planned_retirement(both: Both) -> Retirement:
    """What ``upgrade retire`` would take away."""
    with opened(both, 0.0) as around:
        return retirement(around)


def retired(both: Both, wait_s: float) -> Retired:
    """``upgrade retire``, once a person has agreed to what it named."""
    with opened(both, wait_s) as around:
        given = both.present.settings.kafka.properties
        with closing(KafkaProducer(given)) as producer:
            return retire(around, retirement(around), audit.records_of(both.present), producer)


def _verdict(both: Both, around: Surroundings, target: Pair, asked: Asked, tell: Callable[[Gate], None]) -> Verdict:
    verdict = Verdict(target.collection)
    aimed = both.of(target)
    checks = Checks(
        audit=lambda: _audit(aimed, asked),
        encoder=aimed.profiles.bulk,
        overlap=lambda: _overlap(both, around, target, asked),
        services=lambda: _services(both, asked),
        least_overlap=asked.least_overlap,
        hold=asked.hold,
    )
    for gate in verify(around, target, checks):
        verdict.gates.append(gate)
        tell(gate)
        if gate.name == "caught up" and not gate.passed:
            # What is in flight would be told as damage.
            break
    return verdict


def _audit(aimed: Deployment, asked: Asked) -> Report:
    return audit.audited(aimed, audit.Asked(sample=asked.sample, wait_s=asked.wait_s, hold=asked.hold))


def _overlap(both: Both, around: Surroundings, target: Pair, asked: Asked) -> Overlap:
    source = around.other(target)
    points = around.index(source).scroll()
    queries = list(asked.queries) or sampled_queries(points, QUERIES, secrets.token_bytes(16))

    def searched(pair: Pair) -> Searched:
        encoder = both.of(pair).profiles.query
        return Searched(around.index(pair), lambda texts: encoder.encode("query", texts))

    return overlap(searched(source), searched(target), queries)


def _services(both: Both, asked: Asked) -> list[Ready]:
    """What the query services say of themselves. One that was named has to answer."""
    own = f"http://{both.present.settings.query.listen}"
    told = [_ready(where, must=True) for where in asked.services]
    if not asked.services:
        told.append(_ready(own, must=False))
    return [one for one in told if one is not None]


def _ready(where: str, *, must: bool) -> Ready | None:
    try:
        answer = httpx.get(f"{where.rstrip('/')}/readyz", timeout=_READY_S, trust_env=False).json()
        return Ready(where, tuple(map(str, answer["collections"])))
    except httpx.ConnectError as error:
        if must:
            raise Fatal(f"No query service answers on {where}; start it, or take its --query away.") from error
        return None
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise Fatal(
            f"What answers on {where} does not say which collections it could search ({type(error).__name__}); "
            "correct query.listen or --query."
        ) from error
