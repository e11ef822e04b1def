"""Measure an archive by one process and by workers of Dask: ``python -m tests.bench.cluster DIR``."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from analyzer.cluster.driving import Here
from analyzer.cluster.job import Job, Task
from analyzer.cluster.reading import ClusterReading
from analyzer.cluster.store import Store
from analyzer.matching.load import load_rules, rules_folder
from analyzer.pipeline.files import reported


def children(process: int) -> Iterator[int]:
    """All processes that it has started, and that these have."""
    for path in Path("/proc").glob(f"{process}/task/*/children"):
        for child in map(int, path.read_text().split()):
            yield child
            yield from children(child)


def peak(process: int) -> int:
    """KiB that a process had at most; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def measured(paths: Sequence[str], *arguments: str) -> tuple[float, float, int, Any]:
    """Wall and CPU seconds, the largest peak (MiB) of any of its processes but the first, and the report."""
    line = [sys.executable, "-m", "analyzer", "analyze", *paths, *arguments, "-o", "json"]
    before, begin, most = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), 0
    with tempfile.TemporaryFile() as out, subprocess.Popen(line, stdout=out) as process:
        while process.poll() is None:
            most = max([most, *map(peak, children(process.pid))])
            time.sleep(0.2)
        wall = time.monotonic() - begin
        out.seek(0)
        report = json.load(out)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, most >> 10, report


def stages(paths: Sequence[str], work: str) -> tuple[dict[str, float], int, int]:
    """CPU seconds of each kind of task, one after the other in this process; packets; bytes shuffled."""
    rules = tuple(load_rules(rules_folder()))
    spent: defaultdict[str, float] = defaultdict(float)
    packets = written = 0
    last = time.process_time()

    def watch(task: Task, gave: Any) -> None:
        nonlocal packets, written, last
        now = time.process_time()
        spent[task.function.__name__] += now - last
        last = now
        if task.function.__name__ == "map_piece":
            packets += gave.counts.packets
            written += sum(gave.written)

    with tempfile.TemporaryDirectory(dir=work) as place:

        def read(files: Any, *, every: bool) -> ClusterReading:
            job, store = Job(rules, seed=1), Store(place)
            return ClusterReading(files, job, Here(store, job), watch)

        reported(paths, read, rules=len(rules))
    spent["the rest"] = time.process_time() - last
    return dict(spent), packets, written


def main() -> None:
    """Read the command line, print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cluster", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--stages", action="store_true", help="the cost of each stage instead")
    parser.add_argument("--work", default=tempfile.gettempdir(), help="where the columns are kept")
    options = parser.parse_args()
    paths = sorted(map(str, options.folder.iterdir()))
    if options.stages:
        spent, packets, written = stages(paths, options.work)
        print(f"{packets:,} packets, {written / packets:.1f} bytes a packet shuffled")
        for name, seconds in spent.items():
            print(f"| {name} | {seconds:.1f} s | {seconds / packets * 1e6:.2f} s a million |")
        return
    one = measured(paths, "--jobs", options.jobs)
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        place = ("--work", str(Path(work) / "run"))
        many = measured(paths, "--engine", "dask", "--jobs", options.jobs, *place)
    print(
        f"{one[3]['totals']['packets']:,} packets in {len(paths)} files, the same report: {one[3] == many[3]}"
    )
    for name, (wall, cpu, most, _) in (("one process", one), ("workers of Dask", many)):
        print(f"| {name} | {wall:.1f} s | {cpu:.1f} s CPU | {most} MiB |")
    print(f"{many[0] / one[0]:.2f} times the wall time")


if __name__ == "__main__":
    main()
