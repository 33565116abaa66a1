"""The laws of ``IndexCatalog``, on every adapter."""

import contextlib
import threading

import pytest
from index_world import EAST, FIELDS, SPEC, chunk, found, put

from stream.errors import Fatal, Misuse
from stream.filter import equals
from stream.ports import IndexCatalog, VectorSpec


def test_an_empty_catalog_has_nothing(catalog: IndexCatalog):
    assert list(catalog.collections()) == []
    assert dict(catalog.aliases()) == {}


def test_collections_stand_side_by_side(catalog: IndexCatalog):
    catalog.create("docs__b__g1", SPEC, {}, {})
    catalog.create("docs__a__g1", VectorSpec("other/model-9", 2), FIELDS, {"k": 1})
    catalog.open("docs__b__g1").write([put("a", 1)])

    assert list(catalog.collections()) == ["docs__a__g1", "docs__b__g1"]
    assert found(catalog.open("docs__b__g1")) == {chunk("a")}
    assert catalog.open("docs__a__g1").count() == 0


def test_every_opening_sees_the_same_points(catalog: IndexCatalog):
    catalog.create("docs", SPEC, FIELDS, {})
    catalog.open("docs").write([put("a", 1)])
    assert found(catalog.open("docs")) == {chunk("a")}


def test_creating_an_existing_collection_is_fatal_and_changes_nothing(catalog: IndexCatalog):
    catalog.create("docs", SPEC, FIELDS, {"first": True})
    catalog.open("docs").write([put("a", 1)])
    with pytest.raises(Fatal, match="docs"):
        catalog.create("docs", SPEC, FIELDS, {"first": False})
    assert catalog.metadata("docs") == {"first": True}
    assert found(catalog.open("docs")) == {chunk("a")}


def test_what_does_not_exist_is_fatal_and_named(catalog: IndexCatalog):
    catalog.create("docs", SPEC, {}, {})
    for call in (catalog.open, catalog.metadata):
        with pytest.raises(Fatal, match=r"'dogs'.*docs"):
            call("dogs")
    with pytest.raises(Fatal, match="'dogs'"):
        catalog.replace_metadata("dogs", {}, {})
    with pytest.raises(Fatal, match="'dogs'"):
        catalog.switch_alias("live", None, "dogs")


def test_a_name_that_could_be_no_folder_is_misuse(catalog: IndexCatalog):
    catalog.create("docs", SPEC, {}, {})
    for name in ("", ".", "..", "../up", "a/b", "-x", ".hidden", "a b", "ä", "x" * 201, "a\0b"):
        with pytest.raises(Misuse):
            catalog.create(name, SPEC, {}, {})
        with pytest.raises(Misuse):
            catalog.switch_alias(name, None, "docs")


def test_a_field_of_the_protocol_or_with_quotes_is_misuse(catalog: IndexCatalog):
    for field in ("version", "doc_id", "state", "tenant", "", 'a"b', "a\\b", "a\nb"):
        with pytest.raises(Misuse):
            catalog.create("docs", SPEC, {field: "integer"}, {})
    assert list(catalog.collections()) == []


def test_a_field_declared_later_finds_what_was_stored_before_and_after(catalog: IndexCatalog):
    catalog.create("docs", SPEC, {"section": "keyword"}, {})
    index = catalog.open("docs")
    index.write([put("early", 1, pages=3)])
    catalog.ensure_fields("docs", {"section": "keyword", "pages": "integer", "read at": "datetime"})
    index.write([put("late", 1, pages=3), put("other", 1, pages=4)])
    for reader in (index, catalog.open("docs")):
        assert {hit.id for hit in reader.search(EAST, 10, equals("pages", 3))} == {chunk("early"), chunk("late")}


def test_fields_that_are_indexed_already_may_be_asked_for_again(catalog: IndexCatalog):
    catalog.create("docs", SPEC, {"pages": "integer"}, {"kept": "as it was"})
    for _ in range(2):
        catalog.ensure_fields("docs", {"pages": "integer", "price": "float"})
        catalog.ensure_fields("docs", {})
    assert catalog.metadata("docs") == {"kept": "as it was"}


def test_a_field_that_is_indexed_as_another_type_is_fatal_and_indexes_none(catalog: IndexCatalog):
    catalog.create("docs", SPEC, {"pages": "integer"}, {})
    for _ in range(2):
        with pytest.raises(Fatal, match=r"'pages' is declared keyword.*docs.*integer.*index\.generation"):
            catalog.ensure_fields("docs", {"new": "keyword", "pages": "keyword"})
    catalog.ensure_fields("docs", {"new": "float"})


def test_a_field_of_the_protocol_cannot_be_declared_later_either(catalog: IndexCatalog):
    catalog.create("docs", SPEC, {}, {})
    with pytest.raises(Misuse):
        catalog.ensure_fields("docs", {"version": "integer"})
    with pytest.raises(Fatal, match="absent"):
        catalog.ensure_fields("absent", {"pages": "integer"})


def test_metadata_comes_back_as_it_was(catalog: IndexCatalog):
    metadata = {"contract": {"b": [1, 2.5, None, True], "a": "ü"}, "probes": [[0.1, -0.2], []], "empty": {}}
    catalog.create("docs", SPEC, FIELDS, metadata)
    assert catalog.metadata("docs") == metadata


