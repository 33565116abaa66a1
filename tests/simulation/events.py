"""What can happen to a deployment: each method is one event of the world, drawn by :mod:`simulation.history`."""

from simulation import operators
from simulation.deployment import CHUNKS, FIRST, SAME_CHUNKS
from simulation.process import ChunkerProcess, EmbedderProcess, PurgeProcess

HOUR_S, DAY_S = 3_700.0, 86_400.0
_MOST_STOPPED = 2
_LONGEST_PAUSE = 200


class Events:
    """The half of a history that acts; what it acts on is the other half's."""

    def _write(self):
        self._writes -= 1
        self.rows.write()

    def _some(self, *states):
        found = [process for process in self.processes if process.state in states]
        return self.rng.choice(found) if found else None

    def _kill(self):
        process = self._some("running", "running", "stopped")
        if process:
            self.note(f"{process.name} is killed")
            process.kill()
            self._alarm()

    def _stop(self):
        self._stop_one(self._some("running"))

    def _stop_one(self, process):
        stopped = [process for process in self.processes if process.state == "stopped"]
        if process and len(stopped) < _MOST_STOPPED:
            self.note(f"{process.name} is stopped")
            process.state = "stopped"
            self._alarm()

    def _alarm(self):
        """Where something has happened somebody looks, and repairs what is only under way too."""
        if "repair" in self.has and self.tables and self.rng.random() < 0.5:
            self._repair()

    def _continue(self):
        process = self._some("stopped")
        if process:
            self.note(f"{process.name} goes on")
            process.state = "running"

    def _tell_to_end(self):
        process = self._some("running")
        if process:
            process.stopping.set()

    def _evict(self):
        self._evict_one("running")

    def _evict_silent(self):
        self._evict_one("dead", "stopped")

    def _evict_one(self, *states):
        process = self._some(*states)
        if process and process.is_member:
            self.note(f"{process.name} is evicted")
            process.consumer.evict()

    def _start(self):
        """Somebody is started, the sooner the fewer there are."""
        pair = self.rng.choice(self.begun)
        if self.rng.random() < 0.4:
            self._start_chunker(pair)
        else:
            self._start_embedder(pair)

    def _start_chunker(self, pair):
        """Under an instance that nobody who runs has; one that was stopped or killed is fenced by it."""
        if pair is SAME_CHUNKS:
            pair = FIRST
        taken = {
            process.slot
            for process in self.processes
            if isinstance(process, ChunkerProcess) and process.pair is pair and process.runs
        }
        free = [slot for slot in range(2) if slot not in taken]
        if free:
            self.processes.append(ChunkerProcess(self, pair, self.rng.choice(free)))

    def _start_embedder(self, pair):
        running = [
            process
            for process in self.processes
            if isinstance(process, EmbedderProcess) and process.pair is pair and process.runs
        ]
        if len(running) < 3:
            self.processes.append(EmbedderProcess(self, pair))

    def _land(self):
        """One write of a request that its caller gave up lands, or the rest of it is lost."""
        late = self.rng.choice(self.late)
        if self.rng.random() < 0.15 or late.land():
            self.late.remove(late)
        self.note(f"{late.name} lands late")

    def _turn_away(self):
        """Or back: then who waited with a plan in hand may stand still for a while longer, and somebody looks."""
        self.index_away = not self.index_away
        if not self.index_away:
            waited = [each for each in self.processes if each.state == "running" and not each.idle]
            if waited and "stop" in self.has and self.rng.random() < 0.5:
                self._stop_one(self.rng.choice(waited))
            else:
                self._alarm()

    def _cure(self):
        for encoder in self.encoders.values():
            encoder.cured = True

    def _redrive(self):
        pair = self.rng.choice(self.begun)
        letters = operators.letters_of(self, pair)
        if letters:
            operators.redrive(self, pair, self.rng.choice(letters))

    def _repair(self):
        """Of what an audit would find just now, if anything: holes, and what is not applied, yet or because it was
        poison then.
        """
        pair = self.rng.choice(list(self.tables))
        documents = sorted(document for document, header in self.laws.newest if header == pair.header)
        found = [document for document in documents if operators.differs(self, pair, document)]
        if documents:
            operators.repair(self, pair, self.rng.choice(found or documents))

    def _damage(self):
        """Not while older writes may be on their way: what a hand took away cannot refuse them."""
        if not self.late and not any(process.state == "stopped" for process in self.processes):
            operators.damage(self, self.rng.choice(list(self.tables)))

    def _repair_damage(self):
        if self.to_repair:
            operators.repair(self, *self.rng.choice(sorted(self.to_repair, key=str)))

    def _purge(self):
        pair = self.rng.choice(list(self.tables))
        if not any(isinstance(process, PurgeProcess) and process.alive for process in self.processes):
            self.processes.append(PurgeProcess(self, pair))

    def _hour(self):
        self._leap(HOUR_S)

    def _day(self):
        """Nobody holds a revision for a day: whoever has one in hand is done with it first, or killed."""
        for process in self.processes:
            holds = process.alive and not process.idle
            if holds and (process.state == "stopped" or self.rng.random() < 0.3):
                process.kill()
        self._in_calm(lambda: [one for one in self.processes if one.runs and not one.idle])
        self._leap(DAY_S)
        self.broker.compact(CHUNKS.name, before_ms=self.clock.now_ms() - int(DAY_S * 1_000))

    def _in_calm(self, busy):
        """Lets processes run, and nothing else happen, until none is busy; a member that polls on is never done."""
        before, self.calm = self.calm, True
        for _ in range(_LONGEST_PAUSE):
            waiting = busy()
            if not waiting:
                break
            for process in waiting:
                for task in list(process.tasks):
                    if not task.greenlet.dead and task.ready:
                        self.scheduler.resume(task)
                        self.laws.look()
        else:
            for process in busy():
                process.kill()
        self.calm = before

    def _leap(self, seconds):
        """What is under way to the index ends first: it lands, is lost, or its writer is killed."""
        while self.late:
            self._land()
        for process in self.processes:
            if process.state == "stopped" and any(task.writing for task in process.tasks):
                if self.rng.random() < 0.5:
                    process.kill()
                else:
                    process.state = "running"
        before, self.calm = self.calm, True
        for process in self.processes:
            for task in process.tasks:
                while process.runs and task.writing and not task.greenlet.dead:
                    self.scheduler.resume(task)
                    self.laws.look()
        self.calm = before
        self.clock.seconds += seconds

    def _begin_next(self):
        waiting = [pair for pair in self.pairs if pair not in self.begun]
        if waiting:
            self._begin(self.rng.choice(waiting))

    def _cut_over(self):
        operators.cut_over(self)
