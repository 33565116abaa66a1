"""The body of ``POST /v1/search``, read into a :class:`serving.search.Question` or refused with one sentence.

    {"query": "how do I …", "limit": 10, "filter": {"must": [{"key": "section", "match": {"value": "install"}}]}}

Only a text is needed: ``query``, or ``queries`` with a list of them, which is answered with a list of ``results``.
``limit`` counts passages, or documents with ``"group_by": "document"``, of each of which ``group_size`` passages are
kept (1 where nothing is said). ``score_threshold`` is the least cosine of a hit. ``filter`` is Qdrant's (see
``filter_reading``), and ``"tenant": "acme"`` is short for one condition more.

``wait_for`` says what has to be applied before the search, in one of two forms:

    {"doc_id": "docs/1", "min_version": 42, "timeout_ms": 2000}
    {"source": "docs", "partition": 3, "offset": 41, "timeout_ms": 2000}

A version is one document's, so ``min_version`` stands beside its ``doc_id``; at the top of the body it is read for
the document that ``wait_for`` names, and refused where there is none, because it would be compared with nothing.

Every refusal names the key, what was found and what is expected.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from adapters.admission import MAX_VERSION
from schemas.identity import DocId, Version
from schemas.strict_json import INT64_MAX
from serving.awaiting import DocumentVersion, SourceOffset, WaitFor
from serving.filter_reading import read_filter
from serving.search import Question
from serving.whole_number import whole
from serving.wording import nearest, shown
from stream.errors import Misuse
from stream.filter import Filter, both, equals
from stream.ports import FieldType

_KEYS = (
    "query",
    "queries",
    "limit",
    "filter",
    "tenant",
    "score_threshold",
    "group_by",
    "group_size",
    "wait_for",
    "min_version",
)
_DOCUMENT = ("doc_id", "min_version", "timeout_ms")
_OFFSET = ("source", "partition", "offset", "timeout_ms")
MAX_GROUP_SIZE = 10
MAX_PARTITION = 2**31 - 1
_LONGEST_CHARACTER = len(rb"\ud83d\ude00")
"""A code point of a text has so many bytes in JSON, at most."""
_BETWEEN_TEXTS = len(b'", "')
_BESIDE_TEXTS = 256 << 10
"""What there is always room for: the other keys and a filter, as people and programs write them."""


@dataclass(frozen=True, slots=True)
class RequestRules:
    """What a request may ask. ``fields``: those that the sources declare, with their types."""

    max_text_chars: int = 8_192
    max_queries: int = 32
    """Texts of one request."""
    max_limit: int = 200
    wait_ms: int = 5_000
    """For what is waited for, where the request does not say."""
    max_wait_ms: int = 60_000
    fields: Mapping[str, FieldType] = field(default_factory=dict)

    @property
    def largest_body_bytes(self) -> int:
        """What a body may have to be read: all the texts that there may be, as long as they may be and however they
        are escaped, and room for the rest.
        """
        return self.max_queries * (self.max_text_chars * _LONGEST_CHARACTER + _BETWEEN_TEXTS) + _BESIDE_TEXTS

    def question(self, body: bytes) -> Question:
        """Raises Misuse with one sentence where the body is no question."""
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Misuse(f"The body is not JSON ({error}).") from error
        if not isinstance(document, dict):
            raise Misuse('The body is not a JSON object; send {"query": "…"}.')
        for key in document:
            if key not in _KEYS:
                raise Misuse(f"{key!r} is not a known key{nearest(key, _KEYS)}.")
        several = document.get("queries") is not None
        return Question(
            texts=self._texts(document),
            limit=_whole(document.get("limit", min(10, self.max_limit)), "limit", 1, self.max_limit),
            wanted=self._wanted(document),
            least_score=_score(document.get("score_threshold")),
            group_size=_group_size(document),
            several=several,
            wait_for=self._wait_for(document),
        )

    def _texts(self, document: Mapping[str, Any]) -> tuple[str, ...]:
        texts = document.get("queries")
        if texts is None:
            return (self._text(document.get("query"), "query"),)
        if document.get("query") is not None:
            raise Misuse("query and queries are both there; say one of them.")
        if not isinstance(texts, list) or not 1 <= len(texts) <= self.max_queries:
            found = f"a list of {len(texts):,}" if isinstance(texts, list) else shown(texts)
            raise Misuse(f"queries is {found}, but a list of 1 to {self.max_queries} texts is expected.")
        return tuple(self._text(text, f"queries[{number}]") for number, text in enumerate(texts))

    def _text(self, text: object, place: str) -> str:
        if not isinstance(text, str):
            raise Misuse(f"{place} is {shown(text)}, but text is expected.")
        if not text.strip():
            raise Misuse(f"{place} is empty; say what to search for.")
        if len(text) > self.max_text_chars:
            raise Misuse(f"{place} has {len(text):,} characters; at most {self.max_text_chars:,} are read.")
        return text

    def _wanted(self, document: Mapping[str, Any]) -> Filter | None:
        wanted, tenant = document.get("filter"), document.get("tenant")
        if tenant is not None and not isinstance(tenant, str):
            raise Misuse(f"tenant is {shown(tenant)}, but text is expected.")
        return both(
            None if wanted is None else read_filter(wanted, self.fields),
            None if tenant is None else equals("tenant", tenant),
        )

    def _wait_for(self, document: Mapping[str, Any]) -> WaitFor | None:
        wait, min_version = document.get("wait_for"), document.get("min_version")
        if wait is None and min_version is None:
            return None
        if not isinstance(wait, dict | None):
            raise Misuse(
                f'wait_for is {shown(wait)}, but an object is expected: {{"doc_id": "…", "min_version": 1}}.'
            )
        said = {key: value for key, value in (wait or {}).items() if value is not None}
        if min_version is not None:
            if "doc_id" not in said:
                raise Misuse(
                    "min_version is a version of one document; name it: "
                    '{"wait_for": {"doc_id": "…", "min_version": 1}}.'
                )
            if "min_version" in said:
                raise Misuse("min_version and wait_for.min_version are both there; say one of them.")
            said["min_version"] = min_version
        known = _OFFSET if "source" in said else _DOCUMENT
        for key in said:
            if key not in known:
                near = nearest(key, known if known is _OFFSET else (*_DOCUMENT, "source"))
                raise Misuse(f"wait_for.{key} is not a known key here{near}.")
        timeout_ms = _whole(said.get("timeout_ms", self._usual_wait_ms), "wait_for.timeout_ms", 0, self.max_wait_ms)
        return WaitFor(_change(said), timeout_ms / 1000)

    @property
    def _usual_wait_ms(self) -> int:
        return min(self.wait_ms, self.max_wait_ms)


def _change(said: Mapping[str, Any]) -> DocumentVersion | SourceOffset:
    if "source" in said:
        return SourceOffset(
            _name(said["source"], "wait_for.source"),
            _whole(said.get("partition"), "wait_for.partition", 0, MAX_PARTITION),
            _whole(said.get("offset"), "wait_for.offset", 0, INT64_MAX),
        )
    document = _name(said.get("doc_id"), "wait_for.doc_id")
    least = _whole(said.get("min_version"), "wait_for.min_version", 0, MAX_VERSION - 1)
    return DocumentVersion(DocId(document), Version(least))


def _name(name: object, place: str) -> str:
    if not isinstance(name, str) or not name:
        raise Misuse(f"{place} is {shown(name)}, but text is expected.")
    return name


def _whole(number: object, place: str, least: int, most: int) -> int:
    read = whole(number)
    if read is None or not least <= read <= most:
        raise Misuse(f"{place} is {shown(number)}, but a whole number from {least} to {most} is expected.")
    return read


def _score(score: object) -> float | None:
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, int | float) or not -1 <= score <= 1:
        raise Misuse(f"score_threshold is {shown(score)}, but a cosine is expected, a number from -1 to 1.")
    return float(score)


def _group_size(document: Mapping[str, Any]) -> int | None:
    group_by, size = document.get("group_by"), document.get("group_size")
    if group_by is None:
        if size is not None:
            raise Misuse('group_size goes with group_by; say {"group_by": "document"} too.')
        return None
    if group_by != "document":
        raise Misuse(f'group_by is {shown(group_by)}, but "document" is expected.')
    return _whole(1 if size is None else size, "group_size", 1, MAX_GROUP_SIZE)
