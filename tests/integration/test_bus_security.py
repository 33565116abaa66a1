"""The bus behind TLS, passwords, client certificates and rights, on a real broker with real certificates.

What the configuration says of security is librdkafka's own words, passed through. A row goes all the way to a hit at
each door; and what is wrong with an identity is one sentence that names what to mend, within seconds.
"""

import time

import pytest
from cdc_events import assert_holds, envelope, row
from guarded_broker import granted_all
from stream_process import wait_for

from stream.errors import Fatal, Misuse, Outage

pytestmark = pytest.mark.kafka

SECONDS = 12.0
"""Within which a refusal has to be told, the start of the roles included."""


def put_row(stream, number=1, body="A sentence about otters by the river."):
    stream.put({"id": number}, envelope("c", row(number, body)))
    stream.flush()


def identity(guarded, door, user):
    if door == "tls":
        return guarded.tls()
    if door == "scram":
        guarded.add_user(user, "opens-the-door")
        return guarded.scram(user, "opens-the-door")
    return guarded.mutual(user, "locks-the-key" if door == "mutual, locked key" else "")


@pytest.mark.parametrize("door", ["tls", "scram", "mutual", "mutual, locked key"])
@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_row_becomes_a_hit_behind_each_door(guarded, guarded_stream, door, protocol):
    stream = guarded_stream()
    user = f"user-{stream.name}"
    stream.change({"kafka": {**identity(guarded, door, user), "group.protocol": protocol}})
    stream.create()
    granted_all(guarded, user, stream)
    put_row(stream)
    running = stream.run().ready()
    stream.drained()
    (hit,) = running.search("otters")
    assert hit["doc_id"] == "docs/1"
    assert_holds(stream.points(None), stream.deployment(), stream.records(stream.cdc))


def refusal(stream, *roles):
    """What stops the roles, and that it came within seconds."""
    began = time.monotonic()
    failure = stream.run(*roles).failure()
    assert time.monotonic() - began < SECONDS, failure
    assert isinstance(failure, Fatal), failure
    assert "\n" not in str(failure)
    return failure


@pytest.mark.parametrize("role", ["chunker", "embedder"])
def test_a_wrong_password_stops_the_process_within_seconds(guarded, guarded_stream, role):
    stream = guarded_stream()
    user = f"user-{stream.name}"
    guarded.add_user(user, "opens-the-door")
    stream.create()
    stream.change({"kafka": guarded.scram(user, "opens-nothing")})
    sentence = str(refusal(stream, role))
    assert "refuses the credentials. Correct them in [kafka]" in sentence
    assert guarded.scram(user, "")["bootstrap.servers"] in sentence
    assert "opens-nothing" not in sentence


def test_a_password_that_is_changed_under_a_running_stream_stops_nothing_and_a_restart_tells(guarded, guarded_stream):
    """Kafka asks for credentials at the connection: what is open stays open."""
    stream = guarded_stream()
    user = f"user-{stream.name}"
    stream.change({"kafka": identity(guarded, "scram", user)})
    stream.create()
    granted_all(guarded, user, stream)
    running = stream.run().ready()
    put_row(stream)
    stream.drained()
    guarded.add_user(user, "another-password")
    put_row(stream, 2)
    wait_for(lambda: running.search("otters")[1:], "the second row to be found")
    running.stop()
    assert "refuses the credentials" in str(refusal(stream))
    stream.change({"kafka": guarded.scram(user, "another-password")})
    stream.run().ready()
    stream.drained()


def test_a_broker_of_another_authority_is_not_trusted(guarded, guarded_stream):
    stream = guarded_stream()
    stream.change({"kafka": {**guarded.tls(), "ssl.ca.location": str(guarded.wrong_ca)}})
    sentence = str(refusal(stream))
    assert "is not one that this client trusts. Set ssl.ca.location" in sentence
    assert "certificate verify failed" in sentence


def test_a_broker_that_shows_the_certificate_of_another_host_is_not_trusted(guarded, guarded_stream):
    stream = guarded_stream()
    stream.change({"kafka": guarded.tls("ELSEWHERE")})
    assert "is not one that this client trusts" in str(refusal(stream))


