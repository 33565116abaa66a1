import pytest

from stream.errors import Fatal
from stream.lineage import Followed, check_resumable, check_unchanged, from_metadata, lineage, to_metadata
from stream.ports import Committed, Partition, TopicInfo

CDC, CHUNKS = TopicInfo("cdc-id", 3), TopicInfo("chunks-id", 8)
FIRST, SECOND = Partition("kb.docs", 0), Partition("kb.docs", 1)


def test_a_lineage_changes_with_each_topics_id_and_size():
    before = lineage(CDC, CHUNKS)
    others = {
        lineage(TopicInfo("made again", 3), CHUNKS),
        lineage(TopicInfo("cdc-id", 4), CHUNKS),
        lineage(CDC, TopicInfo("made again", 8)),
        lineage(CDC, TopicInfo("chunks-id", 9)),
    }
    assert len(others | {before}) == 5
    assert lineage(TopicInfo("cdc-id", 3, {"cleanup.policy": "compact"}), CHUNKS) == before


def test_lineages_survive_the_metadata_of_a_commit():
    lineages = {"docs": "a/1+b/8", "wiki": "ü/2+b/8"}
    followed = Followed(lineages, {"docs": "a" * 26})
    assert from_metadata(Committed(0, to_metadata(followed))) == followed


@pytest.mark.parametrize("nothing", [None, Committed(17), Committed(17, "")])
def test_a_group_without_metadata_knows_no_lineage(nothing):
    assert from_metadata(nothing) == Followed()


@pytest.mark.parametrize("foreign", ["offset:3", "{}", "[]", '{"lineage": 3}', '{"lineage": ["a"]}', "null", "7"])
def test_another_programs_metadata_is_fatal(foreign):
    with pytest.raises(Fatal, match=r"another program uses the group; choose another kafka\.group_prefix"):
        from_metadata(Committed(3, foreign))


def test_an_unchanged_lineage_and_a_new_source_pass():
    check_unchanged({"docs": "a"}, {"docs": "a", "wiki": "b"})
    check_unchanged({"docs": "a", "gone": "b"}, {"docs": "a"})
    check_unchanged({}, {"docs": "a"})


def test_a_changed_lineage_is_fatal_and_says_both_and_the_cure():
    with pytest.raises(Fatal, match=r"'docs'.*was a/1\+c/8, is b/1\+c/8.*raise index\.generation by one"):
        check_unchanged({"docs": "a/1+c/8"}, {"docs": "b/1+c/8"})


def test_offsets_that_are_gone_are_fatal_where_their_history_is_gone_too():
    with pytest.raises(Fatal, match=r"kb\.docs \[1\] is gone and its first 40 offsets are too.*new snapshot"):
        check_resumable("docs", Followed({"docs": "a"}), {FIRST: Committed(9)}, {FIRST: 9, SECOND: 40})


def test_offsets_that_are_gone_are_replayed_where_the_history_is_whole():
    check_resumable("docs", Followed({"docs": "a"}), {}, {FIRST: 0, SECOND: 0})


def test_a_committed_offset_goes_on_whatever_was_deleted_before_it():
    check_resumable("docs", Followed({"docs": "a"}), {FIRST: Committed(50)}, {FIRST: 40})


def test_a_source_that_was_never_read_begins_at_its_earliest_record():
    check_resumable("docs", Followed({"wiki": "a"}), {}, {FIRST: 40})


def test_a_partition_that_nobody_read_yet_goes_on_where_the_group_began():
    began = Followed({"docs": "a"}, {}, {"docs": {0: 40}})
    check_resumable("docs", began, {}, {FIRST: 40})
    with pytest.raises(Fatal, match="first 41 offsets"):
        check_resumable("docs", began, {}, {FIRST: 41})


def test_where_a_group_began_is_told_beside_its_lineage_and_the_earlier_of_two_counts():
    ours = Followed({"docs": "a"}, {"docs": "h"}, {"docs": {0: 40, 2: 7}})
    assert from_metadata(Committed(0, to_metadata(ours))) == ours
    theirs = Followed({"docs": "a"}, {"docs": "h"}, {"docs": {0: 41, 1: 3}})
    assert ours.joined(theirs).starts == theirs.joined(ours).starts == {"docs": {0: 40, 1: 3, 2: 7}}
    assert not ours.holds(theirs)
