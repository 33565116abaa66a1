"""A registry that is away, that refuses, or that cannot be opened."""

import ssl
import threading
from uuid import uuid4

import pytest
import trustme
from connect_converters import FramedWriter
from doubles.schema_registry import SchemaRegistryDouble
from framed_records import KEY, SAID_KEY, TOPIC, avro, prefixed, record, record_of

from stream.errors import Fatal, Misuse, Outage
from stream.ports import Partition, Record

# --- Outages -------------------------------------------------------------------------------------------------------


def framed(registry):
    number, _ = registry.register("k", KEY)
    return record(prefixed(number, avro(KEY, {"id": 7})))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507])
def test_a_registry_that_cannot_answer_now_is_an_outage_and_the_record_is_read_later(unframer, registry, status):
    one = framed(registry)
    registry.fail_next(status, body=b'{"error_code": 50001, "message": "Error in the backend data store"}')
    with pytest.raises(Outage, match=f"HTTP {status}"):
        unframer.unframed(one)
    assert unframer.unframed(one)[0] == SAID_KEY


def test_the_wait_that_a_registry_asks_for_is_honoured(unframer, registry):
    one = framed(registry)
    registry.fail_next(429, {"Retry-After": "7"})
    registry.fail_next(503, {"Retry-After": "86400"})
    registry.fail_next(503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
    waits = []
    for _ in range(3):
        with pytest.raises(Outage) as error:
            unframer.unframed(one)
        waits.append(error.value.retry_after_s)
    assert waits[:2] == [7, 60]
    assert 0 < waits[2] <= 15


def test_waits_grow_while_a_registry_stays_away_and_begin_anew_when_it_is_back(unframer, registry):
    one, other = framed(registry), record(prefixed(77, b""))
    registry.stop()
    waits = []
    for _ in range(9):
        with pytest.raises(Outage, match="cannot be reached") as error:
            unframer.unframed(one)
        waits.append(error.value.retry_after_s)
    assert waits[0] < 1
    assert 7 < waits[-1] <= 15
    registry.start()
    assert unframer.unframed(one)[0] == SAID_KEY
    registry.stop()
    with pytest.raises(Outage) as error:
        unframer.unframed(other)
    assert error.value.retry_after_s < 1


def test_what_was_fetched_is_read_on_while_the_registry_is_away(unframer, registry):
    one = framed(registry)
    unframer.unframed(one)
    registry.stop()
    assert unframer.unframed(one)[0] == SAID_KEY


def test_a_registry_that_accepts_and_says_nothing_is_an_outage(open_unframer, registry):
    one, unframer = framed(registry), open_unframer(timeout=0.2)
    registry.hold()
    with pytest.raises(Outage, match="cannot be reached"):
        unframer.unframed(one)
    registry.release()
    assert unframer.unframed(one)[0] == SAID_KEY


def test_the_second_address_is_asked_where_the_first_is_away(open_unframer, registry):
    gone = SchemaRegistryDouble()
    gone.stop()
    assert open_unframer(url=f"{gone.url},{registry.url}").unframed(framed(registry))[0] == SAID_KEY


# --- Fatal ---------------------------------------------------------------------------------------------------------


def test_credentials_that_are_refused_are_fatal_and_never_shown(open_unframer, registry):
    registry.credentials = "reader:correct-horse"
    one = framed(registry)
    for given in (
        {"basic.auth.user.info": "reader:battery-staple"},
        {"url": registry.url.replace("//", "//reader:battery-staple@")},
    ):
        unframer = open_unframer(**given)
        with pytest.raises(Fatal, match=r"refuses the credentials .HTTP 401.*correct user and password") as error:
            unframer.unframed(one)
        assert "staple" not in "".join(map(str, (error.value, error.value.__cause__, unframer._schemas.url)))


@pytest.mark.parametrize("where", ["property", "address"])
def test_credentials_open_the_registry(open_unframer, registry, where):
    registry.credentials = "reader:correct:horse@%"
    given = (
        {"basic.auth.user.info": "reader:correct:horse@%"}
        if where == "property"
        else {"url": registry.url.replace("//", "//reader:correct%3Ahorse%40%25@")}
    )
    assert open_unframer(**given).unframed(framed(registry))[0] == SAID_KEY


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (403, b'{"error_code": 40301, "message": "Forbidden"}', "grant the right to read schemas"),
        (404, b"<html>nginx</html>", "answers as no registry does"),
        (404, b"", "answers as no registry does"),
        (302, b"", "correct url in .registry."),
        (400, b'{"error_code": 400, "message": "Bad"}', "correct url in .registry."),
        (200, b"<html>Welcome</html>", "gave an answer that is no registry's"),
        (200, b"[]", "gave an answer that is no registry's"),
        (200, b'{"status": "UP"}', "gave an answer that is no registry's"),
    ],
)
def test_an_answer_that_no_waiting_mends_is_fatal(unframer, registry, status, body, says):
    one = framed(registry)
    registry.fail_next(status, body=body)
    with pytest.raises(Fatal, match=says) as error:
        unframer.unframed(one)
    assert registry.url in str(error.value)
    assert str(error.value).endswith(".")


