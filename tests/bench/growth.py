"""How time and memory grow with packets and flows, and in the worst cases: ``python -m tests.bench.growth``.

Each capture is made in a folder, analyzed once, and deleted: 2 GB of disk at most, and some ten minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench.flows import plan
from tests.bench.generate import generate
from tests.bench.measure import Usage, find, run


@dataclass(frozen=True)
class Case:
    """A capture of one mix; with 0 flows as many as the mix has. ``options`` are those of ``analyze``."""

    mix: str
    packets: int
    flows: int = 0
    snaplen: int = 96
    pcapng: bool = False
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        details = [f"{self.flows:,} flows"] if self.flows else []
        details += ["pcapng"] if self.pcapng else []
        details += [" ".join(self.options)] if self.options else []
        return " ".join([f"`{self.mix}`", *(f"({detail})" for detail in details)])


_SEED, _SECONDS = 1, 600.0

CASES = [
    *(Case("realistic", packets) for packets in (100_000, 1_000_000, 10_000_000)),
    *(Case("realistic", 5_000_000, flows) for flows in (1_000, 10_000, 100_000)),
    *(Case("realistic", 1_000_000, snaplen=0, pcapng=pcapng) for pcapng in (False, True)),
    *(Case("short", packets) for packets in (100_000, 1_000_000, 10_000_000)),
    Case("elephants", 5_000_000, 1),
    *(Case("retransmissions", packets) for packets in (100_000, 1_000_000)),
    *(Case("synflood", packets) for packets in (500_000, 5_000_000)),
    Case("synflood", 5_000_000, options=("--max-flows", "200000")),
    *(Case("failing", packets) for packets in (11_000, 110_000, 1_100_000)),
]


def main() -> None:
    """Run the cases and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the captures are made; else a temporary one")
    parser.add_argument("--mix", help="only the cases of this mix")
    options = parser.parse_args()
    program = find("errnoscope")
    if program is None:
        sys.exit("errnoscope: not installed")
    print("| capture | packets | CPU s | wall s | µs a packet | peak MiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for case in CASES:
            if options.mix in (None, case.mix):
                print(_row(case, _measured(case, program, Path(folder) / "capture")), flush=True)


def _measured(case: Case, program: str, capture: Path) -> Usage:
    packets = plan(case.mix, case.packets, case.flows or None, _SEED, _SECONDS)
    generate(capture, packets, case.snaplen, case.pcapng)
    usage = run([program, "analyze", str(capture), "-o", "json", *case.options], 1800)
    capture.unlink()
    return usage


def _row(case: Case, usage: Usage) -> str:
    if usage.timed_out or usage.crashed or usage.status not in (0, 1):
        return f"| {case} | {case.packets:,} | failed | | | |"
    each = usage.cpu / case.packets * 1e6
    memory = usage.memory / 2**20
    return f"| {case} | {case.packets:,} | {usage.cpu:.2f} | {usage.wall:.2f} | {each:.2f} | {memory:,.0f} |"


if __name__ == "__main__":
    main()
