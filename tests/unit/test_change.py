"""From a record to what it changes."""

from dataclasses import replace

import pytest
from row_changes import DOCS, NO_IDENTITY, NOTES, PLACEHOLDER, change, poison, record, written

from stream.change import Delete, Ignore, Upsert, read_change
from stream.errors import Fatal
from stream.source import Column, Source

# --- What a record changes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["create", "create_wrapped"])
def test_a_created_row_is_an_upsert_of_the_whole_document(name):
    assert change(*record(name)) == Upsert(
        doc_id="docs/7",
        version=42,
        title="Coroutines",
        text="Coroutine objects are awaitable.",
        fields={"section": "datamodel", "updated_at": "2026-03-01T12:00:00.123456Z"},
        tenant="42",
        source_ts_ms=1_772_366_400_123,
    )


def test_a_row_read_in_a_snapshot_is_an_upsert_whose_null_fields_are_left_out():
    read = change(*record("snapshot_read"))
    assert (read.text, read.fields, read.tenant) == ("Coroutine objects are awaitable.", {}, None)


def test_a_deleted_row_is_a_delete_of_its_document():
    assert change(*record("delete")) == Delete("docs/7", 42, None, 1_772_366_410_000)


@pytest.mark.parametrize(("account", "tenant"), [("acme", "acme"), (42, "42"), (True, None), (PLACEHOLDER, None)])
def test_a_delete_knows_its_tenant_where_the_log_told_the_row_as_it_was(account, tenant):
    key, value = record("delete")
    assert change(key, value | {"before": {"id": 7, "account": account}}).tenant == tenant


def test_a_changed_primary_key_deletes_one_document_and_creates_another():
    deleted, created = change(*record("delete")), change({"id": 8}, record("create")[1])
    assert (deleted.doc_id, created.doc_id) == ("docs/7", "docs/8")


def test_a_tombstone_deletes_for_compaction_leaves_nothing_else_of_a_delete():
    deleted = change({"id": 7}, None)
    assert isinstance(deleted, Delete)
    assert (deleted.doc_id, deleted.tenant, deleted.source_ts_ms) == ("docs/7", None, None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("heartbeat", "heartbeat"),
        ("transaction_end", "transaction marker"),
        ("logical_message", "logical decoding message"),
    ],
)
def test_a_record_about_no_row_is_ignored(name, reason):
    assert change(*record(name)) == Ignore(reason)


def test_text_columns_are_joined_by_one_blank_line_and_empty_ones_skipped():
    source = replace(DOCS, text=(Column("summary"), Column("body"), Column("notes"), Column("more")))
    read = written({"summary": "First.", "notes": None, "more": " \n"}, source)
    assert read.text == "First.\n\nCoroutine objects are awaitable."


@pytest.mark.parametrize("body", [None, "", " \t\r\n\u3000"])
def test_null_or_blank_text_is_a_document_without_text(body):
    assert written({"body": body}).text == ""


@pytest.mark.parametrize("title", [None, "", "  "])
def test_a_blank_title_is_no_title(title):
    assert written({"title": title}).title is None


@pytest.mark.parametrize("body", ["a\0b", "😀" * 9, "\u202eשלום", "x" * 1_000_000, "  indented\r\n"])
def test_any_text_is_taken_as_it_is(body):
    assert written({"body": body}).text == body


@pytest.mark.parametrize(
    ("key", "columns", "doc_id"),
    [
        ({"id": 7}, (), "docs/7"),
        ({"id": "7"}, ("id",), "docs/7"),
        ({"id": True}, (), "docs/true"),
        ({"region": "eu", "id": 7}, (), 'docs/["eu",7]'),
        ({"region": "eu", "id": 7}, ("id", "region"), 'docs/[7,"eu"]'),
        ({"region": "eu", "id": 7}, ("id",), "docs/7"),
        ({"id": -9223372036854775808}, (), "docs/-9223372036854775808"),
    ],
)
def test_a_document_is_named_by_its_key_columns_in_the_configured_order(key, columns, doc_id):
    value = record("create")[1]
    assert change(key, value, replace(DOCS, key=columns)).doc_id == doc_id


# --- Columns that are not there ------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["body", "title", "section", "account"])
def test_an_absent_mapped_column_stops_the_process_with_its_name(column):
    with pytest.raises(Fatal) as error:
        written(without=(column,))
    assert all(repr(name) in str(error.value) for name in (column, "docs", "kb.public.docs"))


def test_a_column_marked_optional_may_be_absent():
    source = Source.written(
        name="docs",
        topic="t",
        title="title?",
        text=["summary?", "body"],
        fields={"section?": "keyword"},
        tenant="account?",
    )
    read = written(source=source, without=("title", "section", "account"))
    assert (read.title, read.text, read.fields, read.tenant) == (None, "Coroutine objects are awaitable.", {}, None)


def test_a_delete_needs_no_columns():
    key, value = record("delete")
    assert isinstance(change(key, value | {"before": {"id": 7}}), Delete)


