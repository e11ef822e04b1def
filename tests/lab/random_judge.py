"""What errnoscope says of recorded runs, against their truth: `python -m tests.lab.random_judge TRUTH...`.

Prints for each place how often each word of confidence was right, and the disagreements in full.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.event import Doubt
from analyzer.pipeline import analyze
from tests.truth import NO_ERROR, End, ends, load_truth

OUTCOMES = ("right", "wrong", "false alarm", "none met", "closed", "unproven", "missed", "quiet")
"""``none met``: all that the program called gave what the verdict says (end of file), no errno among it.
``closed``: the program had called close() before the error, which therefore nobody could meet."""
WRONG = ("wrong", "false alarm")
PROVEN = 3
"""So many of OUTCOMES prove or disprove a verdict."""
FIELDS = ("frame.number", "frame.time_epoch", "_ws.col.Source", "_ws.col.Info")
MOST_PACKETS = 36
CLOSE_SLACK_S = 0.001
WAYS = 4
"""A packet needs so many times the path's delay at most; the slow path is late when it has much to do."""


@dataclass(frozen=True)
class Judged:
    """One end of one connection, as seen from one place."""

    vantage: str
    truth: Path
    connection: dict[str, Any]
    end: End
    said: str

    @property
    def outcome(self) -> str:
        """The first word of what End.judge() said, but milder where no call contradicts the verdict."""
        word = self.said.partition(":")[0]
        verdict = self.end.verdict
        if word == "false alarm" and verdict:
            table = verdict.table.calls
            if all(table[call["call"]] == call["result"] for call in self.end.after(verdict)):
                return "none met"
        if word == "unproven" and verdict and self._had_closed(verdict.time / 1e9 - CLOSE_SLACK_S):
            return "closed"
        return word

    def _had_closed(self, when: float) -> bool:
        return any(call["call"] == "close" and call["t"] < when for call in self.end.calls)

    @property
    def confidence(self) -> str:
        return self.end.verdict.confidence.value if self.end.verdict else "-"

    @property
    def rule(self) -> str:
        """The rule of the verdict, or the errno that was missed."""
        if self.end.verdict:
            return self.end.verdict.rule
        error = self.end.first_error
        return f"missed {error['call']} {error['result']}" if error else "-"


def judged(path: Path, rules: Any) -> Iterator[Judged]:
    """Every end in one capture."""
    truth = load_truth(path)
    report = analyze(path.with_name(truth["capture"]), rules=rules)
    found = iter(ends(truth, report))
    for connection in truth["connections"]:
        for calls in connection["calls"].values():
            if calls is not None:
                end = _without_what_came_before(next(found), truth["run"]["delay"])
                yield Judged(truth["vantage"], path, connection, end, end.judge())


def _without_what_came_before(end: End, delay: float) -> End:
    """A reset captured where it was sent arrives later: calls that succeeded until then prove nothing."""
    verdict = end.verdict
    if verdict is None or Doubt.MAY_NOT_HAVE_ARRIVED not in verdict.doubts or not delay:
        return end
    since = verdict.time / 1e9
    until = since + WAYS * delay
    calls = [call for call in end.calls if not (since <= call["t"] < until and call["result"] in NO_ERROR)]
    return End(end.side, calls, verdict)


def judge(truths: Sequence[Path], show: int, only: str = "", outcomes: Sequence[str] = WRONG) -> list[Judged]:
    """Judge all, print the tables and the disagreements (those whose first line has ``only`` in it)."""
    rules = load_rules(rules_folder())
    every = [entry for path in truths for entry in judged(path, rules)]
    for vantage in sorted({entry.vantage for entry in every}):
        here = [entry for entry in every if entry.vantage == vantage]
        print(f"\n== {vantage}: {len(here)} ends")
        _table(Counter((entry.confidence, entry.outcome) for entry in here))
    print("\n== all places, by confidence and rule")
    _table(Counter((f"{entry.confidence} {entry.rule}", entry.outcome) for entry in every))
    print("\n== missed from the end's own place, by kind")
    blind = [entry for entry in every if entry.outcome == "missed" and entry.vantage == entry.end.side]
    _table(Counter((f"{entry.connection['plan']['kind']} {entry.rule}", "missed") for entry in blind))
    wrong = [entry for entry in every if entry.outcome in outcomes and only in _headline(entry)]
    print(f"\n{len(wrong)} disagreements")
    for entry in sorted(wrong, key=lambda entry: entry.confidence)[:show]:
        print("\n".join(["", *describe(entry)]))
    return every


