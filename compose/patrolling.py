"""The continuous audit of an embedder process, on a thread of its own (``[embedder] audit_per_s``).

The poll thread never waits for it. It shares the index with the stages, by reads alone, and the encoder's bulk side,
one text at a time; the rate is what bounds both. What it finds is counted and logged, and ends nothing; what is
unforeseen ends the embedder, as anywhere.
"""

import logging
import threading

from adapters.metrics import Metrics
from compose.background import Background
from operations.audit.patrol import Beat, Patrol

_LOG = logging.getLogger("embedstream.audit")
_AFTER_AN_OUTAGE_S = 5.0


def patrolling(beat: Beat, per_s: float, metrics: Metrics, stopping: threading.Event) -> Background:
    """``per_s`` points a second; 0: none. ``beat`` waits with ``stopping``."""
    patrol = Patrol(beat)

    def step() -> None:
        walked = patrol.step()
        if walked is None:
            metrics.audit_walked()
            return
        metrics.audited(walked.verdict, [one.kind.value for one in walked.differences])
        for one in walked.differences:
            _LOG.warning("%s: %s of %s: %s; see embedstream audit", one.kind.value, one.id, one.doc_id, one.detail)

    return Background(
        "audit", step, 1 / per_s if per_s > 0 else None, after_outage_s=_AFTER_AN_OUTAGE_S, stopping=stopping
    )
