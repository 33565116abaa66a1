import json
from dataclasses import replace

import pytest

from adapters.memory.encoder import HashEncoder
from schemas.identity import Fingerprint
from stream import collection as records
from stream import probes
from stream.contract import ChunkingContract, Contract, TextMapping
from stream.errors import Fatal

DOCS = TextMapping("docs", "title", ("body",))
WIKI = TextMapping("wiki", None, ("text",))
ENCODER = HashEncoder(16)
CHUNKING = ChunkingContract("anchored", 48, 200, 0, 32, ENCODER.contract.tokenizer)
CONTRACT = Contract(CHUNKING, ENCODER.contract, (DOCS,))


def record():
    return records.new_record(CONTRACT, {"docs": "a/1+b/8"}, probes.take(ENCODER))


def test_a_record_survives_json():
    whole = replace(record(), barrier={"kb.chunks": [0, 17]}, rest={"made_by": "a newer version"})
    assert records.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_what_a_newer_version_wrote_beside_it_is_kept():
    document = {**record().to_json(), "colour": "green"}
    assert records.from_json(document).joined(CONTRACT, {}).to_json()["colour"] == "green"


def test_a_collection_is_named_after_its_contract_and_generation():
    assert records.collection_name("docs", Fingerprint("abc"), 3) == "docs__abc__g3"


def test_the_writer_that_made_it_adds_nothing():
    assert record().joined(CONTRACT, {"docs": "a/1+b/8"}) == record()


def test_a_new_source_joins_without_a_rebuild():
    ours = replace(CONTRACT, mappings=(DOCS, WIKI))
    joined = record().joined(ours, {"docs": "a/1+b/8", "wiki": "c/4+b/8"})
    assert joined.contract.fingerprint == CONTRACT.fingerprint
    assert dict(joined.accepted) == ours.accepted
    assert joined.lineage == {"docs": "a/1+b/8", "wiki": "c/4+b/8"}


def test_a_source_that_another_writer_joined_stays():
    joined = record().joined(replace(CONTRACT, mappings=(DOCS, WIKI)), {"wiki": "c/4+b/8"})
    assert set(joined.joined(CONTRACT, {}).accepted) == {"docs", "wiki"}


def test_a_changed_mapping_of_a_known_source_is_fatal_and_shows_both():
    ours = replace(CONTRACT, mappings=(replace(DOCS, text=("summary", "body")),))
    with pytest.raises(Fatal, match=r"source\.docs\.text: here \['summary', 'body'\], in the collection \['body'\]"):
        record().joined(ours, {})


def test_a_changed_lineage_of_a_known_source_is_fatal():
    with pytest.raises(Fatal, match="'docs'"):
        record().joined(CONTRACT, {"docs": "z/1+b/8"})


def test_another_model_of_the_same_width_is_fatal_to_a_reader():
    other = HashEncoder(16, salt="other")
    with pytest.raises(Fatal, match=r"encoding\.weights: here .*, in the collection "):
        records.check_encoding(other.contract, CONTRACT)


def test_a_reader_needs_no_chunking_and_the_models_name_decides_nothing():
    records.check_encoding(replace(ENCODER.contract, model="the same under another name"), CONTRACT)


def test_another_chunking_is_fatal_to_a_writer():
    ours = replace(CONTRACT, chunking=replace(CHUNKING, max_tokens=300))
    with pytest.raises(Fatal, match=r"chunking\.max_tokens: here 300, in the collection 200"):
        record().joined(ours, {})


@pytest.mark.parametrize("metadata", [{}, {"format": 99}, {"format": None}])
def test_metadata_of_another_program_or_version_is_fatal(metadata):
    with pytest.raises(Fatal, match="reads format 1"):
        records.from_json(metadata)


@pytest.mark.parametrize("key", ["contract", "accepted", "lineage", "probes", "barrier"])
def test_damaged_metadata_is_fatal(key):
    document = record().to_json()
    with pytest.raises(Fatal):
        records.from_json({**document, key: 7})
    del document[key]
    with pytest.raises(Fatal):
        records.from_json(document)
