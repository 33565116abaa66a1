"""What a query service may have to search next, opened before the alias means it, on a thread of its own.

The service hears its end at once, also while the index is away and a look at it hangs.
"""

import logging
from collections.abc import Iterable

from compose.background import Background
from serving.handle import LiveIndex
from stream.errors import Fatal
from stream.ports import IndexCatalog

_LOG = logging.getLogger("embedstream")
_LOOK_S = 0.5
_AFTER_AN_OUTAGE_S = 2.0


class Upcoming:
    """Looks which of ``collections`` exist: each is opened as soon as it does, and forgotten once it is dropped.

    One that cannot be opened is told once, until it can be or for another reason cannot; ``/readyz`` lists those that
    are open. An outage is told by the searches that meet it.
    """

    def __init__(self, live: LiveIndex, catalog: IndexCatalog, collections: Iterable[str]) -> None:
        self._live = live
        self._catalog = catalog
        self._collections = frozenset(collections)
        self._refused: dict[str, str] = {}

    def look(self) -> None:
        """Raises Outage."""
        there = {*self._catalog.collections()}
        self._live.keep(there)
        for collection in sorted(self._collections & there):
            try:
                self._live.prepare(collection)
                self._refused.pop(collection, None)
            except Fatal as error:
                if self._refused.get(collection) != str(error):
                    self._refused[collection] = str(error)
                    _LOG.warning("The collection that may be searched next cannot be opened: %s", error)

    def watching(self) -> Background:
        """Looks again and again, once it is started."""
        return Background("collections", self.look, _LOOK_S, after_outage_s=_AFTER_AN_OUTAGE_S)
