"""The OpenAPI document and the service agree: schemathesis makes requests of the one and puts them to the other.

Every check that it has runs, on an open service and on one with keys, over real sockets. Requests are the same in
every run.
"""

from contextlib import ExitStack

import httpx
import pytest
import schemathesis
from hypothesis import settings
from query_world import World, served
from schemathesis.config import SchemathesisConfig

from serving.keys import ApiKey, digest_of
from serving.limits import Limits
from serving.openapi import Described, document

SECRET = "a-key-of-the-tests-alone"
TOO_MUCH = ["400", "401", "404", "405", "409", "413", "429"]
EXAMPLES = {"open": 20, "locked": 8}
LATE = ["2xx", "3xx", "4xx", "504"]
CHECKS = {
    # A client may ask for an answer in one millisecond, and is told that it was late.
    "not_a_server_error": {"expected-statuses": LATE},
    "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "504"]},
    "negative_data_rejection": {"expected-statuses": [*TOO_MUCH, "504"]},
}


WORLD = World()
CONTRACT = WORLD.build()
KEYS = {"open": (), "locked": (ApiKey("client", digest_of(SECRET)),)}
SERVICES = {
    # Texts as long as they may be have fewer tokens than the model reads.
    name: WORLD.service(max_text_chars=200, limits=Limits(max_texts=8), keys=keys)
    for name, keys in KEYS.items()
}


@pytest.fixture(scope="module")
def addresses():
    """Of an open service and of one with a key."""
    with ExitStack() as opened:
        yield {name: opened.enter_context(served(service))[0].url for name, service in SERVICES.items()}


def described(name):
    service = SERVICES[name]
    told = Described(service.rules, service.limits, bool(service.keys), CONTRACT.encoding.dimensions)
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "generation": {
                "deterministic": True,
                "max-examples": EXAMPLES[name],
                "database": "none",
            },
            "checks": CHECKS,
        }
    )
    schema = schemathesis.openapi.from_dict(document(told), config=config)

    @schema.hook
    def filter_case(_context, case):
        """Headers that nobody knows are nobody's business: HTTP lets every proxy add some."""
        return not any(name.startswith("x-schemathesis-unknown") for name in case.headers or ())

    return schema


open_service = described("open")
locked_service = described("locked")


@open_service.parametrize()
@settings(derandomize=True, deadline=None)
def test_an_open_service_does_what_its_document_says(case, addresses):
    case.call_and_validate(base_url=addresses["open"])


@locked_service.parametrize()
@settings(derandomize=True, deadline=None)
def test_a_service_with_keys_does_what_its_document_says(case, addresses):
    case.call_and_validate(base_url=addresses["locked"], headers={"Authorization": f"Bearer {SECRET}"})


@pytest.mark.parametrize("name", SERVICES)
def test_the_document_is_the_one_that_is_served(addresses, name):
    reply = httpx.get(
        f"{addresses[name]}/v1/openapi.json", headers={"Authorization": f"Bearer {SECRET}"}, trust_env=False
    )
    assert reply.json() == described(name).raw_schema


def test_the_document_names_every_route_that_there_is():
    routes = {route.path.replace(":path", "") for route in SERVICES["open"].app().routes}
    assert set(open_service.raw_schema["paths"]) == routes