def test_metadata_changes_by_compare_and_set(catalog: IndexCatalog):
    catalog.create("docs", SPEC, FIELDS, {"a": 1, "b": {"x": 1, "y": 2}})
    assert not catalog.replace_metadata("docs", {"a": 2}, {"a": 3})
    assert catalog.metadata("docs") == {"a": 1, "b": {"x": 1, "y": 2}}
    assert catalog.replace_metadata("docs", {"b": {"y": 2, "x": 1}, "a": 1}, {"a": 2})
    assert catalog.metadata("docs") == {"a": 2}


def test_metadata_that_is_read_belongs_to_the_reader(catalog: IndexCatalog):
    mine = {"list": [1]}
    catalog.create("docs", SPEC, FIELDS, mine)
    mine["list"].append(2)
    catalog.metadata("docs")["list"].append(3)
    assert catalog.metadata("docs") == {"list": [1]}


def test_metadata_that_is_no_json_is_fatal(catalog: IndexCatalog):
    for bad in (float("nan"), object(), "\ud800"):
        with pytest.raises(Fatal):
            catalog.create("docs", SPEC, {}, {"k": bad})
    assert list(catalog.collections()) == []


def test_an_alias_is_set_switched_and_taken_away_by_compare_and_set(catalog: IndexCatalog):
    catalog.create("docs__a__g1", SPEC, {}, {})
    catalog.create("docs__a__g2", SPEC, {}, {})

    assert not catalog.switch_alias("docs", "docs__a__g2", "docs__a__g1")
    assert catalog.switch_alias("docs", None, "docs__a__g1")
    assert not catalog.switch_alias("docs", None, "docs__a__g2")
    assert catalog.aliases() == {"docs": "docs__a__g1"}
    assert catalog.switch_alias("docs", "docs__a__g1", "docs__a__g2")
    assert catalog.aliases() == {"docs": "docs__a__g2"}
    assert not catalog.switch_alias("docs", "docs__a__g1", None)
    assert catalog.switch_alias("docs", "docs__a__g2", None)
    assert catalog.aliases() == {}
    assert catalog.switch_alias("docs", None, None)


def test_one_name_is_a_collection_or_an_alias_never_both(catalog: IndexCatalog):
    catalog.create("docs__a__g1", SPEC, {}, {})
    assert catalog.switch_alias("docs", None, "docs__a__g1")
    with pytest.raises(Fatal):
        catalog.create("docs", SPEC, {}, {})
    with pytest.raises(Fatal):
        catalog.switch_alias("docs__a__g1", None, "docs__a__g1")


def test_of_racing_compare_and_sets_one_wins_each_round(catalog: IndexCatalog):
    catalog.create("docs", SPEC, {}, {"n": 0})
    wins: list[int] = []

    def increments():
        while (n := int(catalog.metadata("docs")["n"])) < 20:
            if catalog.replace_metadata("docs", {"n": n}, {"n": n + 1}):
                wins.append(n)

    threads = [threading.Thread(target=increments) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(wins) == list(range(20))


def test_of_racing_creations_one_wins(catalog: IndexCatalog):
    outcomes: list[str] = []

    def creates(who: int):
        try:
            catalog.create("docs", SPEC, {}, {"who": who})
        except Fatal:
            outcomes.append("refused")
        else:
            outcomes.append("created")

    threads = [threading.Thread(target=creates, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(outcomes) == ["created", "refused", "refused", "refused"]


def test_a_dropped_collection_is_gone_with_its_points_and_its_name_is_free(catalog: IndexCatalog):
    catalog.create("docs", SPEC, FIELDS, {"first": True})
    catalog.create("other", SPEC, FIELDS, {})
    opened = catalog.open("docs")
    opened.write([put("a", 1)])
    catalog.open("other").write([put("b", 1)])
    catalog.drop("docs")
    assert list(catalog.collections()) == ["other"]
    with pytest.raises(Fatal, match="docs"):
        catalog.metadata("docs")
    with contextlib.suppress(Fatal):
        assert list(opened.search(EAST, 10)) == []
    catalog.create("docs", SPEC, FIELDS, {"first": False})
    assert catalog.open("docs").count() == 0
    assert found(catalog.open("other")) == {chunk("b")}


def test_dropping_what_is_not_there_does_nothing(catalog: IndexCatalog):
    catalog.create("docs", SPEC, FIELDS, {})
    catalog.drop("dogs")
    catalog.drop("docs")
    catalog.drop("docs")
    assert list(catalog.collections()) == []


def test_a_collection_that_an_alias_means_is_not_dropped(catalog: IndexCatalog):
    catalog.create("docs__a__g1", SPEC, FIELDS, {})
    catalog.open("docs__a__g1").write([put("a", 1)])
    catalog.switch_alias("docs", None, "docs__a__g1")
    with pytest.raises(Fatal, match=r"docs__a__g1.*index docs means"):
        catalog.drop("docs__a__g1")
    assert found(catalog.open("docs__a__g1")) == {chunk("a")}
    catalog.drop("docs")  # an alias is no collection
    assert dict(catalog.aliases()) == {"docs": "docs__a__g1"}
    catalog.switch_alias("docs", "docs__a__g1", None)
    catalog.drop("docs__a__g1")
    assert list(catalog.collections()) == []
