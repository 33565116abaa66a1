"""One history of a table in every form in which it can reach a topic, for tests that forms make no difference.

``random_history`` tells what happened to the rows, in plain Python values; a *form* tells it as a connector would:
key and value of each record as JSON values (None: a null value). ``FORMS`` holds them by name with the format that a
source needs; :func:`source_of` gives the mapping that fits all of them. Fixtures of MySQL and MongoDB follow the
connectors' documentation: no server of either stood behind them.

A form that travels in a registry's frame starts from :func:`wrapped`, which has the schema beside the payload.
"""

import base64
import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from cdc_events import sentences

Row = Mapping[str, Any]
KeyValue = tuple[Any, Any]

TITLE, TEXT, TENANT = "title", ("summary", "body"), "account"
FIELDS = {
    "section": "keyword",
    "pages": "integer",
    "price": "float",
    "draft": "boolean",
    "updated_at": "datetime",
    "day": "datetime",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONNECT = {
    "id": {"type": "int64", "optional": False},
    "section": {"type": "string", "optional": True, "name": "io.debezium.data.Enum", "version": 1},
    "pages": {"type": "int32", "optional": True},
    "price": {
        "type": "bytes",
        "optional": True,
        "name": "org.apache.kafka.connect.data.Decimal",
        "version": 1,
        "parameters": {"scale": "2", "connect.decimal.precision": "10"},
    },
    "draft": {"type": "boolean", "optional": True},
    "updated_at": {"type": "int64", "optional": True, "name": "io.debezium.time.MicroTimestamp", "version": 1},
    "day": {"type": "int32", "optional": True, "name": "io.debezium.time.Date", "version": 1},
}
"""Columns that are no plain text, as PostgreSQL's connector describes them by default."""
COLUMNS = ("id", TITLE, *TEXT, TENANT, *FIELDS)


@dataclass(frozen=True)
class RowChange:
    """One change of one row: ``c u r`` with the row after it, ``d`` with the row before it alone."""

    op: str
    before: Row | None
    after: Row | None
    ts_ms: int

    @property
    def id(self) -> int:
        return int((self.after or self.before or {})["id"])


def random_row(random_: random.Random, id_: int) -> Row:
    """Any mapped column but the id may be null; a text may be blank, and a row may have none."""
    moment = _EPOCH + timedelta(milliseconds=random_.randrange(-(10**12), 3 * 10**12))
    row = {
        "id": id_,
        "title": random_.choice([f"Title {random_.randrange(4)}", " ", "Ünï😀"]),
        "summary": sentences(random_.randrange(1, 3), f"summary {random_.randrange(9)}"),
        "body": sentences(random_.randrange(1, 9), f"body {random_.randrange(9)}"),
        "account": random_.choice(["acme", "umbra"]),
        "section": random_.choice(["a", "b", "ü"]),
        "pages": random_.randrange(-5, 10**6),
        "price": Decimal(random_.randrange(-(10**6), 10**6)).scaleb(-2),
        "draft": random_.random() < 0.5,
        "updated_at": moment,
        "day": moment.date(),
    }
    return {name: None if name != "id" and random_.random() < 0.15 else value for name, value in row.items()}


def random_history(seed: int, rows: int = 8, changes: int = 60) -> list[RowChange]:
    """A snapshot of some rows, then inserts, updates and deletes; a deleted row may come back."""
    random_ = random.Random(seed)
    now: dict[int, Row] = {}
    history = []
    for number in range(changes):
        id_ = random_.randrange(1, rows + 1)
        before = now.pop(id_, None)
        if before is not None and random_.random() < 0.3:
            history.append(RowChange("d", before, None, 1_700_000_000_000 + number))
            continue
        now[id_] = random_row(random_, id_)
        op = "u" if before is not None else "r" if number < rows // 2 else "c"
        history.append(RowChange(op, before, now[id_], 1_700_000_000_000 + number))
    return history


def table_after(history: Iterable[RowChange]) -> dict[int, Row]:
    """Id → row, of the rows that are there in the end."""
    table: dict[int, Row] = {}
    for change in history:
        table.pop(change.id, None)
        if change.after is not None:
            table[change.id] = change.after
    return table


# --- The values of a column ----------------------------------------------------------------------------------------


def micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def iso(moment: datetime) -> str:
    """As Debezium writes it under ``isostring``: no zero at the end of a fraction."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{moment.microsecond:06}".rstrip("0") + "Z" if moment.microsecond else f"{text}Z"


def unscaled(number: Decimal) -> str:
    """Base64 of the digits of a decimal of scale 2."""
    digits = int(number.scaleb(2))
    return base64.b64encode(digits.to_bytes((digits.bit_length() + 8) // 8, "big", signed=True)).decode()


def _columns(row: Row | None, **write: Callable[[Any], Any]) -> dict[str, Any] | None:
    if row is None:
        return None
    return {name: write[name](value) if name in write and value is not None else value for name, value in row.items()}


def as_text(row: Row | None) -> dict[str, Any] | None:
    """As the settings of the local stack write it: times as text, decimals as doubles."""
    return _columns(row, price=float, updated_at=iso, day=lambda day: f"{day.isoformat()}Z")


def as_numbers(row: Row | None) -> dict[str, Any] | None:
    """As Debezium writes it by default."""
    return _columns(row, price=unscaled, updated_at=micros, day=lambda day: (day - _EPOCH.date()).days)


# --- The forms -----------------------------------------------------------------------------------------------------


def _source(change: RowChange, connector: str) -> dict[str, Any]:
    where = {"mysql": {"file": "binlog.000003", "pos": 484, "row": 0}, "mongodb": {"collection": "docs", "ord": 1}}
    snapshot = "first" if change.op == "r" else "false"
    told = {"version": "3.3.2.Final", "connector": connector, "name": "kb", "ts_ms": change.ts_ms}
    return {**told, "snapshot": snapshot, "db": "kb", **where.get(connector, {"schema": "public", "lsn": 7})}


def _event(change: RowChange, write: Callable[[Row | None], Any], connector: str = "postgresql") -> dict[str, Any]:
    return {
        "before": write(change.before),
        "after": write(change.after),
        "source": _source(change, connector),
        "op": change.op,
        "ts_ms": change.ts_ms + 3,
        "transaction": None,
    }


def envelope(change: RowChange) -> list[KeyValue]:
    """Without a schema; a delete and the tombstone behind it."""
    told = ({"id": change.id}, _event(change, as_text))
    return [told, ({"id": change.id}, None)] if change.op == "d" else [told]


def _row_schema(**more: Any) -> dict[str, Any]:
    fields = [{"type": "string", "optional": True, **_CONNECT.get(name, {}), "field": name} for name in COLUMNS]
    return {"type": "struct", "fields": fields, "optional": True, "name": "kb.public.docs.Value", **more}


KEY_SCHEMA = {
    "type": "struct",
    "fields": [{"type": "int64", "optional": False, "field": "id"}],
    "optional": False,
    "name": "kb.public.docs.Key",
}
ENVELOPE_SCHEMA = {
    "type": "struct",
    "fields": [
        _row_schema(field="before"),
        _row_schema(field="after"),
        {
            "type": "struct",
            "name": "io.debezium.connector.postgresql.Source",
            "field": "source",
            "optional": False,
            "fields": [
                {"type": kind, "optional": True, "field": name}
                for name, kind in (
                    *((name, "string") for name in ("version", "connector", "name", "snapshot", "db", "schema")),
                    ("ts_ms", "int64"),
                    ("lsn", "int64"),
                )
            ],
        },
        {"type": "string", "optional": False, "field": "op"},
        {"type": "int64", "optional": True, "field": "ts_ms"},
        {"type": "string", "optional": True, "field": "transaction"},
    ],
    "optional": False,
    "name": "kb.public.docs.Envelope",
    "version": 2,
}
ROW_SCHEMA = _row_schema()


def wrapped(change: RowChange) -> list[KeyValue]:
    """Key and value as ``{"schema", "payload"}``, the types as by default: numbers and bytes."""
    key = {"schema": KEY_SCHEMA, "payload": {"id": change.id}}
    told = (key, {"schema": ENVELOPE_SCHEMA, "payload": _event(change, as_numbers)})
    return [told, (key, None)] if change.op == "d" else [told]


def flattened(change: RowChange) -> list[KeyValue]:
    """By default: a null value is the delete."""
    return [({"id": change.id}, as_text(change.after))]


def flattened_wrapped(change: RowChange) -> list[KeyValue]:
    key = {"schema": KEY_SCHEMA, "payload": {"id": change.id}}
    return [(key, None if change.after is None else {"schema": ROW_SCHEMA, "payload": as_numbers(change.after)})]


def rewritten(change: RowChange) -> list[KeyValue]:
    """Mode ``rewrite`` with ``add.fields=op,source.ts_ms``, and the tombstone kept."""
    row = as_text(change.after or change.before) or {}
    more = {
        "__deleted": "true" if change.op == "d" else "false",
        "__op": change.op,
        "__source_ts_ms": change.ts_ms,
    }
    told = ({"id": change.id}, {**row, **more})
    return [told, ({"id": change.id}, None)] if change.op == "d" else [told]


def mysql(change: RowChange) -> list[KeyValue]:
    """TINYINT(1) for a Boolean, DATETIME(3) in milliseconds, and the schema beside them."""

    def write(row: Row | None) -> dict[str, Any] | None:
        return _columns(as_numbers(row), draft=int, updated_at=lambda told: told // 1000)

    types = {
        "draft": {"type": "int16", "optional": True},
        "updated_at": {"type": "int64", "optional": True, "name": "io.debezium.time.Timestamp", "version": 1},
    }

    def typed(name: str) -> dict[str, Any]:
        struct = _row_schema(field=name)
        return {**struct, "fields": [{**one, **types.get(one["field"], {})} for one in struct["fields"]]}

    schema = {**ENVELOPE_SCHEMA, "fields": [typed("before"), typed("after"), *ENVELOPE_SCHEMA["fields"][2:]]}
    key = {"schema": KEY_SCHEMA, "payload": {"id": change.id}}
    told = (key, {"schema": schema, "payload": _event(change, write, "mysql")})
    return [told, (key, None)] if change.op == "d" else [told]


def _extended(row: Row | None, date: Callable[[int], Any], *, canonical: bool) -> str | None:
    if row is None:
        return None
    written = _columns(
        row,
        pages=lambda told: {"$numberInt": str(told)} if canonical else told,
        price=lambda told: {"$numberDecimal": str(told)},
        updated_at=lambda told: {"$date": date(micros(told) // 1000)},
    )
    document = {"_id": {"$numberLong": str(row["id"])}, **(written or {})}
    del document["id"]
    return json.dumps({**document, "day": row["day"].isoformat() if row["day"] else None})


def _mongodb(change: RowChange, date: Callable[[int], Any], *, canonical: bool) -> list[KeyValue]:
    value = {
        **_event(change, lambda row: _extended(row, date, canonical=canonical), "mongodb"),
        "before": None,
        "updateDescription": {"updatedFields": "{}"} if change.op == "u" else None,
    }
    key = {"id": str(change.id)}
    return [(key, value), (key, None)] if change.op == "d" else [(key, value)]


def mongodb(change: RowChange) -> list[KeyValue]:
    """Whole documents in the strict mode of today's connector."""
    return _mongodb(change, lambda told: told, canonical=False)


def mongodb_canonical(change: RowChange) -> list[KeyValue]:
    return _mongodb(change, lambda told: {"$numberLong": str(told)}, canonical=True)


def document(change: RowChange) -> list[KeyValue]:
    """A program of one's own: a null value deletes."""
    return [({"id": change.id}, as_text(change.after))]


@dataclass(frozen=True)
class Form:
    """``format`` is the source's."""

    format: str
    write: Callable[[RowChange], list[KeyValue]]
    tells_the_clock: bool = field(default=True, kw_only=True)


FORMS: Mapping[str, Form] = {
    "envelope": Form("debezium", envelope),
    "wrapped": Form("debezium", wrapped),
    "flattened": Form("debezium", flattened, tells_the_clock=False),
    "flattened-wrapped": Form("debezium", flattened_wrapped, tells_the_clock=False),
    "rewritten": Form("debezium", rewritten),
    "mysql": Form("debezium", mysql),
    "mongodb": Form("mongodb", mongodb),
    "mongodb-canonical": Form("mongodb", mongodb_canonical),
    "document": Form("document", document, tells_the_clock=False),
}


def source_of(name: str, topic: str, format_: str) -> dict[str, Any]:
    """The ``[[source]]`` that reads any of the forms."""
    return {
        "name": name,
        "topic": topic,
        "format": format_,
        "title": TITLE,
        "text": list(TEXT),
        "fields": FIELDS,
        "tenant": TENANT,
    }


def fields_of(row: Row) -> dict[str, Any]:
    """What a point of the row holds of its payload fields: null ones are left out."""
    told = {
        **row,
        "price": None if row["price"] is None else float(row["price"]),
        "updated_at": None if row["updated_at"] is None else iso(row["updated_at"]),
        "day": None if row["day"] is None else row["day"].isoformat(),
    }
    return {name: told[name] for name in FIELDS if told[name] is not None}
