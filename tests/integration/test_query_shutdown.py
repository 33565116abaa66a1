"""The end of the query service: no request that was taken fails, and whoever comes later is refused at the door."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from held_encoder import PATIENCE_S, HeldEncoder, wait_for
from query_world import World

from adapters.http_server import HttpServer
from serving.limits import Limits
from serving.server import serve_queries

LONG_S = 60.0


class Ending:
    """A service that is closed beside the test; its idle connections are waited for as long as it takes."""

    def __init__(self, opened, farewell_s=LONG_S, **limits):
        self.encoder = HeldEncoder()
        world = World(self.encoder)
        world.build()
        service = world.service(limits=Limits(**limits))
        self.server = HttpServer(service.app(), "127.0.0.1", 0, name="query", drain_s=LONG_S, farewell_s=farewell_s)
        self.beside = opened.enter_context(ThreadPoolExecutor(8))
        opened.callback(self.server.close)
        opened.callback(self.encoder.released.set)
        self._opened = opened

    def client(self):
        return self._opened.enter_context(httpx.Client(base_url=self.server.url, trust_env=False, timeout=PATIENCE_S))

    def close(self):
        """Begins to close; returns when the address is given up."""
        closing = self.beside.submit(self.server.close)
        wait_for(self.refused, "the address to be given up")
        return closing

    def refused(self):
        try:
            with httpx.Client(base_url=self.server.url, trust_env=False) as client:
                client.get("/healthz")
        except httpx.ConnectError:
            return True
        return False


@pytest.fixture
def ending():
    with ExitStack() as opened:
        yield lambda **more: Ending(opened, **more)


def test_a_request_in_flight_is_answered_and_a_new_one_finds_nobody(ending):
    service = ending(farewell_s=0.0, deadline_s=LONG_S)
    asked = service.beside.submit(service.client().post, "/v1/search", json={"query": "hold"})
    assert service.encoder.begun.wait(PATIENCE_S)
    closing = service.close()
    assert not asked.done()
    service.encoder.released.set()
    assert asked.result().status_code == 200
    closing.result()
    assert not service.server.running
    assert service.refused()


def test_an_idle_connection_may_still_bring_the_request_that_was_on_its_way(ending):
    service = ending()
    client = service.client()
    assert client.get("/healthz").headers.get("connection") is None
    closing = service.close()
    last = client.post("/v1/search", json={"query": "topic"})
    assert (last.status_code, last.headers["connection"]) == (200, "close")
    with pytest.raises(httpx.ConnectError):
        client.get("/healthz")
    closing.result()  # at once: no connection is left to wait for


def test_clients_that_never_pause_see_answers_and_then_a_refusal_and_nothing_between(ending):
    service = ending()
    started = threading.Barrier(5)

    def ask(client):
        answered = 0
        while True:
            try:
                reply = client.post("/v1/search", json={"query": f"topic {answered}"})
            except httpx.ConnectError:
                return answered
            assert reply.status_code == 200
            answered += 1
            if answered == 1:
                started.wait(PATIENCE_S)

    asking = [service.beside.submit(ask, service.client()) for _ in range(4)]
    started.wait(PATIENCE_S)
    service.server.close()
    assert all(one.result() >= 1 for one in asking)


@pytest.mark.parametrize("deadline_s", [0.5, 10.0, 600.0])
def test_the_end_is_waited_for_longer_than_any_request_may_take(deadline_s):
    world = World()
    world.build()
    with serve_queries(world.service(limits=Limits(deadline_s=deadline_s)), port=0) as server:
        assert server._server.config.timeout_graceful_shutdown > deadline_s


def test_a_request_whose_work_never_ends_is_answered_at_its_deadline_and_the_service_ends(ending):
    service = ending(farewell_s=0.0, deadline_s=3.0)
    asked = service.beside.submit(service.client().post, "/v1/search", json={"query": "hold"})
    assert service.encoder.begun.wait(PATIENCE_S)
    closing = service.beside.submit(service.server.close)
    assert asked.result().status_code == 504
    closing.result()
    assert not service.encoder.released.is_set()