@pytest.mark.parametrize("value", [record("create")[1], record("delete")[1]])
def test_a_configured_key_column_that_the_key_lacks_stops_the_process(value):
    with pytest.raises(Fatal, match="'uuid'") as error:
        change({"id": 7}, value, replace(DOCS, key=("uuid",)))
    assert "only id" in str(error.value)


NESTED = {"body": "text", "author": {"name": "Ada", "home.town": "x", "deep": {"er": {"still": 7}}}, "a.b": "flat"}


@pytest.mark.parametrize(
    ("column", "read"),
    [("author.name", "Ada"), ("author.home.town", "x"), ("a.b", "flat"), ("author.deep.er.still", 7)],
)
def test_a_column_may_be_a_path_into_objects(column, read):
    source = replace(NOTES, fields={column: "integer" if read == 7 else "keyword"})
    assert change(b"1", NESTED, source).fields == {column: read}


@pytest.mark.parametrize("column", ["author.age", "author.name.first", "author.deep.", ".body", "a.c", "body.x"])
def test_a_path_that_leads_nowhere_is_an_absent_column(column):
    with pytest.raises(Fatal, match=f"maps the column '{column}'"):
        change(b"1", NESTED, replace(NOTES, fields={column: "keyword"}))
    optional = replace(NOTES, fields={column: "keyword"}, optional=frozenset({column}))
    assert change(b"1", NESTED, optional).fields == {}


def test_several_key_columns_cannot_be_read_from_a_plain_key():
    with pytest.raises(Fatal, match="one plain value"):
        change(b"7", b'{"body":"a"}', replace(NOTES, key=("region", "id")))


# --- Placeholders --------------------------------------------------------------------------------------------------


def test_a_placeholder_takes_its_value_from_before():
    read = change(*record("update_unchanged_toast_identity_full"))
    assert (read.text, read.fields["section"]) == ("Coroutine objects are awaitable.", "reference")


def test_a_placeholder_without_before_is_poison_that_names_both_cures():
    error = poison(change, *record("update_unchanged_toast"))
    assert error.kind == "placeholder"
    assert "'body'" in str(error)
    assert "REPLICA IDENTITY FULL" in str(error)
    assert "reselector" in str(error)


@pytest.mark.parametrize("column", ["title", "body", "section", "updated_at", "account"])
@pytest.mark.parametrize("before", [None, {}, NO_IDENTITY, dict.fromkeys(NO_IDENTITY, PLACEHOLDER)])
def test_a_placeholder_in_any_mapped_column_is_never_a_value(column, before):
    """NULL in ``before`` means "not told": an unchanged TOAST column is never NULL."""
    assert poison(written, {column: PLACEHOLDER}, before=before).kind == "placeholder"


def test_a_placeholder_in_a_column_that_nobody_maps_does_no_harm():
    assert written({"attachment": PLACEHOLDER}).text == "Coroutine objects are awaitable."


def test_a_placeholder_of_an_array_in_a_keyword_field_takes_its_value_from_before():
    assert written({"section": [PLACEHOLDER]}, before={"section": ["a", "b"]}).fields["section"] == ["a", "b"]


# --- Truncate ------------------------------------------------------------------------------------------------------


def test_a_truncated_table_stops_the_process_with_what_to_do():
    with pytest.raises(Fatal, match='on_truncate = "dead-letter"'):
        change(*record("truncate"))


def test_a_truncated_table_is_dead_lettered_where_that_was_chosen():
    assert poison(change, *record("truncate"), replace(DOCS, on_truncate="dead-letter")).kind == "truncate"


# --- Plain documents -----------------------------------------------------------------------------------------------


def test_a_plain_document_takes_its_clock_from_the_record():
    assert change(b"a/7", b'{"body":"text"}', NOTES) == Upsert(
        "notes/a/7", 42, None, "text", {}, None, 1_772_366_500_000
    )
    assert read_change(NOTES, b"a", b'{"body":"text"}', (), 1, -1).source_ts_ms is None


def test_a_debezium_event_without_the_databases_clock_borrows_no_other():
    key, value = record("create")
    assert change(key, value | {"source": None}).source_ts_ms is None


def test_a_plain_documents_null_value_deletes_it():
    assert change(b"a/7", None, NOTES) == Delete("notes/a/7", 42, None, 1_772_366_500_000)


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        (None, b'{"body":"a"}', "missing-key"),
        (b"7", b"text", "undecodable"),
        (b"7", b"[]", "not-an-object"),
        (b"7", b'{"body":"__debezium_unavailable_value"}', "placeholder"),
    ],
)
def test_a_malformed_document_is_poison(key, value, kind):
    assert poison(change, key, value, NOTES).kind == kind


def test_a_plain_document_without_a_mapped_column_stops_the_process():
    with pytest.raises(Fatal, match="'body\\?'"):
        change(b"7", b'{"text":"a"}', NOTES)
