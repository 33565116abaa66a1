"""What the doctor says of rights and identities, on a broker that asks for them."""

import pytest
from guarded_broker import granted_all

from compose.commands import doctor

pytestmark = pytest.mark.kafka


@pytest.fixture
def admitted(guarded, guarded_stream):
    """``admitted(but=…)``: a deployment of a user of its own, with every right but those."""

    def make(tables=None, cleanup_policy="compact", **options):
        stream = guarded_stream(**(tables or {}))
        stream.create()
        stream.create(stream.chunks, cleanup_policy=cleanup_policy, max_message_bytes="16777216", retention_ms="-1")
        stream.create(stream.letter_topic)
        user = f"user-{stream.name}"
        stream.change({"kafka": guarded.mutual(user)})
        granted_all(guarded, user, stream, **options)
        return stream

    return make


def fatal(stream, **options):
    findings = doctor.findings_of(stream.deployment(), probes=False, **options)
    return [finding.line() for finding in findings if finding.severity == "fatal"]


def test_a_user_with_every_right_is_told_so(admitted):
    stream = admitted()
    lines = [finding.line() for finding in doctor.findings_of(stream.deployment(), probes=False)]
    assert "ok        rights: this user may do what chunker, embedder needs" in lines
    assert not [line for line in lines if line.startswith("fatal")], lines


def test_under_faust_no_right_to_transactions_is_asked_for(admitted):
    faust = {"chunker": {"runtime": "faust"}}
    stream = admitted(faust, cleanup_policy="delete", but={("transactional_id", "name", "write")})
    lines = [finding.line() for finding in doctor.findings_of(stream.deployment(), probes=False)]
    assert not [line for line in lines if line.startswith("fatal")], lines
    assert "ok        rights: this user may do what chunker, embedder needs" in lines


MISSING = [
    (("topic", "cdc", "read"), "no right to Read (the chunker reads source 'docs' there)", "cdc"),
    (("topic", "chunks", "write"), "no right to Write (the chunker publishes there)", "chunks"),
    (("topic", "chunks", "read"), "no right to Read (the embedder reads there)", "chunks"),
    (("topic", "letter_topic", "write"), "no right to Write (dead letters are written there)", "letter_topic"),
    (("group", "name", "read"), "no right to Read (the chunker is a member of it)", "name"),
    (("transactional_id", "name", "write"), "grant Write on transactional ids", "name"),
]


@pytest.mark.parametrize(("missing", "says", "named"), MISSING, ids=[" ".join(one[0]) for one in MISSING])
def test_a_right_that_is_missing_is_found(admitted, missing, says, named):
    kind, attribute, operation = missing
    stream = admitted(but={(kind, attribute, operation)})
    lines = fatal(stream)
    (line,) = [line for line in lines if says in line]
    assert getattr(stream, named) in line
    assert "grant" in line


def test_only_the_rights_of_the_roles_that_are_named_are_asked_for(admitted):
    stream = admitted(
        but={("topic", "chunks", "write"), ("topic", "cdc", "read"), ("transactional_id", "name", "write")}
    )
    assert fatal(stream, roles=frozenset({"embedder"})) == []
    assert len(fatal(stream, roles=frozenset({"chunker"}))) == 3


def test_settings_that_may_not_be_read_are_said_and_nothing_else_suffers(admitted):
    stream = admitted(but={("topic", "chunks", "describe_configs"), ("topic", "letter_topic", "describe_configs")})
    lines = [finding.line() for finding in doctor.findings_of(stream.deployment(), probes=False)]
    (line,) = [line for line in lines if "DescribeConfigs on them" in line]
    assert line.startswith("advice")
    assert stream.chunks in line
    assert not [line for line in lines if line.startswith("fatal")], lines


def test_a_wrong_password_and_a_strange_authority_are_fatal_and_the_rest_is_unchecked(guarded, guarded_stream):
    stream = guarded_stream()
    user = f"user-{stream.name}"
    guarded.add_user(user, "opens-the-door")
    stream.change({"kafka": guarded.scram(user, "opens-nothing")})
    (line,) = fatal(stream)
    assert "refuses the credentials" in line
    assert "opens-nothing" not in line
    stream.change({"kafka": {**guarded.scram(user, "opens-the-door"), "ssl.ca.location": str(guarded.wrong_ca)}})
    (line,) = fatal(stream)
    assert "Set ssl.ca.location" in line
