"""Whether users may be sent from one collection to the other: every gate, each with its figure.

    caught up   all that was committed when this began is applied to both collections
    points      the target holds what the chunk topic says, point by point
    vectors     sampled vectors of the target, made again under its contract
    documents   both hold the same documents at the same versions
    deletes     nothing that is deleted in the one is found in the other
    probes      the target's encoder makes the probes of its collection
    overlap     how alike the two answer (a gate where a floor is set)
    services    the query services that were asked hold the target's collection and encoder already

The same gates stand before a cut-over and before a rollback. Which way is the caller's to say.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from operations.audit.report import Report
from operations.upgrade.comparing import Comparison, await_passed, compare
from operations.upgrade.gates import Gate
from operations.upgrade.overlap import Overlap
from operations.upgrade.surroundings import Surroundings
from stream import probes
from stream.errors import Fatal
from stream.ports import Encoder
from stream.upgrade import Kind, Pair

_NAMED = 3
"""Documents that a gate names."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What one query service says: the collections that it could search at once."""

    where: str
    collections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checks:
    """What the gates are asked of. ``audit`` compares the target with the chunk topic, vectors too."""

    audit: Callable[[], Report]
    encoder: Encoder
    """Of the target."""
    overlap: Callable[[], Overlap]
    services: Callable[[], Sequence[Ready]]
    least_overlap: float = 0.0
    hold: int = 1_000_000


def verify(around: Surroundings, target: Pair, checks: Checks) -> Iterator[Gate]:
    """Each gate when it is known. Raises Outage and Fatal where one cannot be asked."""
    source = around.other(target)
    yield _caught_up(around, target, source)
    report = checks.audit()
    yield _points(report)
    yield _vectors(report)
    if around.change.kind is not Kind.REBUILD:
        comparison = compare(around, source, target, hold=checks.hold)
        yield _documents(comparison)
        yield _deletes(comparison)
        if around.change.copies:
            yield _copied(comparison)
    yield _probes(around, target, checks.encoder)
    yield _overlap(checks.overlap(), checks.least_overlap)
    yield _services(checks.services(), target)


def _caught_up(around: Surroundings, target: Pair, source: Pair) -> Gate:
    """Of a rebuild, nothing feeds the collection before it any more."""
    began = around.now_s()
    try:
        await_passed(around, target, *(() if around.change.kind is Kind.REBUILD else (source,)))
    except Fatal as error:
        return Gate("caught up", passed=False, said=str(error))
    return Gate("caught up", passed=True, said=f"with what was committed {around.now_s() - began:.1f} s ago")


def _points(report: Report) -> Gate:
    documents, chunks = f"{report.documents:,} documents", f"{report.chunks:,} chunks"
    if report.differences:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.kinds.items()))
        return Gate("points", passed=False, said=f"{kinds} of {chunks}; see `embedstream audit` of the next file")
    unsaid = f"; {len(report.unsettled)} that never stood still, {len(report.unknown)} unknown to the topic"
    return Gate(
        "points",
        passed=True,
        said=f"{documents}, {chunks}, none differs" + (unsaid if report.unsettled or report.unknown else ""),
    )


def _vectors(report: Report) -> Gate:
    wrong = report.kinds.get("vector", 0)
    if report.vectors == 0 and report.live:
        return Gate("vectors", passed=False, said="none was made again; take a sample (--sample)", binding=True)
    said = f"{report.vectors} made again, {wrong} with a cosine below {probes.LEAST_COSINE}"
    return Gate("vectors", passed=not wrong, said=said, binding=True)


def _documents(found: Comparison) -> Gate:
    documents, chunks = (f"{here:,} and {there:,}" for here, there in (found.documents, found.chunks))
    counts = f"{documents} documents, {chunks} chunks"
    if found.unlike:
        named = "; ".join(map(str, found.unlike[:_NAMED]))
        return Gate("documents", passed=False, said=f"{len(found.unlike):,} of {counts} differ: {named}")
    moving = f"; {len(found.unsettled)} that never stood still" if found.unsettled else ""
    return Gate("documents", passed=True, said=f"{counts}, none differs{moving}")


def _deletes(found: Comparison) -> Gate:
    back = found.resurrected
    said = f"{found.deleted[0]:,} documents deleted, {len(back):,} of them found in the target"
    return Gate("deletes", passed=not back, said=said + (f": {', '.join(back[:_NAMED])}" if back else ""))


def _copied(found: Comparison) -> Gate:
    said = f"{found.alike:,} of {found.chunks[1]:,} chunks have the text of one in the other collection"
    return Gate("copied", passed=True, said=said)


def _probes(around: Surroundings, target: Pair, encoder: Encoder) -> Gate:
    try:
        worst = probes.check(around.record(target).probes, encoder, target.collection)
    except Fatal as error:
        return Gate("probes", passed=False, said=str(error), binding=True)
    return Gate("probes", passed=True, said=f"worst cosine {worst:.6f}", binding=True)


def _overlap(found: Overlap, least: float) -> Gate:
    floor = f", at least {least:.2f} is asked for" if least else ""
    said = f"{found.mean:.2f} of the ten best documents of {found.queries} queries are the same{floor}"
    return Gate("overlap", passed=found.mean >= least, said=said)


def _services(told: Sequence[Ready], target: Pair) -> Gate:
    if not told:
        return Gate("services", passed=True, said="none answers where [query] listen says; name others with --query")
    unready = [one.where for one in told if target.collection not in one.collections]
    if unready:
        said = f"{', '.join(unready)} could not search the target; start it with --config and --next, both files"
        return Gate("services", passed=False, said=said)
    return Gate("services", passed=True, said=f"{len(told)} asked, each could search the target at once")
