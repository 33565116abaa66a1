"""The real servers of a campaign: Kafka, Kafka Connect with Debezium, PostgreSQL, each to be killed and brought back.

They are the programs of the native stack, with one more door to the broker: what it advertises there is the address
of a proxy that breaks connections. The roles come in through the proxy; Connect comes in by the plain door, and so
does whoever compares the outcome, so a broken network is the roles' alone.
"""

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from doubles.faulty_proxy import FaultyProxy

from compose.native.connect import Connect
from compose.native.kafka import Kafka
from compose.native.listeners import Access
from compose.native.ports import LOOPBACK, Ports
from compose.native.postgres import Postgres


class Servers:
    """``start`` them; ``kill`` and ``restore`` take a name: kafka, connect, postgres."""

    def __init__(self, seed):
        # Not a closed folder: PostgreSQL runs as another user than root and must get in.
        self.folder = Path(tempfile.mkdtemp(prefix="embedstream-chaos-"))
        self.folder.chmod(0o755)
        ports = Ports(self.folder / "ports.json")
        plain, controller, behind = (ports.claim(name) for name in ("kafka", "kafka controller", "kafka behind"))
        self.proxy = FaultyProxy(behind, seed=seed)
        doors = f"PLAINTEXT://{LOOPBACK}:{plain},BEHIND://{LOOPBACK}:{behind},CONTROLLER://{LOOPBACK}:{controller}"
        access = Access(
            settings={
                "listeners": doors,
                "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{plain},BEHIND://{self.proxy.address}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT",
            }
        )
        broker = Kafka(self.folder / "kafka", ports, access=access)
        self._named = {
            "kafka": broker,
            "connect": Connect(self.folder / "connect", ports, broker),
            "postgres": Postgres(self.folder / "postgres", ports),
        }

    def start(self):
        """All of them, side by side; what started is ended again where one does not."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self):
        with ThreadPoolExecutor(max_workers=1) as beside:
            postgres = beside.submit(self.restore, "postgres")
            for name in ("kafka", "connect"):
                self._named[name].start(_silently)
            for name in ("kafka", "connect"):
                self._named[name].await_ready()
            postgres.result()

    @property
    def kafka(self):
        return self._named["kafka"].bootstrap

    @property
    def connect(self):
        return self._named["connect"].address

    @property
    def postgres(self):
        return self._named["postgres"].dsn

    def kill(self, name):
        """SIGKILL to the server and to what it started."""
        self._named[name].child.kill()

    def restore(self, name):
        """Starts it again and waits until it serves."""
        self._named[name].start(_silently)
        self._named[name].await_ready()

    def close(self):
        for name in ("connect", "postgres", "kafka"):
            self._named[name].child.stop()
        self._named["postgres"].remove()
        self.proxy.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _silently(_line):
    pass
