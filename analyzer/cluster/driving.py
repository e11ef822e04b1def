"""Hands out tasks as they become possible, and gives back what they gave."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from analyzer.cluster.job import Job, Task
from analyzer.cluster.reducing import done_of
from analyzer.cluster.series import Steps, Value
from analyzer.cluster.store import Store
from analyzer.errors import UserError

Watcher = Callable[[Task, Any], None]
"""Told of each task that is done, and what it gave: a UserError where it failed."""


class Doer(Protocol):
    """Who does tasks, in whatever order."""

    def submit(self, task: Task) -> None:
        """Have this done."""

    def next(self) -> tuple[Task, Any]:
        """Waits for a task to be done; what it gave, a UserError where it failed."""


def perform(store: Store, job: Job, task: Task) -> Any:
    """Do a task, unless its result stands in the store already; raises UserError."""
    place = done_of(task.name)
    if store.has(place):
        return store.get(place)
    gave = task.function(store, job, task.name, *task.arguments)
    store.put(place, gave)
    return gave


class Here:
    """Does tasks in this process, one after the other."""

    def __init__(self, store: Store, job: Job) -> None:
        self._store = store
        self._job = job
        self._tasks: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """See Doer."""
        self._tasks.append(task)

    def next(self) -> tuple[Task, Any]:
        """See Doer."""
        task = self._tasks.popleft()
        try:
            return task, perform(self._store, self._job, task)
        except UserError as error:
            return task, error


@dataclass(slots=True)
class _Waiting:
    """Steps that wait for what their last tasks give; ``left`` of them are not done yet."""

    steps: Steps[Any]
    gave: list[Any] = field(default_factory=list)
    left: int = 0


def driven(all_steps: Sequence[Steps[Value]], doer: Doer, watcher: Watcher) -> list[Value]:
    """What each of these returns, all of which go on at a time. Raises UserError where one of them does."""
    returned: dict[int, Value] = {}
    waiting = [_Waiting(steps) for steps in all_steps]
    asked: dict[str, list[tuple[int, int]]] = {}

    def go_on(number: int) -> None:
        one = waiting[number]
        try:
            tasks: list[Task] = one.steps.send(one.gave) if one.gave else next(one.steps)
        except StopIteration as stop:
            returned[number] = stop.value
            return
        one.gave, one.left = [None] * len(tasks), len(tasks)
        for place, task in enumerate(tasks):
            if task.name not in asked:
                doer.submit(task)
            asked.setdefault(task.name, []).append((number, place))

    for number in range(len(waiting)):
        go_on(number)
    while asked:
        task, gave = doer.next()
        watcher(task, gave)
        for number, place in asked.pop(task.name):
            one = waiting[number]
            one.gave[place] = gave
            one.left -= 1
            if not one.left:
                go_on(number)
    return [returned[number] for number in range(len(waiting))]
