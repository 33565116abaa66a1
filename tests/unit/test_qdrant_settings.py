"""An index on a Qdrant server: ``index.url`` and the table ``[index.qdrant]``."""

import json

import pytest

from adapters.qdrant.options import Address, Layout, Pace, ServerOptions, Trust, parse_address
from compose.settings import load
from stream.errors import Misuse

MINIMAL = """
[kafka]
"bootstrap.servers" = "127.0.0.1:9092"
[[source]]
name = "docs"
topic = "kb.public.docs"
text = ["body"]
[chunks]
topic = "kb.chunks"
[encoding]
model = "hash:64"
[index]
name = "docs"
url = "{url}"
{more}
"""


@pytest.fixture
def read(tmp_path):
    """The index's settings of a file with that address and table."""

    def _read(url="http://q:6333", table="", **variables):
        file = tmp_path / "embedstream.toml"
        file.write_text(MINIMAL.format(url=url, more=f"[index.qdrant]\n{table}" if table else ""), encoding="utf-8")
        return load(file, {f"EMBEDSTREAM_{name}": value for name, value in variables.items()}).index

    return _read


@pytest.fixture
def refusal(read):
    """The sentence with which a file is refused."""

    def _refusal(url="http://q:6333", table="", **variables):
        with pytest.raises(Misuse) as refused:
            read(url, table, **variables)
        sentence = str(refused.value)
        assert "\n" not in sentence
        return sentence.partition("embedstream.toml: ")[2] or sentence

    return _refusal


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://q:6333", Address("q", 6333)),
        ("http://q", Address("q", 6333)),
        ("https://q.example.org/qdrant/", Address("q.example.org", 6333, tls=True, prefix="/qdrant")),
        ("grpc://10.0.0.1", Address("10.0.0.1", 6334, grpc=True)),
        ("GRPCS://q:7000", Address("q", 7000, grpc=True, tls=True)),
        ("http://[::1]:6333", Address("::1", 6333)),
    ],
)
def test_an_address_names_the_protocol_and_has_qdrants_own_ports(url, address):
    assert parse_address(url) == address
    assert parse_address(str(address)) == address


def test_a_server_is_used_with_the_defaults_of_one_without_replicas(read):
    index = read()
    assert index.server == ServerOptions(Address("q", 6333))
    assert not index.not_made_yet
    assert index.server.layout.written_replicas == 1


def test_a_folder_has_no_server(read):
    assert read("edge:data/index").server is None


def test_every_key_reaches_the_adapter(read, tmp_path):
    table = """
    api_key = "k"
    ca_location = "tls/ca.pem"
    certificate_location = "/etc/client.pem"
    key_location = "/etc/client.key"
    shards = 6
    replicas = 3
    write_consistency = 3
    vectors_on_disk = true
    payload_on_disk = false
    hnsw = { m = 8 }
    quantization = { binary = { always_ram = true } }
    timeout_s = 5
    batch_points = 256
    requests_in_flight = 2
    request_bytes = 1000000
    """
    assert read("grpcs://q", table).server == ServerOptions(
        Address("q", 6334, grpc=True, tls=True),
        "k",
        Trust(str(tmp_path / "tls/ca.pem"), "/etc/client.pem", "/etc/client.key"),
        Layout(6, 3, 3, True, False, {"m": 8}, {"binary": {"always_ram": True}}),
        Pace(5, 256, 2, 1_000_000),
    )


def test_the_majority_of_replicas_has_to_take_a_write_unless_more_are_named(read):
    factors = [read(table=f"replicas = {count}").server.layout.written_replicas for count in (1, 2, 3, 4, 5)]
    assert factors == [1, 2, 2, 3, 3]


def test_the_key_comes_from_the_environment_or_a_file_and_is_shown_nowhere(read, tmp_path):
    secret = tmp_path / "key"
    secret.write_text("a-secret-key\n")
    for index in (
        read(INDEX__QDRANT__API_KEY="a-secret-key"),
        read(INDEX__QDRANT__API_KEY_FILE=str(secret)),
        read(table='api_key = "a-secret-key"'),
    ):
        assert index.server.api_key == "a-secret-key"
        assert "a-secret-key" in set(index.secrets())
        shown = [repr(index), str(index), repr(index.server), json.dumps(index.model_dump(mode="json"))]
        assert not [text for text in shown if "a-secret" in text]


@pytest.mark.parametrize(
    ("url", "table", "words"),
    [
        ("ftp://q:6333", "", "as http://127.0.0.1:6333 or grpc://127.0.0.1:6334"),
        ("http://", "", "`index.url` is 'http://'; it is http(s)://host:6333"),
        ("http://q:x", "", "`index.url` names no server"),
        ("http://q?api-key=a-secret", "", "`index.url` has something behind its path, which may be a secret; it is"),
        ("grpc://q/prefix", "", "a gRPC address has no path"),
        ("http://user:word@q", "", "a user or password; give the server's key as index.qdrant.api_key instead"),
        ("edge:data", "shards = 2", "`index.qdrant` says how a server is used, and `url` is"),
        ("http://q", "shard = 2", "`index.qdrant.shard` is not a known key; did you mean `index.qdrant.shards`?"),
        ("http://q", "replicas = 3\nwrite_consistency = 1", "at least 2 (the majority) and at most 3"),
        ("http://q", "replicas = 2\nwrite_consistency = 3", "of 2 replicas at least 2"),
        ("https://q", 'key_location = "k.pem"', "belong together"),
        ("http://q", 'ca_location = "ca.pem"', "use https or grpcs"),
        ("http://q", "hnsw = { mm = 8 }", "index.qdrant.hnsw is not what Qdrant takes: mm"),
        ("http://q", "quantization = { scalar = { type = 'int4' } }", "index.qdrant.quantization is not"),
        ("http://q", "quantization = { scalar = { type = 'int8', ram = true } }", "ram: extra inputs are not"),
        (
            "http://q",
            "batch_points = 0",
            "`index.qdrant.batch_points` is 0 (a whole number), but at least 1 is expected",
        ),
        ("http://q", "timeout_s = true", "`index.qdrant.timeout_s` is true, but a whole number is expected"),
    ],
)
def test_what_cannot_be_used_is_refused_with_one_sentence(refusal, url, table, words):
    sentence = refusal(url, table)
    assert words in sentence
    assert "word@" not in sentence


def test_a_password_in_an_address_is_not_repeated(refusal):
    assert "hunter2" not in refusal("http://user:hunter2@q:6333")
    assert "hunter2" not in refusal("ftp://user:hunter2@q:6333")
