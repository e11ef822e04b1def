"""Analyzes captures with the workers of a cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from secrets import randbits
from typing import Any

from analyzer.cluster.driving import Watcher
from analyzer.cluster.job import Job, digest
from analyzer.cluster.reading import ClusterReading
from analyzer.cluster.store import Store
from analyzer.cluster.with_dask import imported, keep_job, kept_job, workers
from analyzer.errors import UserError
from analyzer.logs.open import LogSource
from analyzer.model.application import Dissection
from analyzer.model.filter import EVERYTHING, Filter
from analyzer.model.flow import MAX_FLOWS
from analyzer.model.host import DEFAULT_HOST, Host
from analyzer.model.report import Report
from analyzer.model.rule import Rule
from analyzer.parallel import processors
from analyzer.pipeline.files import reported
from analyzer.sources.inputs import Input
from analyzer.sources.pipe import PATH
from analyzer.sources.remote import Place as RemotePlace
from analyzer.sources.remote import is_url


@dataclass(frozen=True, slots=True)
class Cluster:
    """Who works, and where.

    scheduler: address of Dask's, empty for workers of this machine, ``count`` of them (0: one a processor);
    work: directory or URL that all can write to, empty for a temporary one; resume: go on with what is there;
    shards: 0 for twice as many as workers.
    """

    scheduler: str = ""
    count: int = 0
    work: str = ""
    resume: bool = False
    shards: int = 0


def analyze(
    captures: Sequence[str],
    cluster: Cluster,
    *,
    rules: Sequence[Rule],
    hosts: tuple[Host, Host] = (DEFAULT_HOST, DEFAULT_HOST),
    only: Filter = EVERYTHING,
    all_flows: bool = False,
    max_flows: int = MAX_FLOWS,
    logs: Sequence[LogSource] = (),
    dissection: Dissection | None = None,
    watcher: Callable[[Mapping[str, int]], Watcher],
    announce: Callable[[str], None],
) -> Report:
    """The report that ``pipeline.analyze`` gives, by many processes; the parameters are as there.

    ``watcher`` is given the bytes of each file and told of each task, ``announce`` the dashboard's address.
    Raises UserError also where the run cannot go on; with ``resume`` a later one does what is left.
    """
    imported()

    def read(files: Sequence[Input], *, every: bool) -> ClusterReading:
        _refuse_what_is_read_once(files)
        count = cluster.count or processors()
        job = Job(tuple(rules), hosts, every, max_flows, cluster.shards or 2 * count, randbits(64))
        with _place(cluster) as place:
            store = Store(place)
            old = _kept(store, job, cluster)
            with workers(store, cluster.scheduler, count) as doer:
                if old is None:  # only now: where no worker is found, --work is as it was
                    keep_job(store, job)
                announce(doer.dashboard)
                sizes = {file.path: file.size for file in files}
                return ClusterReading(files, old or job, doer, watcher(sizes))

    return reported(
        captures,
        read,
        rules=len(rules),
        hosts=hosts,
        only=only,
        all_flows=all_flows,
        logs=logs,
        dissection=dissection,
    )


def _refuse_what_is_read_once(files: Sequence[Input]) -> None:
    for file in files:
        if file.path == PATH or _is_pipe(file.path):
            what = "this can be read once only, by one process"
            hint = "write it into a file first, or leave --engine dask out."
            raise UserError("not-for-cluster", file.path, what, hint)


def _is_pipe(path: str) -> bool:
    """Whether something else than a file is there; what is not there is said by who reads it."""
    return not is_url(path) and Path(path).exists() and not Path(path).is_file()


@contextmanager
def _place(cluster: Cluster) -> Iterator[str]:
    """Where the run keeps its columns: a temporary directory where nothing was said."""
    if is_url(cluster.work):
        RemotePlace(cluster.work)  # whether there is a driver for it
        yield cluster.work
        return
    if cluster.work:
        yield str(Path(cluster.work).absolute())
        return
    if cluster.scheduler:
        what, hint = "the workers need a place that all of them can write to", "name it with --work."
        raise UserError("no-work", "--scheduler", what, hint)
    if cluster.resume:
        raise UserError("no-work", "--resume", "nothing says what to go on with", "name it with --work.")
    with tempfile.TemporaryDirectory(prefix="errnoscope-") as place:
        yield place


def _kept(store: Store, job: Job, cluster: Cluster) -> Job | None:
    """The job of the run that is gone on with, None where there was none. Raises UserError."""
    old = kept_job(store)
    where = f"--work {cluster.work}"
    if old and not cluster.resume:
        hint = "--resume goes on with it; else name an empty directory."
        raise UserError("work-used", where, "a run has kept its columns there", hint)
    if old is None:
        return None
    job = replace(job, seed=old.seed, shards=cluster.shards or old.shards)
    if _what(old) != _what(job):
        what = "the run there had other options, other rules or another version of errnoscope"
        raise UserError("other-work", where, what, "give the same ones, or name an empty directory.")
    return old


def _what(job: Job) -> str:
    """All that the results depend on but the files, of which each result names its own."""
    return digest([[getattr(job, name) for name in _NAMES], [_said(r) for r in job.rules]])


_NAMES = [entry.name for entry in fields(Job) if entry.name != "rules"]


def _said(rule: Rule) -> list[Any]:
    """A rule without what was made of it."""
    values = [getattr(rule, entry.name) for entry in fields(rule)]
    return [value for value in values if not callable(value)]
