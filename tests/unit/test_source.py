"""A source is validated once, with a sentence, and knows what of it is part of the contract."""

import pytest

from stream.contract import TextMapping
from stream.errors import Misuse
from stream.source import Column, Source


def source(**changes):
    return Source(
        **{"name": "docs", "topic": "kb.public.docs", "format": "debezium", "text": (Column("body"),)} | changes
    )


@pytest.mark.parametrize("name", ["docs", "d", "7", "my-docs_2"])
def test_a_name_of_lower_case_letters_digits_and_dashes_is_accepted(name):
    assert source(name=name).name == name


@pytest.mark.parametrize("name", ["", "Docs", "-docs", "_docs", "a/b", "a.b", "docs\n", "dócs", "my docs"])
def test_a_name_that_would_have_to_be_escaped_somewhere_is_refused(name):
    with pytest.raises(Misuse, match="cannot be named"):
        source(name=name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"topic": ""}, "has no topic"),
        ({"format": "avro"}, "known are 'debezium', 'mongodb', 'document'"),
        ({"on_truncate": "ignore"}, "known are 'stop', 'dead-letter'"),
        ({"text": ()}, "maps no text"),
        ({"text": (Column("a"), Column("a", optional=True))}, "'a' twice in text"),
        ({"key": ("id", "id")}, "'id' twice in key"),
        ({"text": (Column(""),)}, "without a name"),
        ({"title": ""}, "without a name"),
        ({"fields": {"": "keyword"}}, "without a name"),
        ({"fields": {"section": "text"}}, "the type of field 'section'"),
        ({"fields": {"version": "integer"}}, "a name that every point uses itself"),
    ],
)
def test_a_source_that_cannot_be_is_refused_with_its_name_and_a_sentence(change, sentence):
    with pytest.raises(Misuse, match=sentence) as error:
        source(**change)
    assert "'docs'" in str(error.value)


def test_the_mapping_is_the_title_and_the_text_columns_in_order():
    mapped = source(title="headline", text=(Column("summary"), Column("body")), fields={"section": "keyword"})
    assert mapped.mapping == TextMapping("docs", "headline", ("summary", "body"))


def test_marking_a_column_optional_leaves_the_contract_as_it_was():
    assert source(text=(Column("body", optional=True),)).mapping == source().mapping


def test_a_configuration_marks_any_mapped_column_with_a_question_mark():
    written = Source.written(
        name="docs",
        topic="kb.public.docs",
        key=["id"],
        title="headline?",
        text=["summary?", "body"],
        fields={"section?": "keyword", "pages": "integer"},
        tenant="account",
    )
    assert written.title == "headline"
    assert dict(written.fields) == {"section": "keyword", "pages": "integer"}
    assert written.columns == (
        Column("headline", optional=True),
        Column("summary", optional=True),
        Column("body"),
        Column("section", optional=True),
        Column("pages"),
        Column("account"),
    )


def test_a_column_marked_optional_anywhere_is_optional_everywhere():
    written = Source.written(name="docs", topic="t", text=["body"], fields={"body?": "keyword"})
    assert written.columns == (Column("body", optional=True),)
