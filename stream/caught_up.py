"""Whether a group is done with all that a topic held when its ends were noted.

A difference between topic and index is damage only where the embedders had every chance: a revision that is written
and not applied yet is in flight. So ends are noted first, and nothing is believed before the group has committed past
them, in every partition and for every source that the collection accepts (``stream.claim``): an embedder that does
not know a source yet commits behind its events without having looked at them.

Law: where nothing is behind, every record below the noted ends is applied, stale, dropped or a dead letter
(invariant 5, no skip).
"""

from collections.abc import Iterable, Mapping

from schemas.identity import Fingerprint
from stream.claim import claim_of
from stream.ports import Committed, Partition


def behind(
    ends: Mapping[Partition, int],
    lows: Mapping[Partition, int],
    committed: Mapping[Partition, Committed],
    accepted: Iterable[Fingerprint],
) -> dict[Partition, int]:
    """Partition → offsets that are still to be done, of those where there are any; empty: all is done.

    ``lows`` are the first offsets that are there: a partition with nothing in it asks nothing of anybody.
    """
    fingerprints = tuple(accepted)
    left: dict[Partition, int] = {}
    for place, end in ends.items():
        if end <= lows.get(place, 0):
            continue
        claim = claim_of(committed.get(place))
        done = min((claim.done.get(fingerprint, 0) for fingerprint in fingerprints), default=0)
        if done < end:
            left[place] = end - done
    return left
