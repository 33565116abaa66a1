"""``embedstream search`` against a running query service: its key, its contract, and the service's own sentence."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from query_world import World, served

from compose.address import Address
from compose.commands.search import ask
from compose.key_settings import KeySettings
from compose.sections import QuerySettings
from serving.keys import ApiKey, digest_of
from stream.errors import Fatal

SECRET = "a-key-of-the-tests-alone"


@dataclass
class Deployed:
    """As much of a deployment as asking a service takes."""

    settings: Any
    contract: Any


@dataclass
class Settings:
    query: QuerySettings


@pytest.fixture
def deployed():
    """A service with a key, and the deployment of somebody who has these keys and this contract."""
    with ExitStack() as opened:

        def _deployed(*keys, contract=None):
            world = World()
            made = world.build()
            service = world.service(keys=(ApiKey("client", digest_of(SECRET)),))
            server, _ = opened.enter_context(served(service))
            query = QuerySettings(listen=Address(server.host, server.port), key=keys)
            return Deployed(Settings(query), contract or made)

        yield _deployed


def test_the_command_shows_its_key_and_gets_its_hits(deployed):
    answer = ask(deployed(KeySettings(name="client", secret=SECRET)), "delete a topic", 1)
    assert [hit["doc_id"] for hit in answer["hits"]] == ["docs/1"]


def test_what_the_service_refuses_is_told_in_its_own_sentence(deployed):
    with pytest.raises(Fatal, match=r"^An API key is needed; send Authorization: Bearer and the key\.$"):
        ask(deployed(), "delete a topic", 1)
    with pytest.raises(Fatal, match="is not known"):
        ask(deployed(KeySettings(name="client", secret="another-secret-key")), "delete a topic", 1)


def test_another_contract_is_told_with_both(deployed):
    @dataclass
    class Other:
        fingerprint: str = "another"

    with pytest.raises(Fatal, match=r"The request is for contract another and index docs is under \w+\."):
        ask(deployed(KeySettings(name="client", secret=SECRET), contract=Other()), "delete a topic", 1)
