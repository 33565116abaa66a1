"""Every process's own pages, over real sockets on loopback."""

import logging
import socket
import threading

import httpx
import pytest
from starlette.applications import Starlette

from adapters.http_server import HttpServer
from adapters.metrics import Metrics
from adapters.telemetry_server import serve_telemetry
from stream.errors import Misuse


def answer(url: str) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=10) as client:
        return client.get(url)


def test_a_process_shows_its_figures_its_health_and_its_readiness():
    metrics = Metrics()
    metrics.chunks("embedded", 4)
    told = {"now": (False, "waiting for partitions")}
    with serve_telemetry(metrics, lambda: told["now"], port=0) as server:
        page = answer(f"{server.url}/metrics")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/plain; version=")
        assert 'embedstream_chunks_total{outcome="embedded"} 4.0' in page.text
        assert answer(f"{server.url}/healthz").status_code == 200
        assert answer(f"{server.url}/readyz").status_code == 503
        assert answer(f"{server.url}/readyz").json() == {"ready": False, "why": "waiting for partitions"}
        told["now"] = (True, "4 partitions")
        assert answer(f"{server.url}/readyz").json() == {"ready": True, "why": "4 partitions"}
        assert answer(f"{server.url}/readyz").status_code == 200


def test_a_readiness_that_fails_is_not_ready():
    def broken() -> tuple[bool, str]:
        raise RuntimeError("no index")

    with serve_telemetry(Metrics(), broken, port=0) as server:
        told = answer(f"{server.url}/readyz")
    assert told.status_code == 503
    assert told.json()["why"] == "readiness could not be told: no index"


def test_telemetry_listens_on_loopback_unless_told_otherwise():
    with serve_telemetry(Metrics(), lambda: (True, ""), port=0) as server:
        assert server.host == "127.0.0.1"
        assert server._socket.getsockname()[0] == "127.0.0.1"


def test_where_the_port_is_taken_the_next_free_one_is_used_and_logged(caplog):
    with (
        serve_telemetry(Metrics(), lambda: (True, ""), port=0) as first,
        caplog.at_level(logging.WARNING, "embedstream.http"),
        serve_telemetry(Metrics(), lambda: (True, ""), port=first.port) as second,
    ):
        assert first.port < second.port < first.port + 100
        assert (
            f"Port {first.port} on 127.0.0.1 is taken; telemetry listens on {second.port} instead." in caplog.messages
        )
        assert answer(f"{second.url}/healthz").status_code == 200


def test_a_service_whose_port_is_taken_does_not_start():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misuse, match=f"Port {port} on 127.0.0.1 is taken; choose another listen address"):
            HttpServer(Starlette(), "127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid"])
def test_an_address_that_is_not_this_machines_is_refused(host):
    with pytest.raises(Misuse, match=f"Cannot listen on {host}"):
        HttpServer(Starlette(), host, 0)


def test_closing_leaves_no_thread_and_frees_the_port():
    before = threading.active_count()
    server = serve_telemetry(Metrics(), lambda: (True, ""), port=0)
    with httpx.Client(trust_env=False) as kept_alive:
        assert kept_alive.get(f"{server.url}/healthz").status_code == 200
        server.close()
        server.close()
    assert not server.running
    assert threading.active_count() <= before
    with HttpServer(Starlette(), "127.0.0.1", server.port) as again:
        assert again.port == server.port
