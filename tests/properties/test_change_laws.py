"""Laws of the way from a record to a change: it is total, pure, and never takes a placeholder for a value."""

import base64
from dataclasses import replace
from uuid import UUID

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.debezium import PLACEHOLDERS, is_placeholder
from stream.change import Delete, Ignore, Upsert, read_change
from stream.errors import Fatal, Poison
from stream.source import Column, Source

DOCS = Source(
    "docs",
    "kb.public.docs",
    "debezium",
    key=("id",),
    title="title",
    text=(Column("summary", optional=True), Column("body")),
    fields={
        "section": "keyword",
        "pages": "integer",
        "price": "float",
        "public": "boolean",
        "updated_at": "datetime",
    },
    tenant="account",
)
PLAIN = replace(DOCS, format="document")
MONGO = replace(DOCS, format="mongodb")
PLACEHOLDER = "__debezium_unavailable_value"
FORMS = [
    PLACEHOLDER,
    [PLACEHOLDER],
    {PLACEHOLDER: PLACEHOLDER},
    list(PLACEHOLDER.encode()),
    base64.b64encode(PLACEHOLDER.encode()).decode(),
    str(UUID("b68a35a7-17ad-35b3-af2a-ae46edb4545a")),
]

int64 = st.integers(-(2**63), 2**63 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | int64 | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
texts = st.none() | st.text(max_size=30)
rows = st.fixed_dictionaries(
    {
        "title": texts,
        "body": texts,
        "section": texts | st.lists(st.text(max_size=5), max_size=3),
        "pages": st.none() | int64,
        "price": st.none() | st.floats(allow_nan=False, allow_infinity=False) | int64,
        "public": st.none() | st.booleans(),
        "updated_at": st.none() | st.datetimes().map(lambda time: time.isoformat()),
        "account": texts | int64,
    },
    optional={"summary": texts, "unmapped": json_values},
).filter(lambda row: not any(is_placeholder(value) for value in row.values()))
odd_rows = st.dictionaries(
    st.sampled_from(["title", "body", "summary", "section", "pages", "price", "public", "updated_at", "account"]),
    json_values | st.sampled_from(FORMS),
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["c", "u", "d", "r", "t", "m", "x"]) | json_values,
        "before": st.none() | rows | odd_rows | json_values,
        "after": st.none() | rows | odd_rows | json_values,
        "source": st.none() | st.fixed_dictionaries({"ts_ms": json_values}) | json_values,
        "ts_ms": int64,
        "status": st.sampled_from(["BEGIN", "END"]),
        "id": json_values,
    },
)
wrapped = st.builds(lambda schema, payload: {"schema": schema, "payload": payload}, json_values, envelopes)
ids = json_values | json_values.map(lambda value: orjson.dumps(value).decode())
keys = st.none() | st.binary() | (st.dictionaries(st.just("id"), ids) | json_values).map(orjson.dumps)
flattened = st.builds(
    lambda row, more: {**row, **more},
    odd_rows,
    st.dictionaries(st.sampled_from(["__deleted", "__op", "__source_ts_ms", "_id"]), json_values),
)
extended = st.builds(
    lambda envelope, part, document: {**envelope, part: document},
    envelopes,
    st.sampled_from(["before", "after"]),
    (rows | odd_rows | json_values).map(lambda document: orjson.dumps(document).decode()) | st.text(max_size=9),
)
values = (
    st.none()
    | st.binary()
    | (envelopes | wrapped | flattened | extended | rows | odd_rows | json_values).map(orjson.dumps)
)
header_lists = st.lists(st.tuples(st.text(max_size=20), st.none() | st.binary(max_size=20)), max_size=3).map(tuple)


def outcome_of(source, key, value, headers):
    """The change, or the failure that the record is."""
    try:
        return read_change(source, key, value, headers, 9, 5)
    except (Poison, Fatal) as error:
        return error


def written(row, before=None, source=DOCS):
    envelope = {"op": "u", "before": before, "after": row, "source": {"ts_ms": 5}}
    value = envelope if source.format == "debezium" else row
    return read_change(source, b'{"id":7}', orjson.dumps(value), (), 9, 5)


@given(
    st.sampled_from([DOCS, PLAIN, MONGO, replace(DOCS, key=(), on_truncate="dead-letter")]),
    keys,
    values,
    header_lists,
)
def test_any_record_is_a_change_poison_or_fatal(source, key, value, headers):
    outcome = outcome_of(source, key, value, headers)
    if isinstance(outcome, Poison | Fatal):
        assert str(outcome).endswith(".")
        assert len(str(outcome)) < 4_000
    else:
        assert isinstance(outcome, Upsert | Delete | Ignore)
        assert outcome == outcome_of(source, key, value, headers)
        assert isinstance(outcome, Ignore) or (outcome.version == 9 and outcome.doc_id.startswith("docs/"))


@given(rows, st.sampled_from([DOCS, PLAIN]))
def test_a_row_of_the_declared_types_is_an_upsert_of_exactly_its_values(row, source):
    change = written(row, source=source)
    texts = [row.get("summary"), row["body"]]
    assert change.text == "\n\n".join(text for text in texts if text and text.strip())
    assert change.title == (row["title"] if row["title"] and row["title"].strip() else None)
    read = {**row, "price": None if row["price"] is None else float(row["price"])}
    assert change.fields == {name: read[name] for name in source.fields if read[name] is not None}
    assert change.tenant == (None if row["account"] is None else str(row["account"]))


@given(
    rows, st.sampled_from([*(column.name for column in DOCS.columns)]), st.sampled_from(FORMS), st.none() | odd_rows
)
def test_a_placeholder_is_never_taken_for_a_value(row, column, form, before):
    told = (before or {}).get(column)
    assume(told is None or is_placeholder(told))
    with pytest.raises(Poison) as error:
        written(row | {column: form}, before)
    assert error.value.kind == "placeholder"


@given(rows, rows, st.sets(st.sampled_from(["title", "body", "section", "pages", "updated_at", "account"])))
def test_a_row_with_placeholders_says_what_the_whole_row_would(row, before, unchanged):
    assume(all(before[column] is not None for column in unchanged))
    whole = {**row, **{column: before[column] for column in unchanged}}
    assert written(row | dict.fromkeys(unchanged, PLACEHOLDER), before) == written(whole, before)


@given(rows, st.sampled_from([column.name for column in DOCS.columns if not column.optional]))
def test_an_absent_column_is_fatal_whatever_else_the_row_holds(row, column):
    row = {name: value for name, value in row.items() if name != column}
    with pytest.raises(Fatal, match=repr(column)):
        written(row | {"section": PLACEHOLDER} if column != "section" else row)


@given(st.text(max_size=10) | int64, st.text(max_size=10) | int64)
def test_two_keys_name_two_documents_unless_they_print_alike(one, other):
    assume(str(one) != str(other))
    ids = {
        read_change(replace(DOCS, key=()), orjson.dumps({"id": key}), b'{"op":"d"}', (), 1, 0).doc_id
        for key in (one, other)
    }
    assert len(ids) == 2


@given(json_values)
def test_a_placeholder_is_known_by_its_whole_value(value):
    assert is_placeholder(value) == (
        value in FORMS or value in PLACEHOLDERS if isinstance(value, str) else value in FORMS
    )
