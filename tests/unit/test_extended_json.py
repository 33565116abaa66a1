"""MongoDB's Extended JSON in its three dialects, and the ids of documents."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.extended_json import id_text, plain, row
from schemas.malformed import Malformed

OID = "596e275826f08b2730779e1f"
UUID = "6f0d5a86-2f0e-5c5f-9a3c-3c1f5a6f7b10"
UUID_BYTES = "bw1ahi8OXF+aPDwfWm97EA=="


@pytest.mark.parametrize(
    ("dialects", "read"),
    [
        ([{"$oid": OID}, {"$oid": OID.upper()}], OID),
        ([7, {"$numberInt": "7"}, {"$numberLong": "7"}, {"$numberLong": 7}, {"$numberDecimal": "7"}], 7),
        ([-(2**63), {"$numberLong": str(-(2**63))}], -(2**63)),
        ([1.5, {"$numberDouble": "1.5"}, {"$numberDouble": 1.5}, {"$numberDecimal": "1.50"}], 1.5),
        ([{"$numberDouble": "NaN"}], "NaN"),
        ([{"$numberDecimal": "1E+6000"}], "1E+6000"),
        (
            [
                {"$date": 1_772_366_400_120},
                {"$date": {"$numberLong": "1772366400120"}},
                {"$date": "2026-03-01T12:00:00.12Z"},
                {"$date": "2026-03-01T13:00:00.120+01:00"},
            ],
            "2026-03-01T12:00:00.12Z",
        ),
        ([{"$date": 10**15}, {"$date": {"$numberLong": str(10**15)}}], str(10**15)),
        ([{"$timestamp": {"t": 1_772_366_400, "i": 3}}], "2026-03-01T12:00:00Z"),
        ([{"$binary": "aGk=", "$type": "00"}, {"$binary": {"base64": "aGk=", "subType": "00"}}], "aGk="),
        ([{"$uuid": UUID}, {"$binary": {"base64": UUID_BYTES, "subType": "04"}}], UUID),
        ([{"$binary": UUID_BYTES, "$type": "4"}], UUID),
        ([{"$binary": {"base64": UUID_BYTES, "subType": "03"}}], UUID_BYTES),
        ([{"$symbol": "s"}, "s"], "s"),
        ([{"$undefined": True}, None], None),
        ([True], True),
        (
            [{"$regularExpression": {"pattern": "a", "options": ""}}],
            {"$regularExpression": {"pattern": "a", "options": ""}},
        ),
        ([{"$ref": "c", "$id": {"$oid": OID}}], {"$ref": "c", "$id": OID}),
        ([{}, {}], {}),
    ],
)
def test_the_dialects_of_one_value_say_the_same(dialects, read):
    for value in dialects:
        found = row(json.dumps({"a": [{"b": value}]}), "It")
        assert found == {"a": [{"b": read}]}
        assert type(found["a"][0]["b"]) is type(read)


@pytest.mark.parametrize(
    "value",
    [
        {"$oid": "xyz"},
        {"$oid": 7},
        {"$numberLong": "1.5"},
        {"$numberLong": True},
        {"$numberLong": str(2**63)},
        {"$numberInt": None},
        {"$numberDouble": "many"},
        {"$numberDecimal": []},
        {"$date": "yesterday"},
        {"$date": {"$numberLong": "x"}},
        {"$date": None},
        {"$timestamp": 5},
        {"$binary": 7},
        {"$binary": {"base64": "aGk=", "subType": "04"}},
        {"$binary": {"base64": "aGk=", "subType": 4}},
        {"$uuid": "no"},
        {"$uuid": 7},
        {"$symbol": 7},
    ],
)
def test_a_type_that_holds_something_else_is_malformed(value):
    with pytest.raises(Malformed) as error:
        plain({"a": value})
    assert error.value.kind == "extended-json"


@pytest.mark.parametrize("text", ["[1]", "7", "null", '"a"'])
def test_a_document_is_an_object(text):
    with pytest.raises(Malformed, match=r"It is .*, not a document"):
        row(text, "It")


@pytest.mark.parametrize(
    ("ids", "name"),
    [
        ([f'{{"$oid" : "{OID}"}}', f'{{"$oid":"{OID.upper()}"}}'], OID),
        (["1234", "1234.0", '{"$numberLong": "1234"}', '{"$numberInt":"1234"}'], "1234"),
        (["12.34", '{"$numberDouble":"12.34"}'], "12.34"),
        (['"a/7 ü"'], "a/7 ü"),
        (['"1234"'], '"1234"'),
        (['"-1.5e3"'], '"-1.5e3"'),
        ([f'"{OID}"'], f'"{OID}"'),
        ([f'"{UUID}"'], f'"{UUID}"'),
        ([f'{{"$uuid":"{UUID}"}}', f'{{"$binary":{{"base64":"{UUID_BYTES}","subType":"04"}}}}'], UUID),
        (['""'], '""'),
        (['"{}"'], '"{}"'),
        (['"true"'], '"true"'),
        (["true"], "true"),
        (
            ['{"hi" : "kafka", "nums" : [10.0, 100.0]}', '{"hi":"kafka","nums":[10,100]}'],
            '{"hi":"kafka","nums":[10,100]}',
        ),
        (['{"$date": 0}', '{"$date": "1970-01-01T00:00:00Z"}'], '{"$date":"1970-01-01T00:00:00Z"}'),
        (['{"$binary" : "a2E=", "$type" : "00"}'], '{"$binary":"a2E=","$type":"00"}'),
        (['{"$binary" : {"base64": "a2E=", "subType" : "80"}}'], '{"$binary":"a2E=","$type":"80"}'),
        ([f'{{"a": {{"$oid": "{OID}"}}}}'], f'{{"a":{{"$oid":"{OID}"}}}}'),
        ([f'{{"a": "{OID}"}}'], f'{{"a":"{OID}"}}'),
    ],
)
def test_an_id_is_named_in_one_readable_way(ids, name):
    assert {id_text(each) for each in ids} == {name}


bson_ids = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=12) | st.sampled_from(["7", OID, UUID, '"7"', "true", '{"$oid":1}', "1970-01-01T00:00:00Z"]),
    st.booleans(),
    st.sampled_from(
        [
            {"$oid": OID},
            {"$uuid": UUID},
            {"$date": 0},
            {"$binary": "aGk=", "$type": "00"},
            {"a": {"$oid": OID}},
            {"a": OID},
        ]
    ),
)


@given(bson_ids, bson_ids)
def test_two_ids_name_two_documents(one, other):
    same = type(one) is type(other) and one == other
    assert (id_text(json.dumps(one)) == id_text(json.dumps(other))) == same


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["$oid", "$date", "$numberLong", "$numberDouble", "$numberDecimal", "$binary", "$type", "$uuid"]
            ),
            inner,
            max_size=2,
        )
    ),
    max_leaves=8,
)


def outcome(read, *what):
    """What is read, or the sentence of its refusal."""
    try:
        return read(*what)
    except Malformed as error:
        return str(error)


@given(values)
def test_any_value_is_plain_or_malformed(value):
    found = outcome(row, json.dumps({"_id": value}), "It")
    assert isinstance(found, dict) or found.endswith(".")
    assert isinstance(outcome(id_text, json.dumps(value)), str)
