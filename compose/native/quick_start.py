"""Archives of the servers' classes, so that a start reads them parsed and linked instead of making them anew.

Java 25 writes such an archive when a server ends that was told to (JEP 514), and reads it at the next start. With it
a broker is up after 2.4 s instead of 5.2 s and takes 2.0 s of a processor instead of 4.3 s; Kafka Connect is up after
1.4 s instead of 4.0 s and takes 2.1 s instead of 4.8 s (2 cores, Kafka 4.1.1, Temurin 25.0.2). An archive belongs to
one Java and one class path; where none is, or one that does not fit, the servers start as they would without.

    python -m compose.native.quick_start

starts both servers once in a folder that is thrown away, which takes half a minute, unless the archives are there.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from compose.native import jars
from compose.native.connect import Connect
from compose.native.kafka import Kafka
from compose.native.ports import Ports
from stream.errors import Fatal

_KEPT = 6
"""Archives of 60 MB each that stay: those of three installations."""
_WRITTEN_WITHIN_S = 120.0


def record() -> None:
    """Makes the archives that are missing. Raises Fatal where the servers do not start."""
    wanted = [jars.resolve(coordinates) for coordinates in (jars.BROKER, jars.CONNECT)]
    if all(class_path.archive.exists() for class_path in wanted):
        return
    folder = Path(tempfile.mkdtemp(prefix="embedstream-quick-start-"))
    ports = Ports(folder / "ports.json")
    broker = Kafka(folder / "kafka", ports, record_into=folder / "broker.aot")
    worker = Connect(folder / "connect", ports, broker, record_into=folder / "worker.aot")
    try:
        for server in (broker, worker):
            server.start(_silently)
            server.await_ready()
        for server in (worker, broker):
            # It writes its archive before it is gone.
            server.child.stop(_WRITTEN_WITHIN_S)
        for class_path, written in zip(wanted, ("broker.aot", "worker.aot"), strict=True):
            if (folder / written).exists():
                class_path.archive.parent.mkdir(parents=True, exist_ok=True)
                # Whole or not at all, whoever else does the same.
                partial = class_path.archive.with_suffix(f".{folder.name}")
                shutil.move(folder / written, partial)
                partial.replace(class_path.archive)
        _prune(wanted[0].archive.parent)
    finally:
        for server in (worker, broker):
            server.child.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _prune(archives: Path) -> None:
    found = sorted(archives.glob("*.aot"), key=lambda archive: archive.stat().st_mtime, reverse=True)
    for old in found[_KEPT:]:
        old.unlink(missing_ok=True)


def _silently(_line: str) -> None:
    pass


if __name__ == "__main__":
    try:
        record()
    except (Fatal, OSError) as error:
        sys.exit(f"The servers will start without their archives. ({error})")
