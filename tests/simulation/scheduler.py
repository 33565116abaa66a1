"""Who runs next: one thread, many tasks, and a seed.

Each thread of the simulated processes is a task with a stack of its own (a greenlet). A task runs until it waits or
stands before an outside effect; then the scheduler takes over, and whoever runs next is drawn from the seed. A task
that is never resumed is a process that was killed there: nothing of it is unwound, just as SIGKILL unwinds nothing.

``Threads`` for ``consumers.threads`` are made here. Every wait with a time-out may end as if its time were over.
"""

import queue
from collections import deque

from greenlet import GreenletExit, getcurrent, greenlet

from consumers.threads import Threads

_PACES = (0.03, 0.3, 1.0, 1.0, 1.0, 4.0)
"""How often a task is chosen, beside others; a slow one lets much happen between two of its effects."""


class Task:
    """A thread of one process. ``until`` is what it waits for, None before an effect; ``timed``: it may give up."""

    __slots__ = ("greenlet", "name", "outcome", "process", "timed", "until", "weight", "writing")

    def __init__(self, process, name, weight):
        self.process, self.name, self.weight = process, name, weight
        self.until, self.timed, self.writing = None, False, False
        self.greenlet, self.outcome = None, None

    @property
    def ready(self):
        return self.process.runs and (self.until is None or self.until())


class Scheduler:
    def __init__(self, rng):
        self.rng = rng
        self.hub = getcurrent()
        self.current = None
        self.tasks = []
        self.resumed = 0
        self.over = False

    def spawn(self, process, name, run):
        task = Task(process, name, self.rng.choice(_PACES))

        def guarded(_in_time):
            try:
                run()
            except GreenletExit:
                pass
            except BaseException as error:  # noqa: BLE001 - looked at by the process that it ended
                task.outcome = error

        task.greenlet = greenlet(guarded, self.hub)
        self.tasks.append(task)
        process.tasks.append(task)
        return task

    def pause(self, until=None, *, timed=False):
        """Called by the task that runs. True once it may go on; False where its time was over first."""
        if self.over:
            raise GreenletExit
        task = self.current
        if task is None:  # what is set up before anything runs
            return True
        task.until, task.timed = until, timed
        return self.hub.switch()

    def resume(self, task, *, in_time=True):
        self.resumed += 1
        self.current = task
        try:
            task.greenlet.switch(in_time)
        finally:
            self.current = None
        if task.greenlet.dead:
            self.tasks.remove(task)
            task.process.ended(task)

    def turn(self):
        """Lets somebody run. False where nobody can, and, half of the time, where all only wait for time to pass."""
        running = [task for task in self.tasks if task.process.runs]
        ready = [task for task in running if task.until is None or task.until()]
        late = [task for task in running if task.timed and task not in ready]
        if late and (self.rng.random() < (0.03 if ready else 0.5)):
            self.resume(self.rng.choice(late), in_time=False)
        elif ready:
            self.resume(self.rng.choices(ready, [task.weight for task in ready])[0])
        else:
            return False
        return True

    def round(self):
        """Lets everybody run once who can, and is True; where nobody can, whoever waits for a while gives up."""
        ready = [task for task in self.tasks if task.ready]
        for task in ready or [task for task in self.tasks if task.timed and task.process.runs]:
            if not task.greenlet.dead and task.process.runs:
                self.resume(task, in_time=bool(ready))
        return bool(ready)

    def forget(self, process):
        """It is never resumed; its stacks stay as they are until the history ends."""
        self.tasks = [task for task in self.tasks if task.process is not process]

    def close(self, processes):
        """Unwinds every stack, so that nothing of this history outlives it."""
        self.over = True
        for process in processes:
            for task in process.tasks:
                while not task.greenlet.dead:
                    task.greenlet.throw(GreenletExit)

    # --- what a process waits on ---

    def threads(self, process):
        """As ``consumers.threads`` asks for them."""
        return Threads(
            thread=lambda run, name: _Thread(self, process, run, name),
            condition=lambda: _Condition(self),
            event=lambda: Event(self),
            room=lambda: _Room(self),
        )


class _Thread:
    def __init__(self, scheduler, process, run, name):
        self._start = lambda: scheduler.spawn(process, name, run)
        self._pause = scheduler.pause
        self._task = None

    @property
    def ident(self):
        return None if self._task is None else id(self._task)

    def start(self):
        self._task = self._start()

    def join(self):
        while not self._task.greenlet.dead:
            self._pause(lambda: self._task.greenlet.dead)


class _Condition:
    """Nothing else runs between two waits, so there is nothing to lock."""

    def __init__(self, scheduler):
        self._pause = scheduler.pause
        self._told = 0

    def __enter__(self):
        return True

    def __exit__(self, *_):
        return None

    def notify_all(self):
        self._told += 1

    def wait(self, timeout=None):
        seen = self._told
        return self._pause(lambda: self._told != seen, timed=timeout is not None)

    def wait_for(self, predicate):
        while not predicate():
            self._pause(predicate)
        return True


class Event:
    def __init__(self, scheduler):
        self._pause = scheduler.pause
        self._set = False

    def is_set(self):
        return self._set

    def set(self):
        self._set = True

    def wait(self, timeout=None):
        if not self._set:
            self._pause(self.is_set, timed=timeout is not None)
        return self._set


class _Room:
    """A queue of one."""

    def __init__(self, scheduler):
        self._pause = scheduler.pause
        self._items = deque()

    def get(self):
        while not self._items:
            self._pause(lambda: bool(self._items))
        return self._items.popleft()

    def put(self, item, timeout):
        if self._items and not self._pause(lambda: not self._items, timed=timeout is not None):
            raise queue.Full
        self.put_nowait(item)

    def put_nowait(self, item):
        if self._items:
            raise queue.Full
        self._items.append(item)

    def get_nowait(self):
        if not self._items:
            raise queue.Empty
        return self._items.popleft()
