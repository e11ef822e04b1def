"""``--engine dask`` and what belongs to it: who works, where, and what is said meanwhile."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli.messages import columns
from analyzer.cli.numbers import Whole
from analyzer.cli.refusals import without_effect
from analyzer.errors import UserError

if TYPE_CHECKING:
    from analyzer.cluster.driving import Watcher
    from analyzer.cluster.job import Task
    from analyzer.cluster.run import Cluster

_SCHEDULER = re.compile(r"([a-z]+://)?(\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):\d{1,5}")
_EVERY_S, _ON_TERMINAL_S = 30.0, 0.5
"""Seconds between two lines about the progress, and between two looks of one on a terminal."""


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options, as its parameter ``cluster``: a Cluster, or None for this process."""

    @click.option(
        "--engine",
        type=click.Choice(["own", "dask"]),
        default="own",
        help="dask: have many processes do it, of this machine or of a cluster, for archives. The answer is "
        "the same. Needs: pip install 'errnoscope[cluster]'",
    )
    @click.option(
        "--scheduler",
        metavar="ADDRESS",
        default="",
        help="With --engine dask: use the workers of this scheduler (tcp://host:8786), which must be "
        "trusted. [default: --jobs processes of this machine]",
    )
    @click.option(
        "--work",
        metavar="DIR|URL",
        default="",
        help="With --engine dask: keep what is handed from process to process here, where all of them can "
        "write and nobody else. [default: a temporary directory]",
    )
    @click.option("--resume", is_flag=True, help="Go on with what an earlier run has left in --work.")
    @click.option(
        "--shards",
        type=Whole(min=1, max=4096),
        metavar="N",
        help="With --engine dask: parts that the flows are shared out into, each in the memory of one "
        "process. [default: 2 for each]",
    )
    @wraps(command)
    def with_cluster(
        *arguments: Any,
        engine: str,
        scheduler: str,
        work: str,
        resume: bool,
        shards: int | None,
        **others: Any,
    ) -> Any:
        if engine != "dask":
            _refuse_without_engine(scheduler, work, resume=resume, shards=shards)
            return command(*arguments, cluster=None, **others)
        _refuse_bad_places(scheduler, work)
        from analyzer.cluster.run import Cluster

        chosen = Cluster(scheduler, others.get("jobs") or 0, work, resume, shards or 0)
        return command(*arguments, cluster=chosen, **others)

    return with_cluster


def _refuse_without_engine(scheduler: str, work: str, *, resume: bool, shards: int | None) -> None:
    given = {"--scheduler": scheduler, "--work": work, "--resume": resume, "--shards": shards}
    for name, value in given.items():
        if value:
            raise without_effect(name, "--engine dask")


def _refuse_bad_places(scheduler: str, work: str) -> None:
    """What can be said before anything is begun. Raises UserError."""
    if scheduler and not _SCHEDULER.fullmatch(scheduler):
        what, hint = (
            "this is no address of a scheduler",
            "such as tcp://10.0.0.7:8786: `dask scheduler` says it.",
        )
        raise UserError("bad-scheduler", f"--scheduler {scheduler}", what, hint)
    if Path(work).exists() and not Path(work).is_dir():
        hint = "name a directory (it is made where it is not there) or a URL."
        raise UserError(
            "not-a-directory", f"--work {work}", "this is a file, and a directory is needed", hint
        )


def refuse_with_cluster(cluster: Cluster | None, captures: Sequence[str], decoder: str) -> None:
    """Raises UserError where the workers cannot do what is asked."""
    if cluster is None:
        return
    if decoder != "own":
        what = "with --engine dask the workers decode"
        raise UserError("not-for-cluster", f"--decoder {decoder}", what, "leave one of the two out.")
    if "-" in captures:
        what, hint = "standard input can be read once only, by one process", "write it into a file first."
        raise UserError("not-for-cluster", "-", what, hint)


class Told:
    """Says on stderr how far the workers are: on a terminal in one line, else now and then in another."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._bytes = self._packets = self._failures = self._shards = 0
        self._size = 0
        self._last = time.monotonic()

    def dashboard(self, address: str) -> None:
        """Where the workers can be looked at."""
        click.echo(f"Dask's dashboard: {address}", err=True)

    def watcher(self, files: Mapping[str, int]) -> Watcher:
        """Told of each task from now on; ``files`` are the bytes of each."""
        self._size = sum(files.values())
        left = dict(files)

        def watch(task: Task, gave: Any) -> None:
            if task.function.__name__ == "map_piece":
                self._bytes += task.weight
                left[task.about] = left.get(task.about, 0) - task.weight
                if not isinstance(gave, UserError):
                    self._packets += gave.counts.packets
            else:
                self._shards += 1
                self._failures += len(getattr(gave, "results", ()))
            self._say(sum(size <= 0 for size in left.values()), len(left))

        return watch

    def end(self) -> None:
        """The line on the terminal is over."""
        if self._is_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)

    def _say(self, done: int, files: int) -> None:
        now = time.monotonic()
        if now - self._last < (_ON_TERMINAL_S if self._is_terminal else _EVERY_S):
            return
        self._last = now
        text = (
            f"{done:,} of {files:,} files, {self._bytes >> 20:,} of {self._size >> 20:,} MiB, "
            f"{self._packets:,} packets, {self._shards:,} tasks of shards, {self._failures:,} failures so far"
        )
        shown = f"\r\x1b[K{text[: columns() - 1]}" if self._is_terminal else text
        click.echo(shown, nl=not self._is_terminal, err=True)


def analyzed(cluster: Cluster, captures: Sequence[str], **options: Any) -> Any:
    """The report, by the workers; ``options`` as for ``cluster.run.analyze``. Raises UserError."""
    from analyzer.cluster.run import analyze

    told = Told()
    try:
        return analyze(captures, cluster, watcher=told.watcher, announce=told.dashboard, **options)
    finally:
        told.end()
