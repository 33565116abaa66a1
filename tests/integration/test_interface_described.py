"""The OpenAPI document and the service agree: schemathesis makes requests of the one and puts them to the other.

Every check that it has runs, on an open service and on one with keys, over real sockets. Requests are the same in
every run.
"""

from contextlib import ExitStack
from dataclasses import replace

import httpx
import pytest
import schemathesis
from hypothesis import settings
from query_world import World, served
from schemathesis.config import SchemathesisConfig

from serving.keys import ApiKey, digest_of
from serving.limits import Limits
from serving.openapi import Described, document
from serving.request import RequestRules

SECRET = "a-key-of-the-tests-alone"
TOO_MUCH = ["400", "401", "404", "405", "409", "413", "429"]
EXAMPLES = {"open": 30, "locked": 8}
LATE = ["2xx", "3xx", "4xx", "504"]
CHECKS = {
    # A client may ask for an answer in one millisecond, and is told that it was late.
    "not_a_server_error": {"expected-statuses": LATE},
    "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "504"]},
    "negative_data_rejection": {"expected-statuses": [*TOO_MUCH, "504"]},
}


class AllApplied:
    """Every source is known, and applied."""

    def look(self, _change):
        return lambda: True


WORLD = World()
CONTRACT = WORLD.build()
RULES = RequestRules(
    # Texts as long as they may be have fewer tokens than the model reads.
    max_text_chars=200,
    max_queries=4,
    max_limit=20,
    # What is waited for rarely comes.
    wait_ms=2,
    max_wait_ms=5,
    fields={"section": "keyword", "year": "integer", "draft": "boolean", "rank": "float", "updated_at": "datetime"},
)
KEYS = {"open": (), "locked": (ApiKey("client", digest_of(SECRET)),)}
SERVICES = {
    name: replace(
        WORLD.service(limits=Limits(max_texts=8), keys=keys),
        rules=RULES,
        applied={WORLD.live_collection: AllApplied()},
    )
    for name, keys in KEYS.items()
}


@pytest.fixture(scope="module")
def addresses():
    """Of an open service and of one with a key."""
    with ExitStack() as opened:
        yield {name: opened.enter_context(served(service))[0].url for name, service in SERVICES.items()}


def asks_for_more_than_there_are(body):
    """Whether some ``min_should`` counts further than its conditions do."""
    if isinstance(body, list):
        return any(map(asks_for_more_than_there_are, body))
    if not isinstance(body, dict):
        return False
    conditions, count = body.get("conditions"), body.get("min_count")
    too_many = isinstance(conditions, list) and isinstance(count, int | float) and count > len(conditions)
    return too_many or asks_for_more_than_there_are(list(body.values()))


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
            # This phase walks every way through a schema, and a filter within filters has more than can be walked.
            "operations": [{"include-operation-id": "search", "phases": {"coverage": {"enabled": False}}}],
        }
    )
    schema = schemathesis.openapi.from_dict(document(told), config=config)

    @schema.hook
    def filter_case(_context, case):
        """Headers that nobody knows are nobody's business: HTTP lets every proxy add some. A count above that of the
        conditions is refused, and JSON Schema has no words for it.
        """
        unknown = any(name.startswith("x-schemathesis-unknown") for name in case.headers or ())
        return not unknown and not asks_for_more_than_there_are(case.body)

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