def _table(counts: Counter[tuple[str, str]]) -> None:
    rows = sorted({row for row, _ in counts})
    width = max(map(len, rows), default=0)
    print(" " * width, *(f"{name:>11}" for name in OUTCOMES), f"{'right of proven':>16}")
    for row in rows:
        numbers = [counts[row, name] for name in OUTCOMES]
        proven = sum(numbers[:PROVEN])
        part = f"{100 * numbers[0] / proven:15.2f}%" if proven else ""
        print(f"{row:{width}}", *(f"{number or '':>11}" for number in numbers), part)


def _headline(entry: Judged) -> str:
    connection, run = entry.connection, load_truth(entry.truth)["run"]
    plan = connection["plan"]
    return (
        f"{entry.truth} #{plan['number']} {plan['kind']} {entry.end.side} "
        f"{entry.confidence} {entry.rule}: {entry.said} {json.dumps(run)}"
    )


def describe(entry: Judged) -> Iterator[str]:
    """All that helps to find out who is wrong."""
    connection, verdict = entry.connection, entry.end.verdict
    plan = connection["plan"]
    everything = [call for calls in connection["calls"].values() for call in calls or ()]
    origin = min(call["t"] for call in everything)
    yield _headline(entry)
    yield f"  faults {plan['faults']}"
    for side in ("client", "server"):
        if plan[side]:
            yield f"  {side} {plan[side]['options']}: {_calls(connection['calls'][side], origin)}"
    for reset in connection["resets"]:
        yield f"  kernel: {reset['t'] - origin:.6f} {reset['sender']} sent RST {reset['reason']}"
    if verdict:
        doubts = ", ".join(doubt.name for doubt in verdict.doubts)
        when = verdict.time / 1e9 - origin
        yield f"  verdict {when:.6f} {verdict.errno} frames {verdict.frames} [{doubts}]"
    capture = entry.truth.with_name(f"{entry.vantage}.pcap")
    yield from packets(capture, connection["server"][1], origin)


def _calls(calls: list[dict[str, Any]] | None, origin: float) -> str:
    return ", ".join(
        f"{call['t'] - origin:.4f} {call['call']}={call['result']}"
        + (f"({call['n']})" if "n" in call else "")
        + (f" [{call['how']}]" if "how" in call else "")
        + (f" since {call['began'] - origin:.4f}" if "began" in call else "")
        for call in calls or ()
    )


def packets(capture: Path, port: int, origin: float) -> Iterator[str]:
    """The packets of one connection."""
    fields = [part for name in FIELDS for part in ("-e", name)]
    which = ("-r", str(capture), "-Y", f"tcp.port == {port}")
    command = ["tshark", "-n", "--disable-protocol", "data", *which, "-T", "fields", *fields]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    for index, line in enumerate(lines):
        if MOST_PACKETS // 2 <= index < len(lines) - MOST_PACKETS // 2:
            continue
        number, time, source, info = line.split("\t", 3)
        info = info.partition(" TSval")[0].replace(" [Packet size limited during capture]", "")
        yield f"    {number:>6} {float(time) - origin:10.6f} {source:12} {info[:120]}"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Judge recorded runs.")
    parser.add_argument("truths", nargs="+", type=Path, metavar="TRUTH")
    parser.add_argument("--show", type=int, default=10, help="disagreements to print in full")
    parser.add_argument("--only", default="", help="only those that have this text in their first line")
    parser.add_argument("--outcome", nargs="+", choices=OUTCOMES, default=WRONG, help="what to print")
    arguments = parser.parse_args()
    judge(arguments.truths, arguments.show, arguments.only, arguments.outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())