def test_a_registry_without_guids_is_fatal_to_a_topic_with_them(unframer, registry):
    registry.guids = False
    with pytest.raises(Fatal, match=r"asked for the schema of GUID .* answers as no registry does"):
        unframer.unframed(record(b"\x0e", key_guid=uuid4()))


def test_protobuf_is_fatal(unframer, registry):
    number, _ = registry.register("v", 'syntax = "proto3"; message Row {}', "PROTOBUF")
    with pytest.raises(Fatal, match="is of type PROTOBUF, which embedstream does not read"):
        unframer.unframed(record(value=prefixed(number, b"\x00")))


@pytest.mark.parametrize(("mode", "refused"), [("WRITEREAD", True), ("READ", True), ("WRITE", False)])
def test_rules_that_change_values_on_reading_are_fatal(unframer, registry, mode, refused):
    rule = {"name": "encryptBody", "kind": "TRANSFORM", "type": "ENCRYPT", "mode": mode, "tags": ["PII"]}
    number, _ = registry.register("v", record_of("string"), rule_set={"domainRules": [rule]})
    one = record(value=prefixed(number, avro(record_of("string"), {"c0": "a"})))
    if refused:
        with pytest.raises(Fatal, match=r"the rule 'encryptBody' \(ENCRYPT\), which changes values on reading"):
            unframer.unframed(one)
    else:
        assert unframer.unframed(one)[1].payload == {"c0": "a"}


# --- Opening -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ssl.ca.location": "/no/such/ca.pem"}, "certificate or key file of .registry. cannot be used"),
        ({"ssl.key.location": "/no/such/key.pem"}, "makes no client: ssl.certificate.location required"),
        ({"bearer.auth.credentials.source": "NOBODY"}, "makes no client"),
        ({"basic.auth.user.info": "battery-staple"}, "with a colon between them"),
        ({"tiemout": 3}, 'did you mean "timeout"'),
        ({"timeout": "soon"}, "must be a number"),
        ({"url": "mock://registry"}, "must be the address of a schema registry"),
        ({"url": "registry:8081"}, "must be the address of a schema registry"),
    ],
)
def test_properties_that_make_no_client_are_misuse(open_unframer, given, says):
    with pytest.raises(Misuse, match=says) as error:
        open_unframer(**given)
    assert "staple" not in str(error.value)


def test_nothing_is_asked_of_the_registry_at_the_start(open_unframer, registry):
    registry.stop()
    open_unframer()


def test_it_is_reached_by_tls_with_a_certificate_of_its_own_authority(open_unframer, registry, tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    registry.secure(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("reader@kb").private_key_and_cert_chain_pem.write_to_path(tmp_path / "reader.pem")
    files = {"ssl.ca.location": str(tmp_path / "ca.pem"), "ssl.certificate.location": str(tmp_path / "reader.pem")}
    one = framed(registry)
    assert open_unframer(**files).unframed(one)[0] == SAID_KEY
    with pytest.raises(Fatal, match=r"not one that this client trusts.*set ssl\.ca\.location"):
        open_unframer().unframed(one)
    with pytest.raises(Fatal, match=r"refuses this client's certificate.*ssl\.certificate\.location"):
        open_unframer(**{"ssl.ca.location": str(tmp_path / "ca.pem")}).unframed(one)


def test_what_the_librarys_serializers_write_is_read_by_two_processes_at_once(registry, open_unframer):
    """Each process has a client of its own; the registry tells both the same."""
    writer = FramedWriter(registry.url, "avro", "header")
    schema = {"type": "struct", "name": f"{TOPIC}.Key", "fields": [{"type": "int32", "field": "id"}]}
    key, _, headers = writer.record(TOPIC, {"schema": schema, "payload": {"id": 7}}, None)
    writer.close()
    one = Record(Partition(TOPIC, 0), 0, key, None, tuple(headers))
    said = []
    readers = [threading.Thread(target=lambda: said.append(open_unframer().unframed(one)[0])) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert [one.payload for one in said] == [{"id": 7}] * 2
