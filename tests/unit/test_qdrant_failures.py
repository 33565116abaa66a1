"""What an error of a Qdrant server means, for REST, gRPC and the client itself."""

import ssl

import grpc
import httpx
import pytest
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from adapters.qdrant.failures import Exists, Missing, TooLarge, server, translated
from stream.errors import Fatal, Misuse, Outage, Poison


class RpcError(grpc.RpcError, grpc.Call):
    """As a channel raises it."""

    def __init__(self, code, details):
        super().__init__()
        self._code, self._details = code, details

    def code(self):
        return self._code

    def details(self):
        return self._details

    def initial_metadata(self): ...
    def trailing_metadata(self): ...
    def is_active(self): ...
    def time_remaining(self): ...
    def cancel(self): ...
    def add_callback(self, callback): ...


def status(code, sentence="no"):
    content = b'{"status":{"error":"%s"},"time":0}' % sentence.encode()
    return UnexpectedResponse(code, "Reason", content, httpx.Headers())


def told(error, *, points=True):
    return translated(error, "http://q:6333", "writing", points=points)


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504, 507])
def test_a_status_that_passes_is_an_outage(code):
    assert type(told(status(code))) is Outage


@pytest.mark.parametrize(
    "code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "ABORTED", "FAILED_PRECONDITION"]
)
def test_a_code_that_passes_is_an_outage(code):
    assert type(told(RpcError(grpc.StatusCode[code], "later"))) is Outage


def test_what_the_server_asks_for_is_how_long_an_outage_is_waited_out():
    assert told(ResourceExhaustedResponse("too many", "7")).retry_after_s == 7.0
    assert told(status(429)).retry_after_s is None
    with pytest.raises(QdrantException) as unreadable:
        ResourceExhaustedResponse("too many", "Wed, 21 Oct 2026 07:28:00 GMT")
    assert type(told(unreadable.value)) is Outage


@pytest.mark.parametrize(
    "error",
    [
        status(400, "Format error in JSON body: invalid type: string, expected f32"),
        status(422, "Validation error in JSON body: [points[0].id: invalid]"),
        RpcError(grpc.StatusCode.INVALID_ARGUMENT, "Unable to parse UUID: x"),
    ],
)
def test_what_is_refused_about_points_is_poison_and_about_anything_else_fatal(error):
    assert type(told(error)) is Poison
    assert type(told(error, points=False)) is Fatal


@pytest.mark.parametrize(
    "sentence",
    [
        "Wrong input: Vector dimension error: expected dim: 4, got 3",
        "Wrong input: Not existing vector name error: mini-abc",
        'Bad request: Index required but not found for "version" of one of the following types: [integer, float].',
        "Bad request: Max points count limit of 10 reached!",
        "Bad request: Max payload storage size limit of 10 bytes reached!",
        "<html><body>400 Bad Request</body></html>",
        "",
    ],
)
def test_a_refusal_that_is_about_the_collection_is_fatal(sentence):
    assert type(told(status(400, sentence))) is Fatal


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (status(404, "Not found: Collection `docs` doesn't exist!"), Missing),
        (status(404, "404 page not found"), Missing),
        (status(404, "<html>default backend</html>"), Outage),
        (RpcError(grpc.StatusCode.NOT_FOUND, "Alias x does not exists!"), Missing),
        (status(409), Exists),
        (status(400, "Collection `docs` already exists!"), Exists),
        (RpcError(grpc.StatusCode.ALREADY_EXISTS, ""), Exists),
        (status(413), TooLarge),
        (status(400, "JSON payload is larger than allowed (limit: 33554432 bytes)"), TooLarge),
        (RpcError(grpc.StatusCode.OUT_OF_RANGE, "decoded message length too large"), TooLarge),
        (RpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)"), TooLarge),
        (ValueError("Collection docs not found"), Missing),
    ],
)
def test_what_a_caller_may_expect_is_told_apart(error, kind):
    assert type(told(error)) is kind


@pytest.mark.parametrize(
    "error",
    [
        status(401),
        status(403),
        RpcError(grpc.StatusCode.UNAUTHENTICATED, ""),
        RpcError(grpc.StatusCode.PERMISSION_DENIED, ""),
    ],
)
def test_a_refused_key_is_fatal_and_the_sentence_names_the_setting(error):
    refused = told(error)
    assert type(refused) is Fatal
    assert "index.qdrant.api_key" in str(refused)


def test_a_storage_that_is_locked_for_a_while_is_an_outage_though_it_says_forbidden():
    assert type(told(status(403, "Storage locked: low disk space"))) is Outage


@pytest.mark.parametrize(
    "source", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut")]
)
def test_no_answer_is_an_outage(source):
    assert type(told(ResponseHandlingException(source))) is Outage
    assert type(told(source)) is Outage


def test_a_certificate_that_nobody_trusts_is_fatal_and_names_the_setting():
    error = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.__cause__ = ssl.SSLCertVerificationError(1, "certificate verify failed")
    for found in (told(ResponseHandlingException(error)), told(RpcError(grpc.StatusCode.UNAVAILABLE, str(error)))):
        assert type(found) is Fatal
        assert "index.qdrant.ca_location" in str(found)


def test_an_answer_that_is_no_qdrants_is_fatal():
    assert "does not speak as Qdrant" in str(told(ResponseHandlingException(ValueError("not json"))))
    assert type(told(status(418))) is Fatal


def test_an_error_of_this_project_passes_and_anything_else_is_translated_around_a_call():
    with pytest.raises(Misuse), server("q", "writing"):
        raise Misuse("mine")
    with (
        pytest.raises(Outage, match=r"^Qdrant at http://q:6333 is away while reading: no \[503\]$"),
        server("http://q:6333", "reading"),
    ):
        raise status(503)
    with pytest.raises(ZeroDivisionError), server("q", "writing"):
        raise ZeroDivisionError


def test_a_long_answer_is_shortened():
    assert len(str(told(status(500, "x" * 5000)))) < 500
