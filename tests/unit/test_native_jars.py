"""How class paths are resolved, with a resolver written by hand in place of the real one."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from compose.native import jars
from stream.errors import Fatal


@dataclass
class Locked:
    artifactId: str  # noqa: N815 — the resolver's own spelling
    version: str


@dataclass
class Lock:
    dependencies: list[Locked]


@dataclass
class Environment:
    all_jars: list[Path]
    lockfile: Lock | None


@dataclass
class Resolver:
    """Stands in for the package ``jgo``: hands out its environments in turn."""

    environments: list[Environment | Exception]
    updates: list[bool] = field(default_factory=list)

    def build(self, _endpoint, *, update=False):
        self.updates.append(update)
        answer = self.environments[len(self.updates) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def resolve_with(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", "/nowhere")

    def use(*environments):
        resolver = Resolver(list(environments))
        module = ModuleType("jgo")
        module.build = resolver.build
        monkeypatch.setitem(sys.modules, "jgo", module)
        return resolver

    return use


def jar(folder, name):
    path = folder / name
    path.touch()
    return path


def test_a_whole_class_path_is_resolved_once(resolve_with, tmp_path):
    whole = Environment([jar(tmp_path, "a-1.jar")], Lock([Locked("a", "1")]))
    resolver = resolve_with(whole)
    assert jars.resolve(("g:a:1",)).jars == ((tmp_path / "a-1.jar").resolve(),)
    assert resolver.updates == [False]


@pytest.mark.parametrize("lock", [None, Lock([Locked("a", "1"), Locked("b", "2")])])
def test_what_a_killed_resolution_left_is_resolved_again(resolve_with, tmp_path, lock):
    half = Environment([jar(tmp_path, "a-1.jar")], lock)
    whole = Environment([jar(tmp_path, "a-1.jar"), jar(tmp_path, "b-2.jar")], Lock([Locked("b", "2")]))
    resolver = resolve_with(half, whole)
    assert len(jars.resolve(("g:a:1",)).jars) == 2
    assert resolver.updates == [False, True]


def test_a_failed_resolution_is_one_sentence(resolve_with):
    resolve_with(ConnectionError("no route to host\nand much more"))
    with pytest.raises(Fatal) as caught:
        jars.resolve(("g:a:1", "g:b:2"))
    assert "g:a:1 could not be fetched (no route to host)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_releases_of_kafka_never_share_a_class_path(resolve_with, tmp_path):
    mixed = [jar(tmp_path, "connect-api-4.1.0.jar"), jar(tmp_path, f"connect-runtime-{jars.KAFKA_VERSION}.jar")]
    resolve_with(Environment(mixed, Lock([])))
    with pytest.raises(Fatal, match="mixes Kafka"):
        jars.resolve(("g:a:1",))


def test_our_java_comes_before_every_other(resolve_with, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    resolve_with(Environment([jar(tmp_path, "a-1.jar")], Lock([Locked("a", "1")])))
    environment = jars.resolve(("g:a:1",)).environment()
    assert environment["JAVA_HOME"] != "/nowhere"
    assert environment["PATH"].split(":")[0] == f"{environment['JAVA_HOME']}/bin"
    assert environment["PATH"].endswith("/usr/bin")
