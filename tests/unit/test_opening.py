from dataclasses import replace

import pytest
from stream_world import CHUNKING, CONTRACT, ENCODER, LINEAGE, WIKI

from adapters.memory.encoder import HashEncoder
from adapters.memory.index import MemoryCatalog
from consumers.opening import open_for_writing
from stream import probes
from stream.collection import collection_name, from_json
from stream.contract import Contract
from stream.errors import Fatal
from stream.intake import Admission
from stream.ports import VectorSpec

NAME = collection_name("kb", CONTRACT.fingerprint, 1)
LINEAGES = {"docs": LINEAGE}
BOTH = replace(CONTRACT, mappings=(*CONTRACT.mappings, WIKI))
BOTH_LINEAGES = {**LINEAGES, "wiki": "cdc-2/1+chunks-1/1"}


class Impostor(HashEncoder):
    """Claims the contract of another encoder."""

    @property
    def contract(self):
        return ENCODER.contract


@pytest.fixture
def catalog():
    return MemoryCatalog()


FIELDS = {"colour": "keyword"}


def opened(catalog, contract=CONTRACT, lineages=LINEAGES, encoder=ENCODER, generation=1, fields=FIELDS):
    return open_for_writing(catalog, "kb", generation, contract, lineages, fields, encoder)


def test_the_first_embedder_creates_the_collection_with_contract_lineage_and_probes(catalog):
    collection = opened(catalog)
    record = from_json(catalog.metadata(NAME))
    assert collection.name == NAME
    assert collection.record == record
    assert record.contract == CONTRACT
    assert record.lineage == LINEAGES
    assert probes.check(record.probes, ENCODER, NAME) == pytest.approx(1.0)
    assert catalog.aliases() == {"kb": NAME}
    assert collection.index.count() == 0


def test_it_accepts_the_events_of_its_sources_and_lineages(catalog):
    assert opened(catalog).admission == Admission({CONTRACT.header_fingerprint("docs"): "docs"}, LINEAGES)


def test_opening_again_changes_nothing(catalog):
    opened(catalog)
    before = catalog.metadata(NAME)
    assert opened(catalog).name == NAME
    assert catalog.metadata(NAME) == before
    assert catalog.collections() == [NAME]


def test_a_new_source_joins_and_the_others_stay(catalog):
    opened(catalog)
    joined = opened(catalog, BOTH, BOTH_LINEAGES)
    assert joined.name == NAME
    assert set(joined.admission.sources.values()) == {"docs", "wiki"}
    assert joined.admission.lineages == BOTH_LINEAGES
    # An embedder that does not know the new source keeps it.
    assert set(opened(catalog).admission.sources.values()) == {"docs", "wiki"}


def test_a_payload_field_declared_later_is_indexed(catalog):
    opened(catalog)
    opened(catalog, fields={"colour": "keyword", "pages": "integer"})
    with pytest.raises(Fatal, match="'pages' is declared float"):
        catalog.ensure_fields(NAME, {"pages": "float"})


def test_a_payload_field_of_another_type_is_refused_and_leaves_no_trace(catalog):
    opened(catalog)
    before = catalog.metadata(NAME)
    with pytest.raises(Fatal, match="'colour' is declared integer"):
        opened(catalog, BOTH, BOTH_LINEAGES, fields={"colour": "integer"})
    assert catalog.metadata(NAME) == before


def test_another_contract_is_refused_with_both_sides_and_makes_no_collection(catalog):
    opened(catalog)
    other = replace(CONTRACT, chunking=replace(CHUNKING, max_tokens=32))
    with pytest.raises(Fatal, match=r"chunking\.max_tokens: here 32, in the collection 16"):
        opened(catalog, other)
    assert catalog.collections() == [NAME]


def test_another_encoder_of_the_same_width_is_refused(catalog):
    opened(catalog)
    salted = HashEncoder(8, salt="other")
    with pytest.raises(Fatal, match=r"encoding\.weights: here '\w+', in the collection"):
        opened(catalog, Contract(CHUNKING, salted.contract, CONTRACT.mappings), encoder=salted)


