"""Make a capture of any size: ``python -m tests.bench.generate OUT.pcap --packets 1000000``."""

from __future__ import annotations

import argparse
from math import ceil
from pathlib import Path

import numpy as np

from tests.bench.flows import MIXES, Plan, Table, draw, draw_elephants, plan
from tests.bench.frames import LONGEST_HEADER, Writer
from tests.bench.rows import ROW, make

_SLICE = 100_000  # packets made at a time, about


class Generator:
    """Holds the open flows, and the packets already made for a later slice of time."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.slices = max(1, plan.packets // _SLICE)
        self.step = plan.duration / self.slices
        parts = [self._part(number) for number in range(self.slices)]
        self._flows = draw_elephants(plan, parts)
        self._pending = np.zeros(0, ROW)

    def _part(self, number: int) -> tuple[int, int]:
        """The flows, by number, that are drawn for a slice: none of them starts before it."""
        first, last = (
            min(ceil(self._plan.flows * begin * self.step / self._plan.last_start), self._plan.flows)
            for begin in (number, number + 1)
        )
        return first, last

    def next_slice(self, number: int) -> tuple[Table, Table]:
        """The packets of the slice ``number`` in order of time, and the table that they point into."""
        self._forget(number * self.step)
        if number < self.slices:
            self._flows = np.concatenate([self._flows, draw(self._plan, *self._part(number))])
        until = (number + 1) * self.step
        rng = np.random.default_rng([self._plan.seed, 3, number])
        rows = np.concatenate([self._pending, make(self._flows, until, self._plan, rng)])
        rows = rows[np.argsort(rows["time"], kind="stable")]
        ready = int(np.searchsorted(rows["time"], until))
        self._pending = rows[ready:]
        return rows[:ready], self._flows

    def _forget(self, now: float) -> None:
        """Drop the flows that have ended; what is still to be sent points to the others."""
        keep = (self._flows["end"] >= now) | ~self._flows["closed"]
        keep[self._pending["flow"]] = True
        places = np.cumsum(keep) - 1
        self._pending["flow"] = places[self._pending["flow"]]
        self._flows = self._flows[keep]

    @property
    def exhausted(self) -> bool:
        """Whether no flow has anything left to send."""
        return not len(self._pending) and bool(self._flows["closed"].all())


def generate(path: Path, plan: Plan, snaplen: int = 0, pcapng: bool = False) -> int:
    """Write the capture; returns the number of packets, which is as planned."""
    generator = Generator(plan)
    left, number = plan.packets, 0
    with path.open("wb", buffering=0) as out:
        writer = Writer(out, snaplen, pcapng, plan.filler)
        while left and (number < generator.slices or not generator.exhausted):
            rows, flows = generator.next_slice(number)
            for start in range(0, min(len(rows), left), _SLICE):
                writer.write(rows[start : min(start + _SLICE, left)], flows)
            left -= min(len(rows), left)
            number += 1
    return plan.packets - left


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.generate", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--flows", type=int, help="not for short and synflood, which fix it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mix", choices=MIXES, default="realistic")
    parser.add_argument("--pcapng", action="store_true")
    parser.add_argument("--snaplen", type=int, default=0, help="bytes kept of each frame; 0 keeps all")
    parser.add_argument("--filler", action="store_true", help="payloads of filler, on ports that say nothing")
    parser.add_argument("--duration", type=float, default=600.0, help="seconds that the capture spans")
    return parser


def main() -> None:
    """Read the command line, write the capture, say what was written."""
    parser = _arguments()
    options = parser.parse_args()
    if options.snaplen and options.snaplen < LONGEST_HEADER:
        parser.error(f"--snaplen must leave the {LONGEST_HEADER} bytes of the longest header")
    if options.packets < 1 or options.duration < 60 or (options.flows is not None and options.flows < 1):
        parser.error("needs at least one packet, one flow and 60 seconds")
    try:
        wishes = plan(
            options.mix, options.packets, options.flows, options.seed, options.duration, options.filler
        )
        written = generate(options.out, wishes, options.snaplen, options.pcapng)
    except ValueError as error:
        parser.error(str(error))
    size = options.out.stat().st_size
    print(f"{options.out}: {written} packets, {wishes.flows + wishes.elephants} flows, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
