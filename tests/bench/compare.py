"""Compare errnoscope with other programs on one capture: ``python -m tests.bench.compare CAPTURE``."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.measure import Usage, find, run


@dataclass(frozen=True)
class Tool:
    """A program, its arguments (CAPTURE stands for the file) and the exit statuses that mean success."""

    arguments: tuple[str, ...]
    accepted: tuple[int, ...] = (0,)
    probe: tuple[str, ...] = ()  # must succeed, or the tool is left out


TOOLS = {
    # 1: the capture holds failures
    "errnoscope": Tool(("analyze", "CAPTURE", "-o", "json"), (0, 1), ("--version",)),
    "tshark": Tool(("-n", "-r", "CAPTURE", "-q", "-z", "expert")),
    "tcptrace": Tool(("-n", "CAPTURE")),
    "argus": Tool(("-r", "CAPTURE", "-w", "/dev/null")),
    "cat": Tool(("CAPTURE",)),
}


@dataclass(frozen=True)
class Result:
    """The medians of a tool's rounds."""

    wall: float
    cpu: float
    memory: float
    wall_range: tuple[float, float]


def main() -> None:
    """Read the command line, run the rounds, print the table."""
    options = _arguments().parse_args()
    commands = _commands(options.tools, options.capture)
    packets = options.packets or _count(options.capture)
    _warm(options.capture)
    runs = _rounds(commands, options.rounds, options.timeout)
    results = {name: _summary(usages) for name, usages in runs.items() if usages}
    size = options.capture.stat().st_size / 1e6
    count = f"{packets:,} packets" if packets else "an unknown number of packets"
    print(f"{options.capture.name}: {count}, {size:,.1f} MB; medians of {options.rounds} rounds\n")
    print("\n".join(table(results, packets)))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.compare", description=__doc__)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tools", type=_names, default=list(TOOLS), help=f"of {','.join(TOOLS)}")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds that each run may take")
    parser.add_argument("--packets", type=int, help="how many the capture holds; else capinfos is asked")
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in TOOLS:
            raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(TOOLS)}")
    return names


def _commands(names: Sequence[str], capture: Path) -> dict[str, list[str]]:
    """The command line of each tool that can be run; says which cannot."""
    commands = {}
    for name in names:
        program, tool = find(name), TOOLS[name]
        if program is None:
            _say(f"{name}: not installed, skipped")
        elif tool.probe and run([program, *tool.probe], 30).status:
            _say(f"{name}: does not start, skipped")
        else:
            given = [str(capture) if word == "CAPTURE" else word for word in tool.arguments]
            commands[name] = [program, *given]
    return commands


def _count(capture: Path) -> int | None:
    capinfos = find("capinfos")
    if capinfos is None:
        _say("capinfos: not installed, no packets per second (or give --packets)")
        return None
    answer = subprocess.run([capinfos, "-c", "-M", capture], capture_output=True, text=True, check=False)
    found = re.search(r"packets:\s*(\d+)", answer.stdout)
    return int(found[1]) if found else None


def _warm(capture: Path) -> None:
    """Have the file in the page cache before anything is measured."""
    block = bytearray(1 << 20)
    with capture.open("rb", buffering=0) as file:
        while file.readinto(block):
            pass


def _rounds(commands: dict[str, list[str]], rounds: int, timeout: float) -> dict[str, list[Usage]]:
    """Every tool in turn, round after round, so that a slow minute of the machine hits all of them."""
    runs: dict[str, list[Usage]] = {name: [] for name in commands}
    failed: set[str] = set()
    for _ in range(rounds):
        for name, command in commands.items():
            if name in failed:
                continue
            usage = run(command, timeout)
            reason = _failure(name, usage)
            if reason:
                _say(f"{name}: {reason}, left out")
                failed.add(name)
            else:
                runs[name].append(usage)
    return {name: usages for name, usages in runs.items() if name not in failed}


def _failure(name: str, usage: Usage) -> str:
    """Why a run does not count, or nothing."""
    if usage.timed_out:
        return f"no end after {usage.wall:.0f} s"
    if usage.crashed:
        return "ended by an exception"
    return "" if usage.status in TOOLS[name].accepted else f"exit status {usage.status}"


def _summary(usages: Sequence[Usage]) -> Result:
    walls = [usage.wall for usage in usages]
    return Result(
        median(walls),
        median(usage.cpu for usage in usages),
        median(usage.memory for usage in usages),
        (min(walls), max(walls)),
    )


def table(results: dict[str, Result], packets: int | None) -> list[str]:
    """A Markdown table; times and memory also as multiples of errnoscope's, when that has run."""
    base = results.get("errnoscope")
    heads = ["tool", "wall s", "(min to max)", "CPU s", "packets/s", "peak MiB"]
    heads += ["wall ×", "CPU ×", "memory ×"] if base else []
    lines = [_line(heads), _line(["---"] + ["---:"] * (len(heads) - 1))]
    for name, got in results.items():
        low, high = got.wall_range
        rate = f"{packets / got.wall:,.0f}" if packets else "?"
        cells = [name, f"{got.wall:.2f}", f"({low:.2f} to {high:.2f})", f"{got.cpu:.2f}", rate]
        cells.append(f"{got.memory / 2**20:,.0f}")
        if base:
            pairs = ((got.wall, base.wall), (got.cpu, base.cpu), (got.memory, base.memory))
            cells += [f"{ours / theirs:.2f}" for ours, theirs in pairs]
        lines.append(_line(cells))
    return lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _say(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    main()
