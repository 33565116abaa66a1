"""This project's own image: its roles in containers, shut in as compose.yaml shuts them in, on the broker in one."""

import json
import os
import sys

import pytest
from cdc_events import assert_holds, envelope, row, sentences
from containers import points_of, services
from deployed_stream import Stream

from stream.errors import Fatal

pytestmark = pytest.mark.kafka


@pytest.fixture
def stream(container_stack):
    """A deployment on the broker in a container; ``inside`` is its configuration as containers see it."""
    stream = Stream(container_stack.kafka())
    stream.folder.chmod(0o755)
    stream.create()
    yield stream
    stream.close()


@pytest.fixture
def inside(stream):
    config = stream.config(
        kafka={"bootstrap.servers": "kafka:19092"},
        index={"url": "edge:data/index"},
        telemetry={"listen": "0.0.0.0:9464"},
    )
    config.chmod(0o644)
    return config


@pytest.fixture
def role(container_stack, inside):
    """``role("chunker")``: that service of compose.yaml, with this test's configuration."""
    made = []

    def make(name):
        try:
            made.append(container_stack.embedstream(name, services()[name]["command"], inside))
        except Fatal as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        return made[-1]

    yield make
    for started in reversed(made):
        sys.stdout.write(f"--- {started.alias}\n{started.said()[-4000:]}\n")
        container_stack.forget(started)


def test_chunker_and_embedder_in_containers_make_the_index_of_the_table_and_a_kill_changes_nothing(stream, role):
    table = {str(number): sentences(number % 7 + 1, f"row {number}") for number in range(40)}
    chunker, embedder = role("chunker"), role("embedder")
    for id_, text in table.items():
        stream.put({"id": id_}, envelope("c", row(id_, text)))
    stream.flush()
    chunker.healthy()
    embedder.healthy()
    stream.drained()

    chunker.kill()
    embedder.kill()
    for id_ in ("3", "11"):
        table[id_] = table[id_].replace("number 1 among", "the first among")
        stream.put({"id": id_}, envelope("u", row(id_, table[id_])))
    del table["7"]
    stream.put({"id": "7"}, envelope("d", before=row("7", "")))
    stream.flush()
    chunker.start_again()
    embedder.start_again()
    embedder.healthy()
    stream.drained()

    assert_holds(points_of(embedder), stream.deployment(), stream.records(stream.cdc))
    assert chunker.stop() == embedder.stop() == 0


def test_the_image_runs_as_nobody_in_particular_and_cannot_change_itself(stream, role):
    embedder = role("embedder").healthy()
    assert embedder.run("id", "-u").said.strip() not in ("", "0")
    assert embedder.run("touch", "/opt/embedstream/changed").status != 0
    assert embedder.run("touch", "/var/lib/embedstream/data/written").status == 0


def test_commands_run_beside_a_role(stream, role):
    embedder = role("embedder").healthy()
    role("chunker").healthy()
    stream.put({"id": "fox"}, envelope("c", row("fox", "The quick fox jumps over the lazy dog.", "Foxes")))
    stream.drained()
    status = json.loads(embedder.run("embedstream", "status", "--json").said)
    assert status["lag"] == {"chunker": 0, "embedder": 0}
    assert status["collection"] == stream.status().collection
    asked = embedder.run("embedstream", "search", "quick fox", "--json")
    assert [hit["title"] for hit in json.loads(asked.said)["hits"]] == ["Foxes"]
    assert embedder.run("python", "-m", "compose.docker.connector").said.startswith("usage: ")
