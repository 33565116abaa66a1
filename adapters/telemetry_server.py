"""What every process shows to the one who runs it: ``/metrics``, ``/healthz`` and ``/readyz``.

*Healthy* means that the process answers. *Ready* is asked of the process's owner at each request, never remembered:
a callable gives (ready, why), and why is one sentence for a person. A readiness that fails to be told is not ready.

The address is loopback unless the configuration says otherwise. A port that is taken (a second process on one
machine) is no reason not to start: the next free one is used and logged.
"""

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from adapters.http_server import HttpServer
from adapters.metrics import CONTENT_TYPE, Metrics

Readiness = Callable[[], tuple[bool, str]]


def telemetry_routes(
    metrics: Metrics, readiness: Readiness, collections: Callable[[], Sequence[str]] | None = None
) -> list[Route]:
    """The three routes; they run in worker threads, so ``readiness`` may ask an index.

    ``collections`` are those that a query service could search at once, whether it is ready or not: before an index's
    name is moved, whoever moves it asks for them.
    """

    def metrics_page(_request: Request) -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    def health(_request: Request) -> Response:
        return PlainTextResponse("healthy\n")

    def ready(_request: Request) -> Response:
        try:
            is_ready, why = readiness()
        except Exception as error:  # noqa: BLE001 - whatever it is, the process is not ready, and says why
            is_ready, why = False, f"readiness could not be told: {error}"
        told: dict[str, object] = {"ready": is_ready, "why": why}
        if collections is not None:
            told["collections"] = list(collections())
        return JSONResponse(told, status_code=200 if is_ready else 503)

    return [Route("/metrics", metrics_page), Route("/healthz", health), Route("/readyz", ready)]


def serve_telemetry(metrics: Metrics, readiness: Readiness, host: str = "127.0.0.1", port: int = 9464) -> HttpServer:
    """Starts the server; ``close`` it at the end. Raises Misuse where the address cannot be listened on."""
    app = Starlette(routes=telemetry_routes(metrics, readiness))
    return HttpServer(app, host, port, name="telemetry", next_free=True)
