import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose.environment import overlay
from stream.errors import Misuse

KNOWN = {("chunks", "partitions"), ("query", "listen"), ("kafka", "bootstrap.servers")}


def laid(tree=None, **variables: str):
    return overlay(tree or {}, {f"EMBEDSTREAM_{name}": value for name, value in variables.items()}, KNOWN)


def test_a_value_is_laid_over_the_files_and_the_tree_is_left_alone():
    tree = {"chunks": {"topic": "kb", "partitions": 8}}
    over = laid(tree, CHUNKS__PARTITIONS="3")
    assert over.tree == {"chunks": {"topic": "kb", "partitions": "3"}}
    assert tree["chunks"]["partitions"] == 8
    assert over.origins == {("chunks", "partitions"): "EMBEDSTREAM_CHUNKS__PARTITIONS"}


def test_items_of_lists_are_numbered_and_the_next_one_is_added():
    tree = {"source": [{"name": "docs", "text": ["body"]}]}
    over = laid(
        tree,
        SOURCE__0__TEXT__1="summary",
        SOURCE__0__TOPIC="kb",
        SOURCE__1__NAME="wiki",
        SOURCE__0__FIELDS__N="integer",
    )
    assert over.tree["source"] == [
        {"name": "docs", "text": ["body", "summary"], "topic": "kb", "fields": {"n": "integer"}},
        {"name": "wiki"},
    ]


def test_the_tenth_item_comes_after_the_second():
    over = laid(**{f"SOURCE__{number}__NAME": f"s{number}" for number in range(12)})
    assert [item["name"] for item in over.tree["source"]] == [f"s{number}" for number in range(12)]


def test_a_whole_list_may_be_given_as_toml():
    assert laid(SOURCE__0__TEXT='["a", "b"]', CHUNKS__TOPIC="[not toml").tree == {
        "source": [{"text": ["a", "b"]}],
        "chunks": {"topic": "[not toml"},
    }


def test_kafkas_properties_have_their_dots_and_stay_text():
    over = laid(KAFKA__BOOTSTRAP_SERVERS="b:1", KAFKA__SASL_PASSWORD="{a = 1}", KAFKA__GROUP_PREFIX="kb")
    assert over.tree == {"kafka": {"bootstrap.servers": "b:1", "sasl.password": "{a = 1}", "group_prefix": "kb"}}


def test_a_secret_is_read_from_its_file(tmp_path):
    (tmp_path / "password").write_text("  hunter2\n")
    assert laid(KAFKA__SASL_PASSWORD_FILE=str(tmp_path / "password")).tree == {"kafka": {"sasl.password": "hunter2"}}


def test_a_value_and_its_file_together_are_refused():
    with pytest.raises(Misuse, match="are both set; unset one of them"):
        laid(KAFKA__SASL_PASSWORD="a", KAFKA__SASL_PASSWORD_FILE="b")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(
        Misuse, match=r"EMBEDSTREAM_KAFKA__SASL_PASSWORD_FILE names .*absent, which cannot be read: No such"
    ):
        laid(KAFKA__SASL_PASSWORD_FILE=str(tmp_path / "absent"))
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(Misuse, match="it is not UTF-8 text"):
        laid(KAFKA__SASL_PASSWORD_FILE=str(tmp_path / "bytes"))


def test_what_kubernetes_sets_beside_a_service_is_left_alone():
    others = {
        "QUERY_SERVICE_HOST": "10.0.0.1",
        "QUERY_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "PORT": "tcp://10.0.0.1",
        "TEST_KAFKA": "b:1",
    }
    assert laid(**others).tree == {}


def test_a_single_underscore_where_two_belong_is_a_slip():
    with pytest.raises(Misuse, match=r"did you mean EMBEDSTREAM_CHUNKS__PARTITIONS \(two underscores\)"):
        laid(CHUNKS_PARTITIONS="3")
    with pytest.raises(Misuse, match="EMBEDSTREAM_KAFKA__BOOTSTRAP_SERVERS"):
        laid(KAFKA_BOOTSTRAP_SERVERS_FILE="/x")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SOURCE__2__NAME", "`source` has 1 of them, numbered from 0"),
        ("SOURCE__FIRST__NAME", "`source` has 1 of them"),
        ("CHUNKS__TOPIC__0", "names a part of `chunks.topic`, which is a single value"),
        ("CHUNKS____TOPIC", "names no value"),
        ("__TOPIC", "names no value"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(name, words):
    with pytest.raises(Misuse, match=words):
        laid({"source": [{"name": "docs"}], "chunks": {"topic": "kb"}}, **{name: "x"})


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,6}(_[a-z]{1,6})?", fullmatch=True).filter(lambda key: not key.endswith("_file")),
        st.text(st.characters(codec="utf-8", exclude_characters="[{\0"), max_size=20),
        max_size=6,
    )
)
def test_every_value_comes_back_under_its_name(values):
    over = laid(**{f"CHUNKS__{key.upper()}": value for key, value in values.items()})
    assert over.tree.get("chunks", {}) == values
