"""When the next generation takes the index's name.

A new generation is built where the versions of the old one cannot be continued: its topics were made anew, and
nothing feeds the old collection any more. It has the same contract, so no query has to be encoded in another way, and
waiting for a person would only show a stale index for longer. It takes the name once both groups have committed
everything there is, twice in a row, and it holds something to be found; a compare-and-set makes sure that nobody else
moved the name meanwhile. A collection of another *contract* is never promoted here, nor one that `upgrade start`
made: that is an upgrade, and a decision.
"""

import logging

from stream.collection import from_json
from stream.points import State
from stream.ports import IndexCatalog

_LOG = logging.getLogger("embedstream.embedder")
_CAUGHT_UP_TIMES = 2


class Promotion:
    """Of one collection to one name. :meth:`observe` is called now and then with the lags as they are."""

    def __init__(self, catalog: IndexCatalog, index_name: str, collection: str) -> None:
        self._catalog = catalog
        self._index_name = index_name
        self._collection = collection
        self._caught_up = 0

    def observe(self, chunker_lag: int | None, embedder_lag: int | None) -> bool:
        """Whether the name was taken just now. A lag of None (no topic) is not caught up."""
        live = self._catalog.aliases().get(self._index_name)
        if live == self._collection:
            return False
        self._caught_up = self._caught_up + 1 if (chunker_lag, embedder_lag) == (0, 0) else 0
        if self._caught_up < _CAUGHT_UP_TIMES or not self._may_follow(live):
            return False
        if not self._catalog.open(self._collection).count(State.LIVE.value):
            return False
        taken = self._catalog.switch_alias(self._index_name, live, self._collection)
        if taken:
            _LOG.warning("Index %s now means %s; before it was %s.", self._index_name, self._collection, live)
        return taken

    def _may_follow(self, live: str | None) -> bool:
        """Only an earlier generation of the same contract is followed, and only where no upgrade is under way."""
        if live is None:
            return True
        ours = from_json(self._catalog.metadata(self._collection))
        theirs = from_json(self._catalog.metadata(live))
        follows = ours.contract.fingerprint == theirs.contract.fingerprint and _generation(live) < _generation(
            self._collection
        )
        return follows and ours.replaces is None


def _generation(collection: str) -> int:
    digits = collection.rpartition("__g")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
