"""Has tasks done by the workers of Dask: those of a cluster, or some processes of this machine.

Dask brings libraries under Apache-2.0 with it, so it is imported here only, and never beside scapy.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from typing import Any

from analyzer import __version__
from analyzer.cluster.driving import perform
from analyzer.cluster.job import Job, Task
from analyzer.cluster.store import Store
from analyzer.errors import UserError
from analyzer.sources.apart import use_without_scapy

_JOB = "job.pickle"
_RETRIES = 2
"""Times that a task is done anew after an error that is not known."""
_SECONDS = 10
"""Until a scheduler has to answer."""
_ENVIRONMENT = {
    "POLARS_MAX_THREADS": "1",  # there is a worker for each processor already
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "DASK_LOGGING__DISTRIBUTED": "critical",
}


class Workers:
    """A Doer whose tasks are done by other processes; ``dashboard`` is where to look at them."""

    def __init__(self, client: Any, store: Store, dashboard: str) -> None:
        self.dashboard = dashboard
        self._client = client
        self._place = store.place
        self._tasks: dict[str, Task] = {}
        self._done = imported().as_completed([])

    def submit(self, task: Task) -> None:
        """See Doer."""
        self._tasks[task.name] = task
        future = self._client.submit(_do, self._place, task, key=task.name, retries=_RETRIES, pure=False)
        self._done.add(future)

    def next(self) -> tuple[Task, Any]:
        """See Doer. Raises UserError where nobody is left to do anything."""
        future = next(self._done)
        task = self._tasks.pop(future.key)
        error = future.exception()
        gave = _said(task, error) if error else future.result()
        future.release()
        return task, gave


def _said(task: Task, error: BaseException) -> UserError:
    """What became of a task that nobody could do."""
    if isinstance(error, UserError):
        return error
    if type(error).__name__ == "KilledWorker":
        what = "each worker that took it was killed, by the system for want of memory or by somebody"
        return UserError("worker-lost", task.about, what, "give the workers more memory.")
    what = f"a worker could not do it: {type(error).__name__}: {error}"
    hint = "all workers need this version of errnoscope, and the same files and --work."
    return UserError("worker-failed", task.about, what, hint)


def _do(place: str, task: Task) -> Any:
    """What a worker runs.

    Polars takes Ctrl-C for itself, although a worker ignores it: the task is done again, until who started
    the worker ends it.
    """
    use_without_scapy("a worker")
    while True:
        with suppress(KeyboardInterrupt):
            return perform(Store(place), _job(place), task)


@lru_cache(maxsize=1)
def _job(place: str) -> Job:
    import cloudpickle

    job: Job = cloudpickle.loads(Store(place).read(_JOB))
    return job


def kept_job(store: Store) -> Job | None:
    """The job that a run has kept there. Raises UserError where the store cannot be read."""
    return _loaded(store) if store.has(_JOB) else None


def _loaded(store: Store) -> Job:
    import cloudpickle

    job: Job = cloudpickle.loads(store.read(_JOB))
    return job


def keep_job(store: Store, job: Job) -> None:
    """Put the job where the workers find it."""
    import cloudpickle

    store.write(_JOB, cloudpickle.dumps(job))


@contextmanager
def workers(store: Store, scheduler: str, count: int) -> Iterator[Workers]:
    """The workers of this scheduler; without one so many of this machine, which end with it.

    Raises UserError where Dask is not there, or no scheduler.
    """
    distributed = imported()
    with ExitStack() as stack:
        if scheduler:
            try:
                client = stack.enter_context(distributed.Client(scheduler, timeout=_SECONDS))
            except (OSError, ValueError, TimeoutError) as error:
                what = f"no scheduler of Dask answers there: {error}"
                hint = "start one with `dask scheduler`, or leave --scheduler out."
                raise UserError("no-scheduler", f"--scheduler {scheduler}", what, hint) from None
            _same_version(client, scheduler)
        else:
            client = stack.enter_context(
                distributed.Client(stack.enter_context(_of_here(distributed, count)))
            )
        yield Workers(client, store, client.dashboard_link)


def _of_here(distributed: Any, count: int) -> Any:
    """Workers of this machine. Until they have loaded what keeps them calm they inherit it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            env=_ENVIRONMENT,
            preload=["analyzer.cluster.calm"],
            silence_logs=logging.CRITICAL,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def imported() -> Any:
    """Dask's ``distributed``. Raises UserError where it is not there, or scapy is."""
    use_without_scapy("--engine dask")
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")
    try:
        import distributed
        import polars  # noqa: F401  (the workers need it; better said now)
    except ImportError as error:
        hint = "pip install 'errnoscope[cluster]'"
        raise UserError("no-cluster", "--engine dask", f"{error.name} is not installed", hint) from None
    return distributed


def _same_version(client: Any, scheduler: str) -> None:
    """Raises UserError where a worker has another errnoscope, or none."""
    try:
        found = client.run(_version)
    except Exception:  # whatever it is that a worker lacks
        found = {"a worker": "none"}
    others = {version for version in found.values() if version != __version__}
    if others or not found:
        what = "it has no workers" if not found else f"a worker has errnoscope {others.pop()}"
        hint = f"start workers with `dask worker` where errnoscope {__version__} is installed."
        raise UserError("other-workers", f"--scheduler {scheduler}", what, hint)


def _version() -> str:
    return __version__
