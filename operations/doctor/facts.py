"""Something asked of the world once: its answer, or why there is none.

Half of a system may be down when a doctor is called. What cannot be asked is asked once and not again, for a question
to a broker that is away takes a quarter of a minute; every check that needed the answer is then told why it has to do
without (:class:`NotKnown`), and says so.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from stream.errors import EmbedstreamError

T = TypeVar("T")


class NotKnown(Exception):
    """Why a check cannot be made, to be read behind "because"."""


class Fact(Generic[T]):
    """``why`` is told to whoever needs the fact where it could not be had."""

    def __init__(self, ask: Callable[[], T], why: str) -> None:
        self._ask = ask
        self._why = why
        self._answers: list[T] = []
        self._failure: Exception | None = None

    def first(self) -> T:
        """The answer; raises what kept it from being known, each time."""
        if self._failure is not None:
            raise self._failure
        if not self._answers:
            try:
                self._answers.append(self._ask())
            except Exception as error:
                self._failure = error
                raise
        return self._answers[0]

    def __call__(self) -> T:
        """The answer, for a check of something else. Raises NotKnown."""
        try:
            return self.first()
        except NotKnown:
            raise
        except EmbedstreamError as error:
            raise NotKnown(self._why) from error
