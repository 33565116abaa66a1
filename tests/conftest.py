"""Real servers for the tests, started once a session, and what every tier needs.

``kafka`` is a broker's ``host:port``: ``EMBEDSTREAM_TEST_KAFKA`` if it is set, else the native stack in a folder of
its own. ``cdc_stack`` is the whole stack and shares that broker. Where the servers cannot be had, a test that needs
them is skipped on a laptop and fails under ``CI``: there, skipped would read as passed.
"""

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# No test reaches a model hub: set before anything imports one.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# As in production: torch's threads sleep while they wait, on cores that the broker wants too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Servers and other tests share the machine: how long an example takes says nothing about it. Under CI Hypothesis has
# a profile of its own that says the same, and a profile asked for on the command line is left alone.
if settings.get_current_profile_name() == "default":
    settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs real servers, so that ``-m "not kafka"`` is enough to leave it out."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "cdc_stack" in fixtures:
            item.add_marker(pytest.mark.cdc)
        if "cdc_stack" in fixtures or "kafka" in fixtures:
            item.add_marker(pytest.mark.kafka)


def _unavailable(sentence: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def native_stack() -> Iterator[Any]:
    """The stack that this session's tests share; nothing runs yet."""
    from compose.native.stack import Stack

    # Not pytest's own temporary folders: PostgreSQL runs as another user than root and must get in.
    folder = Path(tempfile.mkdtemp(prefix="embedstream-tests-"))
    folder.chmod(0o755)
    stack = Stack(folder / "stack")
    try:
        yield stack
    finally:
        stack.remove()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> str:
    """``host:port`` of a real broker, the same for the whole session. Topics are the test's to create."""
    from stream.errors import Fatal

    given = os.environ.get("EMBEDSTREAM_TEST_KAFKA")
    if given:
        return given
    try:
        address = request.getfixturevalue("native_stack").up(kafka=True).kafka
    except Fatal as error:
        _unavailable(str(error))
    assert address is not None
    return address


@pytest.fixture(scope="session")
def cdc_stack(native_stack: Any) -> Any:
    """The addresses of the whole stack: ``kafka`` and ``connect`` as ``host:port``, ``postgres`` as a URI."""
    from stream.errors import Fatal

    try:
        return native_stack.up(cdc=True)
    except Fatal as error:
        _unavailable(str(error))


@pytest.fixture
def unique_name(request: pytest.FixtureRequest) -> Callable[..., str]:
    """A name for a topic, group or index that no other test uses: ``unique_name("cdc")``."""
    test = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[:60]
    return lambda prefix="test": f"{prefix}-{test}-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    """``wait_until(condition, deadline_s=30, what="…")``: the first true answer of ``condition``, or a failure."""

    def wait(condition: Callable[[], Any], deadline_s: float = 30.0, what: str = "the condition") -> Any:
        give_up = time.monotonic() + deadline_s
        while True:
            answer = condition()
            if answer:
                return answer
            if time.monotonic() > give_up:
                pytest.fail(f"{what} did not become true in {deadline_s:g} s (last answer: {answer!r})")
            time.sleep(0.02)

    return wait