@pytest.mark.parametrize("certificate", ["of another authority", "none at all"])
def test_a_client_whose_certificate_is_refused_stops(guarded, guarded_stream, certificate):
    stream = guarded_stream()
    properties = guarded.mutual(f"user-{stream.name}", trusted=False)
    if certificate == "none at all":
        del properties["ssl.certificate.location"], properties["ssl.key.location"]
    stream.change({"kafka": properties})
    assert "refuses this client's certificate. Set ssl.certificate.location" in str(refusal(stream))


@pytest.mark.parametrize("key", ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location"])
def test_a_file_that_is_not_there_is_misuse_that_names_key_and_path(guarded, guarded_stream, key):
    stream = guarded_stream()
    stream.change({"kafka": {**guarded.mutual(f"user-{stream.name}"), key: "/no/such/file.pem"}})
    process = stream.command("run", "chunker")
    assert process.ended() == 2
    assert process.said().strip() == (
        f'"{key}" in [kafka] is /no/such/file.pem, which cannot be read: No such file or directory.'
    )


def test_a_key_that_the_password_does_not_open_is_misuse(guarded, guarded_stream):
    stream = guarded_stream()
    stream.change({"kafka": {**guarded.mutual("locked", "right-password"), "ssl.key.password": "wrong-password"}})
    failure = refusal(stream, "chunker")
    assert isinstance(failure, Misuse)
    assert 'cannot be opened with the "ssl.key.password"' in str(failure)
    assert "wrong-password" not in str(failure)


@pytest.mark.parametrize("spoken", ["plain to a door with TLS", "TLS to the plain door"])
def test_another_protocol_than_the_doors_is_an_outage_that_says_what_was_heard(guarded, guarded_stream, spoken):
    """A listener that cuts connections may be one that is starting: it is waited for."""
    stream = guarded_stream()
    there = guarded.tls()
    if spoken.startswith("plain"):
        stream.change({"kafka": {"bootstrap.servers": there["bootstrap.servers"]}})
    else:
        stream.change({"kafka": {**there, "bootstrap.servers": guarded.plain}})
    with pytest.raises(Outage) as heard:
        stream.deployment().topics().describe([stream.cdc])
    if not spoken.startswith("plain"):
        assert "PLAINTEXT broker listener?" in str(heard.value)


RIGHTS = [
    ("chunker", ("topic", "cdc", "read"), "cdc"),
    ("chunker", ("topic", "chunks", "write"), "chunks"),
    ("chunker", ("topic", "letter_topic", "write"), "letter_topic"),
    ("chunker", ("group", "name", "read"), "chunker_group"),
    ("chunker", ("transactional_id", "name", "write"), "transactional_id"),
    ("embedder", ("topic", "chunks", "read"), "chunks"),
    ("embedder", ("group", "name", "read"), "embedder_group"),
]


@pytest.mark.parametrize(("role", "missing", "named"), RIGHTS, ids=[f"{one[0]}, {one[1][1:]}" for one in RIGHTS])
def test_a_user_without_a_right_is_told_what_for(guarded, guarded_stream, role, missing, named):
    stream = guarded_stream()
    user = f"user-{stream.name}"
    stream.change({"kafka": guarded.mutual(user)})
    stream.create()
    stream.create(stream.chunks, cleanup_policy="compact", max_message_bytes="16777216")
    stream.create(stream.letter_topic)
    _, attribute, operation = missing
    granted_all(guarded, user, stream, but={missing})
    put_row(stream)
    deployment = stream.deployment()
    subject = getattr(stream, named, None) or getattr(deployment, named)
    running = stream.run(role)
    if operation == "write" and attribute == "letter_topic":
        stream.put(None, b"no key: a dead letter")
        stream.flush()
    failure = running.failure()
    assert isinstance(failure, Fatal), failure
    sentence = str(failure)
    assert subject in sentence
    assert "no right" in sentence
    assert "ACL" in sentence
    assert "\n" not in sentence
