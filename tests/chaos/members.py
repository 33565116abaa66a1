"""The processes of one deployment under a supervisor of few words: who is to run, and who stopped unasked.

``start`` and ``end`` are a person's; whoever ended otherwise is started again by ``complete``, as a supervisor would,
and is noted with its last words: a fault may slow a member down, but none of these may end it unless the campaign
itself has killed it.
"""

import signal


class Members:
    """Name → process of ``stream``. ``roles``: name → role and instance, of those who always run."""

    def __init__(self, stream, roles):
        self._stream, self._roles = stream, roles
        self.running = {}
        self.stopped_unasked = []

    def complete(self):
        """All of ``roles`` run and have announced themselves."""
        for name in self._roles:
            if name in self.running and not self.running[name].alive:
                self.note(name)
                del self.running[name]
            if name not in self.running:
                self.running[name] = self.launch(*self._roles[name])
        for process in list(self.running.values()):
            process.ready()
        return self

    def note(self, name):
        process = self.running[name]
        said = process.said().strip().splitlines()
        self.stopped_unasked.append(f"{name} (status {process.ended()}): {said[-1] if said else 'nothing said'}")

    def launch(self, role, instance=""):
        return self._stream.start(role, **({"chunker": {"instance": instance}} if instance else {}))

    def add(self, name, role, instance=""):
        self.running[name] = self.launch(role, instance)
        return self.running[name]

    def kill(self, name):
        """SIGKILL, as nobody's wish; the successor is another's to start."""
        process = self.running.pop(name)
        if not process.alive:
            self.running[name] = process
            self.note(name)
            del self.running[name]
        process.kill()

    def leave(self, name):
        """SIGTERM; it goes orderly."""
        process = self.running.pop(name)
        status = process.stop()
        # One that was told so early that it had no ear for it yet ends by the signal itself.
        if status not in (0, -signal.SIGTERM):
            said = process.said().strip().splitlines()
            self.stopped_unasked.append(f"{name}, told to stop (status {status}): {said[-1] if said else ''}")

    def restart(self, name):
        """SIGTERM, and a successor that has announced itself."""
        self.leave(name)
        self.running[name] = self.launch(*self._roles[name])
        self.running[name].ready()

    def succeed(self, name):
        """Starts the successor of one that was killed."""
        self.running[name] = self.launch(*self._roles[name])

    def all_leave(self):
        for name in list(self.running):
            self.leave(name)

    def works(self):
        """Revisions that embedders have applied, as far as they answer."""
        return sum(process.events("applied") for process in self.running.values() if process.alive)
