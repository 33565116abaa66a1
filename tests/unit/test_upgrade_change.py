from dataclasses import replace

import pytest
from stream_world import CHUNKING, CONTRACT, DOCS, ENCODER, LINEAGE, WIKI

from adapters.memory.encoder import HashEncoder
from stream.collection import collection_name
from stream.contract import Contract
from stream.errors import Misuse
from stream.ports import Partition, TopicInfo
from stream.upgrade import Kind, Pair, change_of, lost_history

LINEAGES = {"docs": LINEAGE}
OTHER_ENCODING = HashEncoder(16).contract
OTHER_CHUNKING = replace(CHUNKING, max_tokens=12)


def pair(contract, generation=1):
    return Pair(
        contract,
        collection_name("kb", contract.fingerprint, generation),
        f"e.chunker.{contract.chunking_fingerprint}.g{generation}",
        f"e.embedder.{contract.fingerprint}.g{generation}",
    )


BEFORE = pair(CONTRACT)


def change(contract, generation=1, lineages=LINEAGES, before=BEFORE):
    return change_of(before, pair(contract, generation), LINEAGES, lineages)


def test_another_model_replays_the_chunk_topic_and_shares_the_chunkers():
    found = change(replace(CONTRACT, encoding=replace(OTHER_ENCODING, tokenizer=CONTRACT.encoding.tokenizer)))
    assert (found.kind, found.copies, found.own_chunker) == (Kind.ENCODING, False, False)


def test_another_chunking_replays_the_cdc_topics_and_copies_equal_texts():
    found = change(replace(CONTRACT, chunking=OTHER_CHUNKING))
    assert (found.kind, found.copies, found.own_chunker) == (Kind.CHUNKING, True, True)


def test_both_at_once_copy_nothing():
    found = change(replace(CONTRACT, chunking=OTHER_CHUNKING, encoding=OTHER_ENCODING))
    assert (found.kind, found.copies) == (Kind.CHUNKING, False)


def test_another_mapping_is_another_chunking_of_the_next_generation():
    mapped = replace(CONTRACT, mappings=(replace(DOCS, title=None),))
    assert change(mapped, 2).kind is Kind.CHUNKING
    with pytest.raises(Misuse, match="nothing to upgrade"):
        change(mapped, 1)


def test_topics_made_anew_are_a_rebuild_that_copies():
    found = change(CONTRACT, 2, {"docs": "cdc-2/1+chunks-1/1"})
    assert (found.kind, found.copies, found.own_chunker) == (Kind.REBUILD, True, True)


def test_a_rebuild_in_the_same_generation_is_refused():
    with pytest.raises(Misuse, match=r"index\.generation"):
        change(replace(CONTRACT, encoding=OTHER_ENCODING), 1, {"docs": "cdc-2/1+chunks-1/1"})


def test_the_same_contract_is_no_upgrade():
    with pytest.raises(Misuse, match="nothing to upgrade"):
        change(CONTRACT)


def test_a_next_generation_that_cuts_alike_would_have_two_chunkers_write_one_thing():
    with pytest.raises(Misuse, match="share their chunkers"):
        change(CONTRACT, 2)
    with pytest.raises(Misuse, match="share their chunkers"):
        change(replace(CONTRACT, encoding=OTHER_ENCODING), 2)


def test_of_several_sources_one_alone_cannot_be_mapped_otherwise():
    both = Contract(CHUNKING, ENCODER.contract, (DOCS, WIKI))
    mixed = replace(both, mappings=(replace(DOCS, title=None), WIKI))
    with pytest.raises(Misuse, match="source 'docs' otherwise and that of 'wiki'"):
        change(mixed, 2, before=pair(both))


def test_history_is_complete_where_a_topic_begins_at_its_beginning_or_is_only_compacted():
    place, other = Partition("kb.docs", 0), Partition("kb.docs", 1)
    whole = {place: 0, other: 0}
    cut = {place: 0, other: 7}
    deleted_from = TopicInfo("id", 2, {"cleanup.policy": "delete"})
    assert lost_history("kb.docs", deleted_from, whole) is None
    assert lost_history("kb.docs", deleted_from, cut) == other
    assert lost_history("kb.docs", TopicInfo("id", 2, {"cleanup.policy": "compact"}), cut) is None
    assert lost_history("kb.docs", TopicInfo("id", 2, {"cleanup.policy": "compact,delete"}), cut) == other
    assert lost_history("kb.docs", TopicInfo("id", 2), cut) == other, "settings that may not be read prove nothing"
