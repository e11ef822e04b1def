"""What errnoscope says of random runs, against their truth: `python -m tests.lab.random_judge TRUTH...`.

Prints how often each rule and word was right, the figures of tests.lab.score, and the disagreements in full.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .score import OUTCOMES, PROVEN, RANDOM, Judged, Score, score

WRONG = ("wrong", "false alarm")
FIELDS = ("frame.number", "frame.time_epoch", "_ws.col.Source", "_ws.col.Info")
MOST_PACKETS = 36


def judge(truths: Sequence[Path], show: int, only: str = "", outcomes: Sequence[str] = WRONG) -> Score:
    """Judge all, print the tables and the disagreements (those whose first line has ``only`` in it)."""
    made = score(truths, anywhere=False)
    print("\n== all places, by confidence and rule")
    _table(Counter((f"{entry.confidence} {entry.rule}", entry.outcome) for entry in made.judged))
    print()
    print("\n".join([*made.lines(RANDOM), *made.misses()]))
    wrong = [entry for entry in made.judged if entry.outcome in outcomes and only in _headline(entry)]
    print(f"\n{len(wrong)} disagreements")
    for entry in sorted(wrong, key=lambda entry: entry.confidence)[:show]:
        print("\n".join(["", *describe(entry)]))
    return made


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
    plan = entry.connection["plan"]
    return (
        f"{entry.truth} #{plan['number']} {plan['kind']} {entry.end.side} "
        f"{entry.confidence} {entry.rule}: {entry.said} {json.dumps(entry.run)}"
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
