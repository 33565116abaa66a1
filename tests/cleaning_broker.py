"""A broker of its own whose log cleaner comes by all the time, and whose files can be searched.

Segments are rolled by time on the next record, so whoever waits for the cleaner writes a record now and then.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from compose.native.kafka import Kafka
from compose.native.ports import Ports

COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "200",
    "delete.retention.ms": "100",
    "min.cleanable.dirty.ratio": "0.0",
    "file.delete.delay.ms": "50",
    "max.message.bytes": str(16 << 20),
    # Text would not be found in what is compressed.
    "compression.type": "uncompressed",
}
"""Settings under which a record that has a newer one behind it is off the disk in seconds."""


class CleaningBroker:
    """Started by the constructor, ended by ``close``."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="embedstream-cleaning-"))
        (self.folder / "kafka").mkdir()
        self._kafka = Kafka(self.folder / "kafka", Ports(self.folder / "ports.json"))
        try:
            self._kafka.start(lambda _line: None)
            self._kafka.await_ready()
            self._hurry()
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        assert self._kafka.bootstrap is not None
        return self._kafka.bootstrap

    def files_with(self, text: str, topic: str) -> list[str]:
        """Files of the topic's partitions in which these bytes stand."""
        wanted = text.encode()
        return sorted(
            file.relative_to(self.folder).as_posix() for file in self._files(topic) if wanted in _read(file)
        )

    def close(self) -> None:
        self._kafka.child.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self, topic: str) -> Iterator[Path]:
        for folder in (self.folder / "kafka" / "data").glob(f"{topic}-[0-9]*"):
            yield from (file for file in folder.iterdir() if file.is_file())

    def _hurry(self) -> None:
        entry = ConfigEntry("log.cleaner.backoff.ms", "100", incremental_operation=AlterConfigOpType.SET)
        every = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
        admin = AdminClient({"bootstrap.servers": self.address})
        for done in admin.incremental_alter_configs([every]).values():
            done.result(20)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # cleaned away meanwhile
        return b""
