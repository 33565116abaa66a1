"""Metadata and aliases change by compare-and-set on a server that has none."""

import pytest
from index_world import FIELDS, SPEC
from qdrant_client import models

from stream.errors import Outage

WRITES = "points/batch|UpdateBatch"


def test_metadata_survives_a_copy_that_comes_late(double, catalog):
    """What stands in the collection's own metadata is for other tools; the newest revision is believed."""
    catalog.create("docs", SPEC, FIELDS, {"n": 0})
    stale = dict(double.state.described("docs").config.metadata)
    for n in range(3):
        assert catalog.replace_metadata("docs", {"n": n}, {"n": n + 1})
    assert '"n":3' in double.state.described("docs").config.metadata["embedstream"]["metadata"]
    double.state.update("docs", models.UpdateCollection(metadata=stale))
    assert catalog.metadata("docs") == {"n": 3}
    assert catalog.replace_metadata("docs", {"n": 3}, {"n": 4})


def test_a_winner_whose_record_others_built_on_meanwhile_is_told_that_it_won(double, enter, kind):
    slow, quick = enter(double), enter(double)
    slow.create("docs", SPEC, FIELDS, {"n": 0})
    retrieve, waiting = double.state.retrieve, [True]

    def overtaken(name, asked):
        if waiting and double.faults.asked(WRITES) == 1:
            waiting.clear()
            assert quick.replace_metadata("docs", {"n": 1}, {"n": 2})
        return retrieve(name, asked)

    double.state.retrieve = overtaken
    assert slow.replace_metadata("docs", {"n": 0}, {"n": 1})
    assert quick.metadata("docs") == {"n": 2}


def test_a_change_whose_answer_was_lost_is_seen_by_whoever_looks_again(double, catalog):
    catalog.create("docs", SPEC, FIELDS, {"n": 0})
    double.faults.order("reset after", WRITES)
    with pytest.raises(Outage):
        catalog.replace_metadata("docs", {"n": 0}, {"n": 1})
    assert catalog.metadata("docs") == {"n": 1}
    assert not catalog.replace_metadata("docs", {"n": 0}, {"n": 1})


def test_of_two_that_move_an_alias_from_the_same_collection_one_wins(double, enter):
    """The second has looked before the first moved it, and acts after."""
    first, second = enter(double), enter(double)
    for name in ("a", "b", "c"):
        first.create(name, SPEC, {}, {})
    assert first.switch_alias("docs", None, "a")
    change, waiting = double.state.change_aliases, [True]

    def overtaken(actions):
        if waiting:
            waiting.clear()
            assert first.switch_alias("docs", "a", "b")
        return change(actions)

    double.state.change_aliases = overtaken
    assert not second.switch_alias("docs", "a", "c")
    assert first.aliases() == {"docs": "b"}


def test_of_two_that_set_an_alias_for_the_first_time_one_wins(double, enter):
    first, second = enter(double), enter(double)
    for name in ("a", "b"):
        first.create(name, SPEC, {}, {})
    change, waiting = double.state.change_aliases, [2]

    def overtaken(actions):
        waiting[0] -= 1
        if waiting[0] == 0:
            assert first.switch_alias("docs", None, "a")
        return change(actions)

    double.state.change_aliases = overtaken
    assert not second.switch_alias("docs", None, "b")
    assert first.aliases() == {"docs": "a"}


def test_an_alias_that_other_tools_moved_can_be_moved_on(double, catalog):
    for name in ("a", "b", "c"):
        catalog.create(name, SPEC, {}, {})
    assert catalog.switch_alias("docs", None, "a")
    by_hand = models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name="b", alias_name="docs"))
    double.state.change_aliases([by_hand])
    assert not catalog.switch_alias("docs", "a", "c")
    assert catalog.switch_alias("docs", "b", "c")
    assert catalog.aliases() == {"docs": "c"}
    double.state.delete("a")
    assert catalog.switch_alias("docs", "c", "b")
    assert catalog.switch_alias("docs", "b", None)
    assert catalog.aliases() == {}
