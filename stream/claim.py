"""What a committed offset of the chunk topic says: *of which sources* everything below it is done.

An embedder that does not know a source yet lets its events pass by their header, and commits behind them. The offset
alone would say that they are done (invariant 5, no skip), and a successor that does know the source would never see
them. So each commit carries a claim: the header fingerprints that its writer admitted. Who takes a partition over and
admits more than its claim says reads the partition again, from its first record or from where the claim for a source
ends, and passes over what is claimed already. Sources may thus join while processes are restarted in any order.

An offset without a claim, which another program committed, claims nothing: everything is read again, and what the
index holds already is found there and not embedded. Law: :meth:`Claim.at` never claims more than was read by a
member that admitted it, and reading on from :meth:`Claim.start` leaves out nothing that is not claimed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from schemas.identity import Fingerprint
from stream.errors import Fatal
from stream.ports import Committed


@dataclass(frozen=True, slots=True)
class Claim:
    """Of one partition. ``done``: header fingerprint → the offset below which all events under it are done."""

    done: Mapping[Fingerprint, int] = field(default_factory=dict)

    def start(self, admitted: Iterable[Fingerprint]) -> int | None:
        """Where a member that admits these has to read from; None: from the partition's first record."""
        places = [self.done.get(fingerprint) for fingerprint in admitted]
        known = [place for place in places if place is not None]
        return min(known) if known and len(known) == len(places) else None

    def covers(self, fingerprint: Fingerprint, offset: int) -> bool:
        """Whether the event under this header at ``offset`` is done."""
        return offset < self.done.get(fingerprint, 0)

    @property
    def read_to(self) -> int:
        """Below it every record was read by somebody: what no member can read is a dead letter already."""
        return max(self.done.values(), default=0)

    def at(self, offset: int, admitted: Iterable[Fingerprint]) -> "Claim":
        """The claim of a member that took over with this one, admits these, and is done with all below ``offset``."""
        return Claim({**self.done, **{each: max(offset, self.done.get(each, 0)) for each in admitted}})

    def committed(self, offset: int) -> Committed:
        """As it stands beside the group's offset. Sources done to just there, as nearly always, are a mere list."""
        told = {
            "sources": sorted(each for each, place in self.done.items() if place == offset),
            "apart": {str(each): place for each, place in self.done.items() if place != offset},
        }
        return Committed(offset, orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode())


NOTHING = Claim()


def claim_of(committed: Committed | None) -> Claim:
    """The reverse of :meth:`Claim.committed`. Raises Fatal where the metadata is another program's."""
    if committed is None or not committed.metadata:
        return NOTHING
    try:
        told = orjson.loads(committed.metadata)
        apart = {Fingerprint(each): int(place) for each, place in told["apart"].items()}
        return Claim({**{Fingerprint(str(each)): committed.offset for each in told["sources"]}, **apart})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Fatal(
            "The consumer group's metadata on the chunk topic was not written by embedstream's embedder: another "
            "program uses the group; choose another kafka.group_prefix."
        ) from error
