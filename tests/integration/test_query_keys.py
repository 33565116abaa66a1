"""API keys of the query service over real sockets: who may ask, and what a bound key can see."""

import logging
from contextlib import ExitStack

import pytest
from query_world import TEXTS, World, served

from serving.keys import ApiKey, digest_of
from serving.pulse import Behind, Signs, Throughput, UpgradeSide, Upgrading

SECRETS = {name: f"secret-of-the-{name}-key" for name in ("whole", "acme", "both", "kitchen", "recent", "nobody")}
BOUND = {
    "acme": {"tenant": ("acme",)},
    "both": {"tenant": ("acme", "other")},
    "kitchen": {"tenant": ("acme", "other"), "section": ("kitchen", "cellar")},
    "recent": {"year": (2023, 2024)},
    "nobody": {"colour": ("red",)},
}
KEYS = tuple(ApiKey(name, digest_of(secret), BOUND.get(name, {})) for name, secret in SECRETS.items())
EVERY_PLACE = (
    ("POST", "/v1/search"),
    ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/docs"),
    ("GET", "/v1/index"),
    ("GET", "/v1/openapi.json"),
    ("GET", "/v1/search"),
    ("GET", "/v1"),
    ("GET", "/nowhere"),
)


class Busy:
    """A stream that tells of everybody's documents."""

    def now(self):
        side = UpgradeSide("docs__a__g1", "a", "model", 3)
        return Signs(Behind(1, 2), Throughput(3.0, 4.0), Upgrading("encoding", "replaying", 0.5, side, side))


@pytest.fixture(scope="module")
def client():
    with ExitStack() as opened:
        world = World()
        world.build()
        yield opened.enter_context(served(world.service(keys=KEYS, pulse=Busy())))[1]


def bearer(name):
    return {"Authorization": f"Bearer {SECRETS[name]}"}


def found(client, name, **body):
    reply = client.post("/v1/search", json={"query": "delete a topic", **body}, headers=bearer(name))
    assert reply.status_code == 200
    return {hit["doc_id"] for hit in reply.json()["hits"]}


@pytest.mark.parametrize(("method", "path"), EVERY_PLACE)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {SECRETS['whole']}"},
        {"Authorization": SECRETS["whole"]},
        {"api-key": "wrong"},
        {"api-key": ""},
        {"Authorization": "Bearer wrong", "api-key": SECRETS["whole"]},
        {"Authorization": "Bearer caf\u00e9".encode("latin-1")},
    ],
    ids=str,
)
def test_without_a_known_key_every_place_is_closed(client, method, path, headers):
    reply = client.request(method, path, headers=headers)
    assert reply.status_code == 401
    assert reply.json()["error"]["code"] == "invalid_api_key"
    assert reply.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics"])
def test_the_page_and_what_an_operator_asks_stay_open(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [bearer("whole"), {"authorization": f"bearer   {SECRETS['whole']}"}, {"api-key": SECRETS["whole"]}],
    ids=str,
)
def test_a_key_may_be_shown_in_either_header(client, headers):
    assert client.get("/v1/models", headers=headers).status_code == 200


def test_a_key_that_is_not_bound_sees_everything(client):
    assert found(client, "whole") == set(TEXTS)


def test_a_bound_key_sees_the_documents_that_have_its_values_and_no_others(client):
    assert found(client, "acme") == {"docs/1", "docs/2"}
    assert found(client, "both") == set(TEXTS)
    assert found(client, "kitchen") == {"docs/2"}
    assert found(client, "recent") == {"docs/3"}


def test_a_document_without_the_field_is_invisible_to_a_key_bound_to_it(client):
    assert found(client, "nobody") == set()


def test_no_filter_widens_what_a_bound_key_sees(client):
    assert found(client, "acme", tenant="other") == set()
    assert found(client, "acme", tenant="acme") == {"docs/1", "docs/2"}
    assert found(client, "acme", filter={"must": {"key": "section", "match": {"value": "operations"}}}) == {"docs/1"}
    assert found(client, "kitchen", filter={"must": {"key": "section", "match": {"value": "operations"}}}) == set()


