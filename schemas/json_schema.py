"""JSON Schema as a schema registry keeps it: what it says in the form of Kafka Connect.

Connect's JSON Schema converter carries what Connect knows in ``title`` (the name), ``connect.type``,
``connect.parameters`` and ``connect.index``, and writes an optional field as a choice between null and one type. A
schema of another program says less: its integers are 64 bits wide, and so on. The payload is JSON and is read as
such; it is not validated, as Connect's own reader does not by default: a row is judged where its columns are used,
framed or not.

Law: whatever the JSON, the answer is a translation, or None where it says nothing.
"""

from collections.abc import Mapping
from typing import Any

from schemas.chunk_event import Json

_TYPES: Mapping[str, str] = {"boolean": "boolean", "integer": "int64", "number": "float64", "string": "string"}
_LAST = 1 << 31


def connect_schema(schema: Json) -> Json:
    """The schema in Connect's form, or None."""
    return _connect(schema, schema, ())


def _connect(schema: Json, root: Json, within: tuple[str, ...]) -> dict[str, Any] | None:
    if not isinstance(schema, dict):
        return None
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference in within:
            return None
        return _connect(_at(root, reference), root, (*within, reference))
    choices = schema.get("oneOf", schema.get("anyOf"))
    if isinstance(choices, list):
        others = [one for one in choices if not (isinstance(one, dict) and one.get("type") == "null")]
        only = _connect(others[0], root, within) if len(others) == 1 else None
        return None if only is None else {**only, "optional": len(others) < len(choices)}
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = [one for one in kind if one != "null"]
        only = _connect({**schema, "type": kinds[0]}, root, within) if len(kinds) == 1 else None
        return None if only is None else {**only, "optional": len(kinds) < len(kind)}
    shape = _shape(schema, kind, root, within)
    return None if shape is None else _annotated(schema, shape)


def _shape(schema: dict[str, Any], kind: object, root: Json, within: tuple[str, ...]) -> dict[str, Any] | None:
    if kind == "object":
        if schema.get("connect.type") == "map":
            values = _connect(schema.get("additionalProperties"), root, within)
            return {"type": "map", "keys": {"type": "string"}, "values": values}
        properties = schema.get("properties")
        columns = properties.items() if isinstance(properties, dict) else ()
        fields = [
            {**told, "field": name}
            for name, column in sorted(columns, key=_place)
            if (told := _connect(column, root, within)) is not None
        ]
        return {"type": "struct", "fields": fields}
    if kind == "array":
        return {"type": "array", "items": _connect(schema.get("items"), root, within)}
    if isinstance(kind, str) and kind in _TYPES:
        return {"type": _TYPES[kind]}
    return None


def _annotated(schema: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("connect.type"), str) and shape["type"] not in ("struct", "array", "map"):
        shape["type"] = schema["connect.type"]
    if isinstance(schema.get("title"), str):
        shape["name"] = schema["title"]
    if isinstance(schema.get("connect.parameters"), dict):
        shape["parameters"] = schema["connect.parameters"]
    return shape


def _place(column: tuple[str, Any]) -> int:
    """Connect numbers the fields, because the members of a JSON object have no order."""
    index = column[1].get("connect.index") if isinstance(column[1], dict) else None
    return index if type(index) is int else _LAST


def _at(root: Json, reference: str) -> Json:
    """What a reference into the same schema points at; other references say nothing here."""
    here: Json = root
    if not reference.startswith("#"):
        return None
    for step in reference.removeprefix("#").split("/")[1:]:
        here = here.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(here, dict) else None
    return here
