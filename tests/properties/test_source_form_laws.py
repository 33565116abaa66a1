"""One history of rows makes one history of changes, in whatever form it reaches the topic."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_forms import FORMS, fields_of, random_history, source_of, table_after

from schemas.identity import Version
from stream.change import Delete, Upsert, read_change
from stream.source import Source

seeds = st.integers(0, 2**32)
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def changes(form, history):
    """Changes in order, each with the clock of its row's change: a tombstone behind its delete only repeats it."""
    source = Source.written(**source_of("docs", "kb.docs", form.format))
    told = []
    for change in history:
        found = [
            read_change(
                source,
                json.dumps(key).encode(),
                None if value is None else json.dumps(value).encode(),
                (),
                Version(len(told) + 1),
                change.ts_ms,
            )
            for key, value in form.write(change)
        ]
        assert len({each.doc_id for each in found}) == 1
        assert all(isinstance(each, Delete) for each in found[1:])
        told.append((change.ts_ms, found[0]))
    return told


def without_clock(change):
    if isinstance(change, Delete):
        return "delete", change.doc_id
    return (change.doc_id, change.title, change.text, dict(change.fields), change.tenant)


@forms
@given(seed=seeds)
def test_every_form_makes_the_changes_that_the_envelope_makes(form, seed):
    history = random_history(seed, rows=4, changes=12)
    told = changes(form, history)
    plain = changes(FORMS["envelope"], history)
    assert [without_clock(change) for _, change in told] == [without_clock(change) for _, change in plain]
    if form.tells_the_clock:
        assert [change.source_ts_ms for _, change in told] == [ts_ms for ts_ms, _ in told]


@forms
@given(seed=seeds)
def test_the_last_changes_of_a_history_are_the_table(form, seed):
    history = random_history(seed, rows=4, changes=12)
    last = {change.doc_id: change for _, change in changes(form, history)}
    table = table_after(history)
    assert {id_ for id_, change in last.items() if isinstance(change, Upsert)} == {f"docs/{id_}" for id_ in table}
    for id_, row in table.items():
        change = last[f"docs/{id_}"]
        texts = [row[column] for column in ("summary", "body") if row[column]]
        assert change.text == "\n\n".join(texts)
        assert change.fields == fields_of(row)
        assert (change.tenant, change.title) == (
            row["account"],
            ((row["title"] or "").strip() and row["title"]) or None,
        )
