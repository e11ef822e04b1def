"""What starting costs: ``python -m tests.bench.startup``.

CPU seconds, user and system, of ``errnoscope --version`` and of ``errnoscope analyze`` on a sample of some
ten packets, where nearly all the time is start-up.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

from tests.bench.measure import Usage, find, run

_SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def main() -> None:
    """Run both commands a few times and print the medians."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--sample", type=Path, help="another capture than the first small sample")
    options = parser.parse_args()
    program = find("errnoscope")
    if program is None:
        sys.exit("errnoscope: not installed")
    sample = options.sample or _small_sample()
    commands = {
        "errnoscope --version": [program, "--version"],
        f"errnoscope analyze ({sample.parent.name})": [program, "analyze", str(sample)],
    }
    print("| command | CPU s | wall s | peak MiB |\n| --- | ---: | ---: | ---: |")
    for name, command in commands.items():
        print(_row(name, [run(command, 60) for _ in range(options.rounds + 1)][1:]))


def _small_sample() -> Path:
    """The sample of the client's side that is nearest to a kilobyte, some ten packets."""
    found = sorted(_SAMPLES.glob("*/client.pcap"))
    if not found:
        sys.exit("no samples: give --sample")
    return min(found, key=lambda path: abs(path.stat().st_size - 1024))


def _row(name: str, usages: list[Usage]) -> str:
    failed = [usage for usage in usages if usage.timed_out or usage.crashed or usage.status not in (0, 1)]
    if failed:
        return f"| {name} | {len(failed)} of {len(usages)} runs failed | | |"
    cpu = median(usage.cpu for usage in usages)
    wall = median(usage.wall for usage in usages)
    memory = median(usage.memory for usage in usages) / 2**20
    return f"| {name} | {cpu:.3f} | {wall:.3f} | {memory:.0f} |"


if __name__ == "__main__":
    main()
