"""Limits of the query service over real sockets: one request too many is told so, and nothing waits for ever."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import httpx
import pytest
from held_encoder import PATIENCE_S, HeldEncoder, wait_for
from query_world import World, served

from serving.keys import ApiKey, digest_of
from serving.limits import Limits

SECRETS = {name: f"secret-of-the-{name}-key" for name in ("narrow", "wide")}
NARROW = ApiKey("narrow", digest_of(SECRETS["narrow"]), concurrency=1)
WIDE = ApiKey("wide", digest_of(SECRETS["wide"]))
HOLD = {"query": "hold this"}
AT_ONCE = {"query": "topic"}
SOON = {"X-Request-Timeout-Ms": "1000"}
PATIENT = Limits(deadline_s=PATIENCE_S)


class Held:
    """A service whose encoder the test holds, and requests that run beside it."""

    def __init__(self, opened, limits, keys=()):
        self.encoder = HeldEncoder()
        self.world = World(self.encoder)
        self.world.build()
        self.server, self.client = opened.enter_context(served(self.world.service(limits=limits, keys=keys)))
        self.beside = opened.enter_context(ThreadPoolExecutor(4))
        opened.callback(self.encoder.released.set)

    def ask(self, body, key=None, **headers):
        if key is not None:
            headers["Authorization"] = f"Bearer {SECRETS[key]}"
        return self.client.post("/v1/search", json=body, headers=headers)

    def hold(self, key=None, **headers):
        """A request that is in work until the encoder is released."""
        request = self.beside.submit(self.ask, HOLD, key, **headers)
        assert self.encoder.begun.wait(PATIENCE_S)
        return request


@pytest.fixture
def held():
    with ExitStack() as opened:
        yield lambda limits=PATIENT, keys=(): Held(opened, limits, keys)


def test_one_request_too_many_is_told_to_come_back_and_the_others_are_answered(held):
    service = held(replace(PATIENT, concurrency=1))
    first = service.hold()
    refused = service.ask(AT_ONCE)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"]["code"] == "overloaded"
    assert service.client.get("/readyz").status_code == 200
    service.encoder.released.set()
    assert first.result().status_code == 200
    assert service.ask(AT_ONCE).status_code == 200


def test_a_key_with_all_its_requests_in_work_is_told_so_and_others_are_not(held):
    service = held(replace(PATIENT, concurrency=2), (NARROW, WIDE))
    first = service.hold("narrow")
    refused = service.client.get("/v1/models", headers={"Authorization": f"Bearer {SECRETS['narrow']}"})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    # A place of the service is left, and models need no encoder.
    assert service.client.get("/v1/models", headers={"Authorization": f"Bearer {SECRETS['wide']}"}).status_code == 200
    service.encoder.released.set()
    assert first.result().status_code == 200
    assert service.ask(AT_ONCE, "narrow").status_code == 200


def test_a_request_is_answered_at_its_deadline_and_its_place_is_free_when_its_work_has_ended(held):
    service = held(replace(PATIENT, concurrency=1))
    late = service.hold(**SOON)
    assert (late.result().status_code, late.result().json()["error"]["code"]) == (504, "deadline")
    assert service.ask(AT_ONCE).status_code == 503
    service.encoder.released.set()
    wait_for(lambda: service.ask(AT_ONCE).status_code == 200, "the place")
    page = service.world.metrics.render().decode()
    assert 'embedstream_searches_total{outcome="late"} 1.0' in page


def test_what_waits_for_a_change_ends_with_its_request(held):
    """Not when its own patience does, which is longer than this test's."""
    service = held(replace(PATIENT, concurrency=1))
    wait = {**AT_ONCE, "wait_for": {"doc_id": "docs/1", "min_version": 2, "timeout_ms": 60_000}}
    late = service.ask(wait, **{"X-Request-Timeout-Ms": "10"})
    assert late.status_code == 504
    wait_for(lambda: service.ask(AT_ONCE).status_code == 200, "the place")