def test_neither_several_texts_nor_groups_widen_what_a_bound_key_sees(client):
    def groups(**body):
        reply = client.post("/v1/search", json={"group_by": "document", **body}, headers=bearer("acme")).json()
        return [{group["doc_id"] for group in one["groups"]} for one in reply.get("results", [reply])]

    assert groups(query="offset of a partition") == [{"docs/1", "docs/2"}]
    assert groups(queries=["offset of a partition", "plums"]) == [{"docs/1", "docs/2"}] * 2


def waited(client, name, document, version):
    wait_for = {"doc_id": document, "min_version": version, "timeout_ms": 0}
    return client.post("/v1/search", json={"query": "topic", "wait_for": wait_for}, headers=bearer(name))


def test_a_bound_key_waits_for_its_own_documents_and_is_told_no_version(client):
    assert waited(client, "acme", "docs/2", 2).status_code == 200
    bound, whole = waited(client, "acme", "docs/2", 3), waited(client, "whole", "docs/2", 3)
    assert (bound.status_code, whole.status_code) == (504, 504)
    assert bound.json()["error"] == {
        "message": "What wait_for names is not applied yet.",
        "type": "server_error",
        "param": "wait_for",
        "code": "not_applied",
    }
    assert "reached" not in bound.json()
    assert whole.json()["reached"] == 2


@pytest.mark.parametrize("version", [0, 2, 3, 4])
def test_a_bound_key_cannot_tell_by_waiting_whether_somebody_elses_document_is_there(client, version):
    assert waited(client, "whole", "docs/3", version).status_code == (504 if version > 3 else 200)
    others, nobodys = (waited(client, "acme", document, version) for document in ("docs/3", "docs/99"))
    assert (others.status_code, others.content) == (nobodys.status_code, nobodys.content)
    assert others.status_code == 504


def test_a_bound_key_finds_as_many_of_its_own_as_it_asks_for(client):
    """The best hit of all is another tenant's: it must not take a place."""
    text = TEXTS["docs/3"][1]
    assert found(client, "whole", query=text, limit=1) == {"docs/3"}
    assert len(found(client, "acme", query=text, limit=1)) == 1
    assert len(found(client, "both", query=text, limit=2)) == 2


def test_a_bound_key_is_told_nothing_of_what_others_have(client):
    whole, bound = (client.get("/v1/index", headers=bearer(name)).json() for name in ("whole", "acme"))
    assert whole["points"] == {"live": 3, "removed": 0, "deleted": 0}
    assert (whole["lag"]["embedder"], whole["throughput"]["applied_per_s"], whole["upgrade"]["done"]) == (2, 4, 0.5)
    kept_back = ("points", "freshness", "lag", "throughput", "upgrade")
    assert [bound[name] for name in kept_back] == [None] * 5
    assert bound["contract"] == whole["contract"]


def test_no_secret_is_ever_said(client, caplog):
    """Not a right one, not a wrong one, however talkative the process is."""
    wrong = "planted-key-that-is-not-known"
    with caplog.at_level(logging.DEBUG):
        replies = [
            client.request(method, path, headers=headers)
            for method, path in (*EVERY_PLACE, ("GET", "/metrics"), ("GET", "/readyz"))
            for headers in (bearer("acme"), {"api-key": SECRETS["acme"]}, {"api-key": wrong})
        ]
    said = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    said += [f"{reply.headers} {reply.text}" for reply in replies]
    for secret in (SECRETS["acme"], wrong, digest_of(SECRETS["acme"]).hex()):
        assert not [text for text in said if secret in text]


def test_a_service_without_keys_is_open_and_reads_none():
    with ExitStack() as opened:
        world = World()
        world.build()
        client = opened.enter_context(served(world.service()))[1]
        assert client.get("/v1/models").status_code == 200
        assert client.get("/v1/models", headers=bearer("acme")).status_code == 200
