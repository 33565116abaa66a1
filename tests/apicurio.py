"""A real schema registry on loopback: Apicurio Registry, from its package, with everything in memory.

It answers the interface of Confluent's registry under ``/apis/ccompat/v7``, schemas by number alone: it knows no
GUIDs there. It is fetched once (some 160 MB) with the resolver and the Java of the local stack, and starts in ten to
twenty seconds.
"""

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import httpx
from stream_process import wait_for

from compose.native import jars
from compose.native.ports import LOOPBACK, Ports
from stream.errors import Fatal

VERSION = "3.3.3"
_STARTS_WITHIN_S = 180.0


class ApicurioRegistry:
    """Started by the constructor, ended by ``close``. Raises Fatal where its package cannot be fetched."""

    def __init__(self) -> None:
        java = jars.resolve(jars.BROKER).java
        package = _package()
        self.folder = Path(tempfile.mkdtemp(prefix="embedstream-registry-"))
        with tarfile.open(package) as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(self.folder)
        port = Ports(self.folder / "ports.json").claim("registry")
        self.log = self.folder / "log"
        self._output = self.log.open("wb")
        self._process = subprocess.Popen(
            [
                str(java),
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                f"-Dquarkus.http.host={LOOPBACK}",
                f"-Dquarkus.http.port={port}",
                f"-Dquarkus.management.host={LOOPBACK}",
                "-Dquarkus.management.port=0",
                "-jar",
                "quarkus-run.jar",
            ],
            cwd=self.folder,
            env={**os.environ, "JAVA_HOME": str(java.parent.parent)},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        self.url = f"http://{LOOPBACK}:{port}/apis/ccompat/v7"
        wait_for(lambda: self._answers() or not self.alive, "the registry to answer", _STARTS_WITHIN_S, pause_s=0.2)
        if not self.alive:
            raise Fatal(f"The registry ended at once: {self.log.read_text(errors='replace')[-2000:]}")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """SIGTERM, and only to this process."""
        self._process.terminate()
        self._process.wait(30)
        self._output.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/subjects", trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def _package() -> Path:
    from jgo.maven import MavenContext

    component = MavenContext().project("io.apicurio", "apicurio-registry-app").at_version(VERSION)
    try:
        return Path(component.artifact(classifier="all", packaging="tar.gz").resolve())
    except Exception as error:
        raise Fatal(f"The package of the registry could not be fetched ({error}).") from error
