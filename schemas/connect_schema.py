"""Kafka Connect's schemas in their JSON form: what they say of the columns of a row.

This is the form in which the JSON converter writes a schema beside its payload, and into which Avro's and JSON
Schema's own forms are translated, so that a column has one type however its value travelled. A schema of another
shape says nothing; that is no failure, because values are checked where they are used.
"""

import re
from typing import Any

from schemas.row_event import ColumnType

_WHOLE = re.compile(r"-?[0-9]{1,9}")


def column_types(struct: object) -> dict[str, ColumnType]:
    """Column → type, of a struct; fields without a name or a type are passed over.

    What lies inside a column that is a struct itself is named by its path, its steps joined by dots.
    """
    columns: dict[str, ColumnType] = {}
    for column in fields_of(struct):
        name, kind = column.get("field"), column.get("type")
        if not isinstance(name, str) or not isinstance(kind, str):
            continue
        for inner, known in column_types(column).items():
            columns.setdefault(f"{name}.{inner}", known)
        semantic = column.get("name")
        columns[name] = ColumnType(kind, semantic if isinstance(semantic, str) else None, _scale(column))
    return columns


def _scale(column: dict[str, Any]) -> int | None:
    """A decimal's, which the JSON converter writes as text."""
    parameters = column.get("parameters")
    scale = parameters.get("scale") if isinstance(parameters, dict) else None
    return int(scale) if isinstance(scale, int | str) and _WHOLE.fullmatch(str(scale)) else None


def field_of(struct: object, name: str) -> object:
    """The schema of one field of a struct, or None."""
    return next((field for field in fields_of(struct) if field.get("field") == name), None)


def fields_of(struct: object) -> list[dict[str, Any]]:
    """The fields of a struct, in their order."""
    fields = struct.get("fields") if isinstance(struct, dict) else None
    return [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []
