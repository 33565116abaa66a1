"""What a person types for a document, as its id.

A document's id is ``<source>/<primary key>``: one column stands as plain text, several as a JSON array
(``schemas.identity.doc_id``). A person may write the array with spaces, or the key as the object that the row's topic
shows (``docs/{"tenant": "a", "id": 7}``). Law: an id that is written as the index has it names itself, and every
other form names the id that the same key columns have.
"""

from collections.abc import Iterable

import orjson

from schemas.identity import DocId, doc_id, source_of
from stream.errors import Misuse
from stream.source import Source


def document_named(typed: str, sources: Iterable[Source]) -> DocId:
    """The document's id. Raises Misuse where it names no source of these, or no key."""
    known = {source.name: source for source in sources}
    name = source_of(DocId(typed))
    source = known.get(name)
    if source is None:
        raise Misuse(
            f"{typed!r} names no source of this configuration; ids are <source>/<primary key>, and begin with one "
            f"of: {', '.join(known)}."
        )
    written = typed[len(name) + 1 :]
    if not written:
        raise Misuse(f"{typed!r} names no document of source {name!r}: write its primary key behind the slash.")
    if written[0] == "[":
        return _of_array(source, written)
    if written[0] == "{":
        return _of_object(source, written)
    return DocId(typed)


def _of_array(source: Source, written: str) -> DocId:
    values = _json(written)
    if isinstance(values, list) and values and all(_is_scalar(value) for value in values):
        return doc_id(source.name, {str(number): value for number, value in enumerate(values)})
    # One text that begins like an array is such an array of one.
    return doc_id(source.name, {"key": written})


def _of_object(source: Source, written: str) -> DocId:
    columns = _json(written)
    if not isinstance(columns, dict) or not columns:
        return doc_id(source.name, {"key": written})
    order = source.key or tuple(columns)
    if missing := [column for column in order if column not in columns]:
        raise Misuse(f"The key {written} of source {source.name!r} lacks the column {missing[0]!r}.")
    if not all(_is_scalar(columns[column]) for column in order):
        raise Misuse(f"The key {written} holds something that is no string, number or Boolean, which no key does.")
    return doc_id(source.name, {column: columns[column] for column in order})


def _json(written: str) -> object:
    try:
        return orjson.loads(written)
    except orjson.JSONDecodeError:
        return None


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool)
