"""What a run is to do, and the tasks that it consists of: values that can be sent to other processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from analyzer import __version__
from analyzer.flows.legs import ToldLegs
from analyzer.matching.match import Matcher
from analyzer.model.flow import MAX_FLOWS
from analyzer.model.host import DEFAULT_HOST, Host
from analyzer.model.rule import Rule
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.front import BATCH_ROWS

PIECE_BYTES = 64 << 20
"""Bytes of a piece of a large file: what a process has of it in memory is some times as much."""
SLICE_ROWS = 2_000_000
"""Rows of a shard that one task tracks; the flows that are open behind them are handed to the next one."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all tasks of a run have in common.

    shards: into how many parts the flows of a large capture are shared out; seed: of the keys of flows, a
    number that nobody who writes a capture knows; piece_bytes, slice_rows: as the constants.
    """

    rules: tuple[Rule, ...]
    hosts: tuple[Host, Host] = (DEFAULT_HOST, DEFAULT_HOST)
    all_flows: bool = False
    max_flows: int = MAX_FLOWS
    shards: int = 4
    seed: int = 0
    piece_bytes: int = PIECE_BYTES
    slice_rows: int = SLICE_ROWS
    batch_rows: int = BATCH_ROWS
    version: str = __version__

    def engine(self) -> Engine:
        """One that has seen nothing yet."""
        return Engine(
            Matcher(self.rules),
            batch=self.batch_rows,
            hosts=self.hosts,
            all_flows=self.all_flows,
            max_flows=self.max_flows,
            legs=ToldLegs(),
            seed=np.uint64(self.seed),
        )


@dataclass(frozen=True, slots=True)
class Task:
    """A call of ``function`` with a store, the job, the task's name and ``arguments``, plain values.

    ``about`` is what a message calls it; ``weight`` how much of the input it takes (bytes of files).
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    about: str
    weight: int = 0


def task(
    function: Callable[..., Any], *arguments: Any, about: str, weight: int = 0, version: Any = None
) -> Task:
    """A task. Its name says by the arguments, and ``version``, what it gives: of equal ones one is enough."""
    name = f"{function.__name__}-{digest((arguments, version))}"
    return Task(name, function, arguments, about, weight)


def digest(values: Sequence[Any]) -> str:
    """The same for equal plain values in every process."""
    return blake2b(repr(values).encode(), digest_size=12).hexdigest()