def test_a_wait_is_over_when_its_own_time_is(held):
    wait = {**AT_ONCE, "wait_for": {"doc_id": "docs/1", "min_version": 2, "timeout_ms": 10}}
    refused = held().ask(wait)
    assert (refused.status_code, refused.json()["error"]["code"]) == (504, "not_applied")


def test_a_client_may_ask_for_its_answer_sooner_but_not_later(held):
    service = held(Limits(deadline_s=0.2))
    assert service.ask(HOLD, **{"X-Request-Timeout-Ms": "10"}).status_code == 504
    assert service.ask(HOLD, **{"X-Request-Timeout-Ms": "999999"}).status_code == 504


@pytest.mark.parametrize("wish", ["", "0", "-1", "1.5", "soon", "1e3", "9" * 10, "\u00b2".encode("latin-1")])
def test_a_deadline_that_is_no_number_is_refused(held, wish):
    refused = held().ask(AT_ONCE, **{"X-Request-Timeout-Ms": wish})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "X-Request-Timeout-Ms")


def test_embeddings_stop_at_their_deadline_between_two_calls_of_the_encoder(held):
    service = held(replace(PATIENT, concurrency=1))
    texts = ["hold"] * 17  # one more than a call takes
    late = service.beside.submit(
        service.client.post, "/v1/embeddings", json={"model": "docs", "input": texts}, headers=SOON
    )
    assert service.encoder.begun.wait(PATIENCE_S)
    assert late.result().status_code == 504
    service.encoder.begun.clear()
    service.encoder.released.set()
    wait_for(lambda: service.ask(AT_ONCE).status_code == 200, "the work to end")
    assert not service.encoder.begun.is_set()


def test_a_body_that_does_not_come_ends_at_the_deadline_and_takes_no_place(held):
    service = held(replace(PATIENT, concurrency=1))
    with socket.create_connection((service.server.host, service.server.port), timeout=PATIENCE_S) as slow:
        slow.sendall(
            b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nX-Request-Timeout-Ms: 1000\r\n\r\n{"
        )
        assert service.ask(AT_ONCE).status_code == 200
        assert slow.recv(100).startswith(b"HTTP/1.1 504")


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_failure(held, caplog):
    service = held(Limits(deadline_s=5))
    with socket.create_connection((service.server.host, service.server.port), timeout=PATIENCE_S) as leaving:
        leaving.sendall(b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    counted = b'searches_total{outcome="bad_request"} 1.0'
    wait_for(lambda: counted in service.world.metrics.render(), "the end of the request")
    assert "failed" not in caplog.text


def test_a_body_above_the_limit_is_not_read(held):
    service = held(replace(PATIENT, max_body_bytes=1_000))
    for path in ("/v1/search", "/v1/embeddings"):
        refused = service.client.post(path, content=b"x" * 1_001)
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")
        assert service.client.post(path, content=b"x" * 1_000).status_code == 400


def test_requests_that_were_refused_leave_no_place_taken(held):
    service = held(replace(PATIENT, concurrency=1))
    for _ in range(3):
        assert service.client.post("/v1/search", content=b"no json").status_code == 400
        assert service.ask(AT_ONCE, **{"X-Embedding-Contract": "another"}).status_code == 409
        assert service.client.get("/v1/models/another").status_code == 404
    assert service.ask(AT_ONCE).status_code == 200


def test_an_answer_under_load_names_its_own_contract_and_collection(held):
    service = held(replace(PATIENT, concurrency=8))

    def ask(number):
        with httpx.Client(base_url=service.server.url, trust_env=False, timeout=PATIENCE_S) as client:
            return client.post("/v1/embeddings", json={"model": "docs", "input": f"text {number}"})

    replies = list(service.beside.map(ask, range(40)))
    handle = service.world.service().live.current()
    assert {reply.status_code for reply in replies} == {200}
    assert {reply.headers["x-embedding-collection"] for reply in replies} == {handle.collection}
    assert {reply.json()["contract"] for reply in replies} == {handle.contract.fingerprint}
