"""Where the time goes in one process, stage by stage: ``python -m tests.bench.stages CAPTURE``."""

from __future__ import annotations

import argparse
import gc
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from statistics import median
from typing import Any

STAGES = ("start", "read", "decode", "sort", "flows", "sockets", "rules", "verdicts", "report", "rest")


class Clock:
    """CPU seconds by stage; a stage that calls another stands still meanwhile."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._stack = ["rest"]
        self._last = time.process_time()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What is done now counts for this stage."""
        self._note()
        self._stack.append(name)
        try:
            yield
        finally:
            self._note()
            self._stack.pop()

    def _note(self) -> None:
        now = time.process_time()
        self.seconds[self._stack[-1]] += now - self._last
        self._last = now

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, which counts for the stage; of a generator each step does."""

        @wraps(call)
        def measured(*arguments: Any, **named: Any) -> Any:
            with self.stage(name):
                result = call(*arguments, **named)
            return self._steps(name, result) if isinstance(result, Iterator) else result

        return measured

    def _steps(self, name: str, items: Iterator[Any]) -> Iterator[Any]:
        while True:
            with self.stage(name):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item


def measure(path: str) -> tuple[Clock, int]:
    """Analyze the capture in one process and write it as JSON; the clock, and how many packets it holds."""
    clock = Clock()
    with clock.stage("start"):
        from analyzer.cli.start import SELDOM
        from analyzer.flows.tracker import Tracker
        from analyzer.matching.load import load_rules, rules_folder
        from analyzer.matching.match import Matcher
        from analyzer.pipeline import engine, files, found, front
        from analyzer.pipeline.files import analyze
        from analyzer.reports import json_report
        from analyzer.sockets.shadow import ShadowFlow
        from analyzer.sources.reading import CaptureSource
        from analyzer.verdicts.ladder import Ladder

        gc.set_threshold(*SELDOM)  # as the command does
        rules = load_rules(rules_folder())
    places: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
        ("read", CaptureSource, ("blocks",)),
        ("decode", front, ("decode",)),
        ("sort", front, ("joined", "keyed")),
        ("flows", Tracker, ("follow", "finish", "take_summaries")),
        ("sockets", ShadowFlow, ("receive", "tick", "finish")),
        ("rules", Matcher, ("match",)),
        ("verdicts", engine, ("decide", "without_refined")),
        ("verdicts", Ladder, ("add", "lines")),
        ("verdicts", found, ("settle",)),
        ("verdicts", files, ("incidents",)),
    )
    before = [(owner, name, getattr(owner, name)) for _, owner, names in places for name in names]
    try:
        for stage, owner, names in places:
            for name in names:
                setattr(owner, name, clock.timed(stage, getattr(owner, name)))
        report = analyze(path, rules=rules)
        with clock.stage("report"):
            json_report.write(report, io.StringIO())
    finally:
        for owner, name, call in before:
            setattr(owner, name, call)
    return clock, report.totals.packets


def table(runs: list[Clock], packets: int) -> list[str]:
    """A Markdown table of the medians; ``start`` is that of the first run, which imports."""
    lines = ["| stage | CPU s | µs a packet | share |", "| --- | ---: | ---: | ---: |"]
    found = {name: median(run.seconds[name] for run in runs) for name in STAGES}
    found["start"] = runs[0].seconds["start"]
    total = sum(found.values())
    for name, seconds in [*found.items(), ("all", total)]:
        lines.append(
            f"| {name} | {seconds:.2f} | {seconds / max(packets, 1) * 1e6:.2f} | {seconds / total:.0%} |"
        )
    return lines


def main() -> None:
    """Read the command line, measure, print the table."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stages", description=__doc__)
    parser.add_argument("capture")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    runs, packets = [], 0
    for _ in range(options.rounds):
        clock, packets = measure(options.capture)
        runs.append(clock)
    print("\n".join(table(runs, packets)))


if __name__ == "__main__":
    main()
