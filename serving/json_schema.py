"""The words in which messages are described: objects, references and what may be null, as JSON Schema has them."""

from collections.abc import Iterable, Mapping

from schemas.chunk_event import Json

Schema = dict[str, Json]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NULL: Schema = {"type": "null"}


def obj(
    properties: Mapping[str, Schema], optional: frozenset[str] = frozenset(), *, closed: bool = False, **more: Json
) -> Schema:
    """An object whose properties are needed, but for the optional ones; ``closed``: it has no others."""
    schema: Schema = {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        **more,
    }
    return {**schema, "additionalProperties": False} if closed else schema


def only(properties: Mapping[str, Schema], optional: frozenset[str] = frozenset()) -> Schema:
    """An object that has no others, but for what is null: to the reader that is not there."""
    return {**obj(properties, optional), "additionalProperties": NULL}


def ref(name: str) -> Schema:
    """To a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(kind: str, **more: Json) -> Schema:
    """Of one type, or null."""
    return {"type": [kind, "null"], **more}


def whole_number(least: int, most: int, **more: Json) -> Schema:
    """Both included."""
    return {"type": "integer", "minimum": least, "maximum": most, **more}


def one_of(texts: Iterable[str]) -> Schema:
    """Of these texts, whatever their order."""
    return {"enum": [*sorted(texts)]}
