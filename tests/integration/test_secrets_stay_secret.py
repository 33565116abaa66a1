"""No secret is ever said: planted in every setting that holds one, and looked for in all that a deployment says.

Each secret is a word that occurs nowhere else. Commands are run in success and in failure, as talkative as they can
be made (``debug = "all"``, level DEBUG), and everything that leaves them is searched: both outputs, the metrics, the
JSON forms, the dump, the dead letters, and the files of the data folder.
"""

import base64
import uuid

import httpx
import pytest
from cdc_events import envelope, row
from guarded_broker import granted_all
from stream_process import wait_for

pytestmark = pytest.mark.kafka


def planted(what):
    return f"planted-{what}-{uuid.uuid4().hex}"


class Talk:
    """All that was said, and the secrets that must not be in it."""

    def __init__(self):
        self.secrets = {}
        self.said = []

    def secret(self, name, value=None):
        self.secrets[name] = value or planted(name)
        return self.secrets[name]

    def heard(self, text):
        self.said.append(text)
        return text

    def assert_kept(self):
        assert sum(map(len, self.said)) > 1_000, "nothing was said at all"
        for name, secret in self.secrets.items():
            lines = [line for line in secret.splitlines() if not line.startswith("-----")]
            for form in (*lines, base64.b64encode(secret.encode()).decode()):
                told = [text for text in self.said if form in text]
                assert not told, f"{name} was told: …{_around(told[0], form)}…"


def _around(text, form):
    place = text.index(form)
    return text[max(0, place - 200) : place] + "[HERE]"


@pytest.fixture
def talk():
    return Talk()


@pytest.fixture
def secretive(guarded, guarded_stream, talk):
    """A stream behind a password and a locked key, both of them and all else that is secret from the environment."""
    stream = guarded_stream()
    user = f"user-{stream.name}"
    password = talk.secret("sasl.password")
    guarded.add_user(user, password)
    stream.create()
    granted_all(guarded, user, stream)
    locked = talk.secret("ssl.key.password")
    chain, key = guarded.certificate(user, locked)
    pem = talk.secret("ssl.key.pem", key.read_text())
    kafka = {**guarded.scram(user, ""), "debug": "all", "ssl.certificate.location": str(chain)}
    del kafka["sasl.password"]
    stream.change({"kafka": kafka, "registry": {"url": "http://127.0.0.1:1", "user": "ada"}})
    file = stream.folder / "registry-password"
    file.write_text(talk.secret("registry.password") + "\n")
    environment = {
        "EMBEDSTREAM_LOG": "DEBUG",
        "EMBEDSTREAM_KAFKA__SASL_PASSWORD": password,
        "EMBEDSTREAM_KAFKA__SSL_KEY_PASSWORD": locked,
        "EMBEDSTREAM_KAFKA__SSL_KEY_PEM": pem,
        "EMBEDSTREAM_KAFKA__SASL_OAUTHBEARER_CLIENT_SECRET": talk.secret("sasl.oauthbearer.client.secret"),
        "EMBEDSTREAM_KAFKA__SASL_OAUTHBEARER_CONFIG": talk.secret("sasl.oauthbearer.config"),
        "EMBEDSTREAM_REGISTRY__PASSWORD_FILE": str(file),
    }
    return stream, environment


def test_a_running_deployment_tells_no_secret(secretive, talk):
    stream, environment = secretive
    stream.put({"id": 1}, envelope("c", row(1, "A sentence about otters.")))
    stream.put(b"no JSON", b"no JSON either")
    stream.flush()
    process = stream.start(environment=environment).ready()
    wait_for(lambda: process.chunks("embedded") == 1, "the row to be embedded")
    wait_for(lambda: process.metric("dead_letters_total") == 1, "the dead letter")
    for page in ("/metrics", "/readyz", "/healthz"):
        talk.heard(httpx.get(process.telemetry + page, trust_env=False).text)
    talk.heard(httpx.get(process.query, trust_env=False).text)
    talk.heard(str(process.search("otters")))
    commands = (
        ("status", "--json"),
        ("contract", "show"),
        ("contract", "show", "--json"),
        ("contract", "diff", "--json"),
        ("search", "otters", "--json"),
        ("inspect", "--json", "docs/1"),
        ("dump", "--vectors"),
        ("doctor", "--json"),
    )
    for command in commands:
        ended = stream.command(*command, environment=environment)
        assert ended.ended() in (0, 1), ended.said()
        talk.heard(ended.said())
    # A record in a registry's frame: the registry is away, which is logged again and again.
    stream.put(b'{"id": 2}', b"\0\0\0\0\7framed")
    stream.flush()
    wait_for(lambda: process.metric("outages_total") >= 1, "the registry to be missed")
    process.stop()
    talk.heard(process.said())
    assert "DEBUG adapters.kafka" in process.said(), "librdkafka was talkative"
    for file in (stream.folder / "index").rglob("*"):
        if file.is_file():
            talk.heard(file.read_bytes().decode("latin-1"))
    talk.assert_kept()


FAILURES = {
    "a wrong password": {"EMBEDSTREAM_KAFKA__SASL_PASSWORD": "planted-wrong-password"},
    "a password that does not open the key": {"EMBEDSTREAM_KAFKA__SSL_KEY_PASSWORD": "planted-wrong-lock"},
    "a key that is none": {"EMBEDSTREAM_KAFKA__SSL_KEY_PEM": "planted-no-key"},
    "a property that librdkafka does not know": {"EMBEDSTREAM_KAFKA__SASL_PASSWORT_SECRET": "planted-unknown"},
    "a secret that is a table": {"EMBEDSTREAM_REGISTRY__PASSWORD__PART": "planted-part"},
    "a user without a password": {"EMBEDSTREAM_REGISTRY__PASSWORD_FILE": "/no/such/planted-path"},
    "a broker that is away": {"EMBEDSTREAM_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"},
    "an address with a password": {"EMBEDSTREAM_INDEX__URL": "http://ada:planted-in-address@127.0.0.1:1"},
    "another address with a password": {"EMBEDSTREAM_REGISTRY__URL": "http://ada:planted-in-url@127.0.0.1:1"},
    "a server's key": {
        "EMBEDSTREAM_INDEX__URL": "http://127.0.0.1:1",
        "EMBEDSTREAM_INDEX__QDRANT__API_KEY": "planted-api-key",
    },
}
NO_SECRET = {"/no/such/planted-path", "127.0.0.1:1", "http://127.0.0.1:1"}


@pytest.mark.parametrize("changed", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize(
    "command", [("run", "all"), ("doctor", "--json"), ("status", "--json")], ids=lambda one: one[0]
)
def test_no_failure_tells_a_secret(secretive, talk, changed, command):
    stream, environment = secretive
    environment |= changed
    if "EMBEDSTREAM_REGISTRY__PASSWORD__PART" in changed:
        del environment["EMBEDSTREAM_REGISTRY__PASSWORD_FILE"]
    for name, value in changed.items():
        if value not in NO_SECRET:
            talk.secret(name, value.partition("ada:")[2].partition("@")[0] or value)
    process = stream.command(*command, environment={**environment, "EMBEDSTREAM_DEBUG": "1"})
    wait_for(lambda: not process.alive or len(process.said()) > 20_000, "the command to end, or to talk")
    process.kill()
    talk.heard(process.said() + " " * 1_000)
    talk.assert_kept()
