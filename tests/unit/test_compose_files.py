"""The stack in containers as files: by the compose specification, pinned, on loopback, without a secret in them."""

import json
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from containers import COMPOSE, services
from jsonschema import Draft202012Validator

from compose.docker.connector import connector
from compose.native import jars
from compose.native.kafka import MAX_MESSAGE_BYTES, SESSION_TIMEOUT_MS
from compose.settings import load

DOCKER = COMPOSE.parent
OWN = ("chunker", "embedder", "query", "connector")
SCRIPTS = sorted(path for path in DOCKER.rglob("*") if path.is_file() and path.read_bytes().startswith(b"#!"))


def mistakes_in(document):
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    return [error.message for error in Draft202012Validator(json.loads(schema.read_text())).iter_errors(document)]


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_it_is_what_the_compose_specification_says(name):
    document = yaml.safe_load((DOCKER / name).read_text())
    assert mistakes_in(document) == []
    document["services"]["embedder"]["port"] = ["127.0.0.1:1:1"]
    assert len(mistakes_in(document)) == 1


def test_every_foreign_image_has_a_version_and_the_servers_have_the_local_stacks():
    images = {name: service["image"] for name, service in services().items() if name not in OWN}
    assert images["kafka"] == f"apache/kafka:{jars.KAFKA_VERSION}"
    assert images.pop("connect") is None, "whoever starts it names it"
    assert f"debezium/connect, version {jars.DEBEZIUM_VERSION}" in (DOCKER / "compose.yaml").read_text()
    for image in images.values():
        _, colon, tag = image.rpartition(":")
        assert colon
        assert any(sign.isdigit() for sign in tag), image


def test_only_loopback_leads_in():
    published = [port for service in services().values() for port in service.get("ports", ())]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_who_is_waited_for_can_say_that_it_is_healthy():
    all_of_them = services()
    for service in all_of_them.values():
        for name, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert "test" in all_of_them[name]["healthcheck"]
            else:
                assert wait["condition"] == "service_completed_successfully"


def test_our_own_services_are_shut_in():
    all_of_them = services()
    for name in OWN:
        service = all_of_them[name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert "USER 10001" in (DOCKER / "Dockerfile").read_text()


def test_the_broker_and_the_worker_take_what_the_pipeline_sends():
    broker, worker = services()["kafka"]["environment"], services()["connect"]["environment"]
    assert int(broker["KAFKA_MESSAGE_MAX_BYTES"]) == MAX_MESSAGE_BYTES
    assert int(worker["CONNECT_PRODUCER_MAX_REQUEST_SIZE"]) == MAX_MESSAGE_BYTES
    assert int(broker["KAFKA_GROUP_CONSUMER_SESSION_TIMEOUT_MS"]) == SESSION_TIMEOUT_MS
    assert broker["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_the_configuration_of_the_stack_is_one_and_names_its_services():
    settings = load(DOCKER / "embedstream.toml", {})
    assert settings.kafka.properties["bootstrap.servers"] == "kafka:19092"
    assert settings.index.url.startswith("grpc://qdrant:")
    (source,) = settings.sources
    made = connector("kb", "postgres:5432/kb", ("public.docs",))
    assert source.topic == made.topic("public.docs")
    assert source.heartbeat == made.heartbeat_topic


def test_the_password_stands_in_no_file_and_in_no_connector():
    text = COMPOSE.read_text()
    assert "POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password" in text
    assert "POSTGRES_PASSWORD:" not in text
    made = connector("kb", "postgres:5432/kb", ("public.docs",)).configuration()
    assert made["database.password"] == "${secrets:/run/secrets:postgres_password}"
    assert made["database.hostname"] == "postgres"


def test_an_image_without_torch_leaves_out_what_is_asked_for():
    left_out = {line for line in (DOCKER / "needs-torch.txt").read_text().splitlines() if line[0] != "#"}
    asked_for = (COMPOSE.parents[2] / "pyproject.toml").read_text()
    assert all(f'"{name}>=' in asked_for for name in left_out)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(DOCKER)))
def test_a_script_is_one(script: Path):
    assert script.stat().st_mode & 0o111
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""


def test_an_engine_that_is_asked_for_something_else_says_what_it_can_do():
    done = subprocess.run([DOCKER / "engine", "dance"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "start | stop | remove" in done.stderr
