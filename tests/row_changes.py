"""Records of one table and the changes they say, for the tests of reading them."""

from pathlib import Path

import orjson
import pytest

from stream.change import read_change
from stream.errors import Poison
from stream.source import Column, Source

RECORDS = Path(__file__).parent / "unit" / "debezium_records"
PLACEHOLDER = "__debezium_unavailable_value"

DOCS = Source(
    "docs",
    "kb.public.docs",
    "debezium",
    key=("id",),
    title="title",
    text=(Column("body"),),
    fields={"section": "keyword", "updated_at": "datetime"},
    tenant="account",
)
NOTES = Source("notes", "notes", "document", text=(Column("body"),))
NO_IDENTITY = {"id": 7, "title": None, "body": None, "section": None, "account": None, "updated_at": None}


def record(name):
    parts = orjson.loads((RECORDS / f"{name}.json").read_bytes())
    return parts["key"], parts["value"]


def change(key, value, source=DOCS, version=42):
    key, value = (part if part is None or isinstance(part, bytes) else orjson.dumps(part) for part in (key, value))
    return read_change(source, key, value, (), version, 1_772_366_500_000)


def written(after=None, source=DOCS, before=None, without=()):
    """The upsert made by a row that differs from the one in ``create.json`` in the columns given."""
    key, value = record("create")
    row = {name: content for name, content in (value["after"] | (after or {})).items() if name not in without}
    return change(key, value | {"after": row, "before": before}, source)


def poison(call, *args, **kwargs):
    with pytest.raises(Poison) as error:
        call(*args, **kwargs)
    return error.value
