"""Avro's schemas: the names in them, and what they say in the form of Kafka Connect.

Avro converters carry what Connect knows in properties of their own (``connect.name``, ``connect.type``,
``connect.parameters``), so a column of a framed record has the very type that the JSON converter would have written.
Where a schema comes from another program and has Avro's logical types alone, each is given the Connect or Debezium
name of the same meaning. A union of null and one type is an optional field; a union of several says nothing of its
column, whose values then speak for themselves.

Law: whatever the JSON, the answer is a translation or Malformed of kind ``registry-schema``.
Source: the Avro specification, "Schema Declaration" and "Logical Types".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.chunk_event import Json
from schemas.malformed import Malformed

_PRIMITIVES: Mapping[str, str | None] = {
    "null": None,
    "boolean": "boolean",
    "int": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "bytes": "bytes",
    "string": "string",
}
_NAMED = ("record", "error", "enum", "fixed")
_CONNECT = "org.apache.kafka.connect.data."
_DEBEZIUM = "io.debezium.time."
_MEANINGS: Mapping[tuple[str, str], str] = {
    ("int", "date"): f"{_CONNECT}Date",
    ("int", "time-millis"): f"{_CONNECT}Time",
    ("long", "time-micros"): f"{_DEBEZIUM}MicroTime",
    ("long", "timestamp-millis"): f"{_CONNECT}Timestamp",
    ("long", "timestamp-micros"): f"{_DEBEZIUM}MicroTimestamp",
    ("long", "timestamp-nanos"): f"{_DEBEZIUM}NanoTimestamp",
    ("long", "local-timestamp-millis"): f"{_DEBEZIUM}Timestamp",
    ("long", "local-timestamp-micros"): f"{_DEBEZIUM}MicroTimestamp",
    ("long", "local-timestamp-nanos"): f"{_DEBEZIUM}NanoTimestamp",
    ("bytes", "decimal"): f"{_CONNECT}Decimal",
    ("fixed", "decimal"): f"{_CONNECT}Decimal",
    ("string", "uuid"): "io.debezium.data.Uuid",
    ("fixed", "uuid"): "io.debezium.data.Uuid",
}
"""(Avro's type, its logical type) → the name under which Connect or Debezium knows the same."""


class AvroSchema:
    """One writer's schema with every name that it defines or refers to.

    ``references`` are the schemas that it names and does not hold. Raises Malformed where a name is unknown.
    """

    def __init__(self, schema: Json, references: Iterable[Json] = ()) -> None:
        self._named: dict[str, tuple[dict[str, Any], str]] = {}
        for each in (*references, schema):
            self._collect(each, "")
        self.root = schema

    def connect(self) -> Json:
        """The whole schema in Connect's form; None where it says nothing."""
        return self._connect(self.root, "", ())

    def resolved(self, avro: Json, namespace: str) -> tuple[Any, str]:
        """A union, a primitive's name or a definition, whatever stood for it, and the namespace for the names inside.

        ``{"type": X}`` around another type says no more than that does.
        """
        if isinstance(avro, list) or (isinstance(avro, str) and avro in _PRIMITIVES):
            return avro, namespace
        if isinstance(avro, str):
            found = self._named.get(_full(avro, namespace)) or self._named.get(avro)
            if found is None:
                raise _unreadable(f"it names the type {avro[:100]!r}, which neither it nor its references define")
            return found
        if not isinstance(avro, dict) or "type" not in avro:
            raise _unreadable("a type in it is neither a name, a union nor a definition")
        kind = avro["type"]
        if isinstance(kind, str) and kind in _NAMED:
            return avro, namespace_of(avro, namespace)
        if isinstance(kind, str) and kind in (*_PRIMITIVES, "array", "map"):
            return avro, namespace
        return self.resolved(kind, namespace)

    def _collect(self, avro: Json, namespace: str) -> None:
        for inner, inside in _inner(avro, namespace):
            self._collect(inner, inside)
        if isinstance(avro, dict) and avro.get("type") in _NAMED:
            self._named[full_name(avro, namespace)] = avro, namespace_of(avro, namespace)

    def _connect(self, avro: Json, namespace: str, within: tuple[str, ...]) -> dict[str, Any] | None:
        definition, inside = self.resolved(avro, namespace)
        if isinstance(definition, list):
            others = [branch for branch in definition if branch != "null"]
            one = self._connect(others[0], inside, within) if len(others) == 1 else None
            return None if one is None else {**one, "optional": True}
        if isinstance(definition, str):
            return self._shape({}, definition, inside, within)
        return _annotated(definition, self._shape(definition, definition["type"], inside, within))

    def _shape(self, avro: dict[str, Any], kind: str, inside: str, within: tuple[str, ...]) -> dict[str, Any] | None:
        match kind:
            case "record" | "error":
                shape = self._struct(avro, inside, within)
            case "array":
                shape = {"type": "array", "items": self._connect(avro.get("items"), inside, within)}
            case "map":
                values = self._connect(avro.get("values"), inside, within)
                shape = {"type": "map", "keys": {"type": "string"}, "values": values}
            case "enum":
                shape = {"type": "string"}
            case "fixed":
                shape = {"type": "string" if is_fixed_uuid(avro) else "bytes"}
            case _:
                connect = _PRIMITIVES[kind]
                return None if connect is None else {"type": connect}
        return shape

    def _struct(self, avro: dict[str, Any], inside: str, within: tuple[str, ...]) -> dict[str, Any]:
        """A record that holds itself is not followed further."""
        name = full_name(avro, inside)
        if name in within:
            return {"type": "struct", "name": name}
        fields = [
            {**told, "field": field["name"]}
            for field in fields_of(avro)
            if (told := self._connect(field["type"], inside, (*within, name))) is not None
        ]
        return {"type": "struct", "fields": fields, "name": name}


def without_logical_types(avro: Json) -> Json:
    """The same schema, under which values are read as they were written: days, ticks and unscaled bytes.

    A reader that turns them into dates and decimals fails beyond the years that its dates know, and what it made
    would have to be turned back.
    """
    if isinstance(avro, list):
        return [without_logical_types(branch) for branch in avro]
    if not isinstance(avro, dict):
        return avro
    changed = {name: value for name, value in avro.items() if name != "logicalType"}
    for name in ("type", "items", "values"):
        if name in changed:
            changed[name] = without_logical_types(changed[name])
    if isinstance(changed.get("fields"), list):
        changed["fields"] = [{**field, "type": without_logical_types(field["type"])} for field in fields_of(changed)]
    return changed


def kind_of(definition: Any) -> str:  # noqa: ANN401 - what ``resolved`` gave
    """``long``, ``record``, ``array`` … of what is no union. Raises Malformed."""
    if isinstance(definition, list):
        raise _unreadable("a union in it stands directly in a union")
    return str(definition if isinstance(definition, str) else definition["type"])


def full_name(avro: Mapping[str, Any], namespace: str) -> str:
    """``namespace.name`` of a definition that stands in ``namespace``."""
    name = avro.get("name")
    if not isinstance(name, str):
        raise _unreadable(f"{avro.get('type')!r} in it has no name")
    return _full(name, namespace_of(avro, namespace))


def namespace_of(avro: Mapping[str, Any], namespace: str) -> str:
    """The namespace for names inside a definition that stands in ``namespace``."""
    name, own = avro.get("name"), avro.get("namespace")
    if isinstance(name, str) and "." in name:
        return name.rpartition(".")[0]
    return own if isinstance(own, str) else namespace


def fields_of(avro: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of a record. Raises Malformed where they are none."""
    fields = avro.get("fields")
    if not isinstance(fields, list) or not all(
        isinstance(field, dict) and isinstance(field.get("name"), str) and "type" in field for field in fields
    ):
        raise _unreadable("a record in it has no list of fields with names and types")
    return fields


def is_fixed_uuid(avro: Mapping[str, Any]) -> bool:
    """Sixteen bytes that stand for the text of a UUID."""
    return avro.get("type") == "fixed" and avro.get("logicalType") == "uuid" and avro.get("size") == 16


def _annotated(avro: Mapping[str, Any], shape: dict[str, Any] | None) -> dict[str, Any] | None:
    """The shape with the name, the exact type and the parameters that Connect gave it."""
    if shape is None:
        return None
    kind = str(avro["type"])
    meaning = _MEANINGS.get((kind, str(avro.get("logicalType"))))
    if isinstance(avro.get("connect.type"), str) and kind not in ("record", "error", "array", "map"):
        shape["type"] = avro["connect.type"]
    if isinstance(avro.get("connect.name"), str):
        shape["name"] = avro["connect.name"]
    elif meaning is not None:
        shape["name"] = meaning
    if isinstance(avro.get("connect.parameters"), dict):
        shape["parameters"] = avro["connect.parameters"]
    elif meaning == f"{_CONNECT}Decimal":
        shape["parameters"] = {"scale": str(avro.get("scale", 0))}
    return shape


def _inner(avro: Json, namespace: str) -> list[tuple[Json, str]]:
    if isinstance(avro, list):
        return [(branch, namespace) for branch in avro]
    if not isinstance(avro, dict):
        return []
    if avro.get("type") in ("record", "error"):
        inside = namespace_of(avro, namespace)
        return [(field["type"], inside) for field in fields_of(avro)]
    return [
        (avro[name], namespace) for name in ("type", "items", "values") if isinstance(avro.get(name), list | dict)
    ]


def _full(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _unreadable(why: str) -> Malformed:
    return Malformed("registry-schema", f"The Avro schema of the record cannot be read: {why}.")
