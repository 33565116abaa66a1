"""Two files of one stream and the commands of ``embedstream upgrade`` between them, for tests."""

import json

import httpx
from stream_process import PATIENCE_S, wait_for


class Upgrade:
    """``stream`` as it is, and as ``changed`` makes it."""

    def __init__(self, stream, **changed):
        self.stream, self.changed = stream, changed
        self.config, self.next = stream.config(), stream.config(**changed)
        self.before, self.after = stream.deployment(), stream.deployment(**changed)
        self.running = None

    def run(self, *roles):
        """Both pairs, in threads."""
        self.running = self.stream.run(*roles, following=self.after).ready()
        return self.running

    def start(self, role="all", environment=None):
        """Both pairs, in a process."""
        self.running = self.stream.launched(
            "run", role, "--config", str(self.config), "--next", str(self.next), environment=environment
        )
        return self.running

    def command(self, name, *more, environment=None):
        return self.stream.launched(
            "upgrade", name, "--config", str(self.config), "--next", str(self.next), *more, environment=environment
        )

    def asked(self, name, *more):
        """The exit status, what was printed as JSON, and everything that was said."""
        process = self.command(name, "--json", *more)
        status, said = process.ended(4 * PATIENCE_S), process.said()
        return status, json.loads(said[said.index("{\n") :]) if "{\n" in said else {}, said

    def done(self, name, *more):
        status, told, said = self.asked(name, *more)
        assert status == 0, said
        return told

    def refused(self, name, *more):
        status, told, said = self.asked(name, *more)
        assert status != 0, said
        return told, said

    def caught_up(self, deadline_s=120):
        seen = {}

        def is_caught_up():
            seen.update(self.done("status"))
            return seen["step"] == "caught up"

        wait_for(is_caught_up, "the next pair to catch up", deadline_s, seen=seen)

    @property
    def service(self):
        """The query service of this stream listens on a free port, so it is named."""
        return ("--query", self.running.query) if self.running is not None and self.running.query else ()

    def searched(self, text):
        answer = httpx.post(f"{self.running.query}/v1/search", json={"query": text}, trust_env=False, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()