def test_a_collection_of_another_contract_that_stands_already_is_opened_beside_the_live_one(catalog):
    """An upgrade has made it; the alias stays where it is."""
    opened(catalog)
    next_one = replace(CONTRACT, chunking=replace(CHUNKING, max_tokens=32))
    name = collection_name("kb", next_one.fingerprint, 1)
    catalog.switch_alias("kb", NAME, None)
    opened(catalog, next_one)
    catalog.switch_alias("kb", name, NAME)
    assert opened(catalog, next_one).name == name
    assert catalog.aliases() == {"kb": NAME}


def test_the_next_generation_of_a_contract_is_built_beside_the_live_one(catalog):
    opened(catalog)
    collection = opened(catalog, lineages={"docs": "made again/1+chunks-1/1"}, generation=2)
    assert collection.name == collection_name("kb", CONTRACT.fingerprint, 2)
    assert catalog.aliases() == {"kb": NAME}


def test_a_changed_mapping_of_a_known_source_is_refused(catalog):
    opened(catalog)
    changed = replace(CONTRACT, mappings=(replace(CONTRACT.mappings[0], text=("summary", "body")),))
    with pytest.raises(Fatal, match=r"source\.docs\.text: here \['summary', 'body'\], in the collection \['body'\]"):
        opened(catalog, changed)


def test_a_changed_lineage_of_a_known_source_is_refused(catalog):
    opened(catalog)
    with pytest.raises(Fatal, match=r"was cdc-1/1\+chunks-1/1, is cdc-9/1\+chunks-1/1.*raise index\.generation"):
        opened(catalog, lineages={"docs": "cdc-9/1+chunks-1/1"})


def test_an_encoder_that_fails_its_probes_is_refused_and_leaves_no_trace(catalog):
    opened(catalog)
    before = catalog.metadata(NAME)
    with pytest.raises(Fatal, match=r"makes other vectors.*cosine of"):
        opened(catalog, BOTH, BOTH_LINEAGES, encoder=Impostor(8, salt="other"))
    assert catalog.metadata(NAME) == before


def test_two_embedders_that_race_to_create_it_both_open_it(catalog):
    """The other one is faster by a moment, and knows a source more."""
    other = []

    def overtaken(effect):
        if effect == "catalog.create" and not other:
            other.append(opened(catalog, BOTH, BOTH_LINEAGES))

    ours = opened(catalog.seen_by(overtaken))
    assert other
    assert ours.record == other[0].record == from_json(catalog.metadata(NAME))
    assert set(ours.admission.sources.values()) == {"docs", "wiki"}


def test_two_embedders_that_race_to_join_it_both_join(catalog):
    opened(catalog, CONTRACT, {})
    other = []

    def overtaken(effect):
        if effect == "catalog.replace_metadata" and not other:
            other.append(opened(catalog, BOTH, {"wiki": BOTH_LINEAGES["wiki"]}))

    ours = opened(catalog.seen_by(overtaken))
    assert ours.record.lineage == BOTH_LINEAGES
    assert from_json(catalog.metadata(NAME)) == ours.record


def test_metadata_that_never_stands_still_is_fatal(catalog):
    opened(catalog, CONTRACT, {})

    def restless(effect):
        if effect == "catalog.replace_metadata":
            before = catalog.metadata(NAME)
            catalog.replace_metadata(NAME, before, {**before, "turn": int(before.get("turn", 0)) + 1})

    with pytest.raises(Fatal, match="keeps changing"):
        opened(catalog.seen_by(restless))


def test_an_alias_that_somebody_sets_meanwhile_is_left_to_him(catalog):
    catalog.create("by-hand", VectorSpec("v", 4), {}, {})

    def overtaken(effect):
        if effect == "catalog.switch_alias":
            catalog.switch_alias("kb", None, "by-hand")

    opened(catalog.seen_by(overtaken))
    assert catalog.aliases() == {"kb": "by-hand"}


def test_a_collection_that_is_not_ours_is_refused(catalog):
    catalog.create(NAME, VectorSpec("v", 8), {}, {"made_by": "somebody else"})
    with pytest.raises(Fatal, match=r"name a collection that embedstream made \(index\.name\)"):
        opened(catalog)
