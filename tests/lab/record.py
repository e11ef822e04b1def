"""Record scenarios: `python -m tests.lab.record [--out FOLDER] [--list] [SCENARIO ...]`.

Without names all are recorded but the slow ones, which take minutes: name them or add --slow.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from .capture import captures
from .network import LabError, missing, network, remove_stale
from .resets import ResetTrace, reset_trace
from .scenarios import SCENARIOS, Scenario
from .stage import stage
from .truth import truth, write

FIRST_PORT = 8001
WORKERS = 6
QUICK = tuple(name for name, scenario in SCENARIOS.items() if scenario.seconds <= 3)


def _port(scenario: Scenario) -> int:
    """A port of its own: the tracepoint sees all that is recorded at the same time."""
    return FIRST_PORT + list(SCENARIOS).index(scenario.name)


def _play(
    scenario: Scenario, folder: Path, trace: ResetTrace | None, cancel: threading.Event, port: int
) -> list[Path]:
    """Record one scenario into a folder."""
    began = time.time()
    with (
        network(cancel, scenario.ipv6, scenario.delay) as net,
        stage(net, port, scenario.delay) as ends,
        captures(net, folder, scenario.captures) as running,
    ):
        scenario.play(ends)
        ends.finished()
        for capture in running.values():
            capture.stop()
            if scenario.edit:
                scenario.edit(capture.path)
        resets = [reset for reset in trace.read() if reset.t >= began] if trace else None
    made = truth(ends, scenario.name, scenario.description, resets)
    return [write(made, vantage, capture.path) for vantage, capture in running.items()]


def record_one(
    scenario: Scenario, out: Path, trace: ResetTrace | None, cancel: threading.Event, port: int
) -> list[Path]:
    """Record one scenario; what was there before is replaced only when all went well."""
    with tempfile.TemporaryDirectory() as work:
        fresh = Path(work, scenario.name)
        fresh.mkdir()
        try:
            truths = _play(scenario, fresh, trace, cancel, port)
        except LabError as error:
            raise LabError(f"{scenario.name}: {error}") from error
        target = out / scenario.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(fresh, target)
    return [target / path.name for path in truths]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def record(names: Sequence[str], out: Path) -> list[Path]:
    """Record these scenarios below `out`, some at a time; the truth files."""
    lacks = missing(*dict.fromkeys(program for name in names for program in SCENARIOS[name].needs))
    if lacks:
        raise LabError(f"the lab needs: {', '.join(lacks)}")
    remove_stale()
    cancel = threading.Event()
    chosen = sorted((SCENARIOS[name] for name in names), key=lambda scenario: -scenario.seconds)
    long = sum(scenario.seconds > 3 for scenario in chosen)
    with reset_trace() as trace, concurrent.futures.ThreadPoolExecutor(WORKERS + long) as pool:
        futures = [
            pool.submit(record_one, scenario, out, trace, cancel, _port(scenario)) for scenario in chosen
        ]
        try:
            concurrent.futures.wait(futures)
        except BaseException:
            cancel.set()
            pool.shutdown(cancel_futures=True)
            raise
    failed = [str(error) for future in futures if (error := future.exception())]
    if failed:
        raise LabError("; ".join(failed))
    return [path for future in futures for path in future.result()]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Record scenarios between network namespaces.")
    parser.add_argument(
        "--out", type=Path, default=Path("samples"), help="folder to write to (default: samples)"
    )
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument("--slow", action="store_true", help="those that take minutes as well")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="default: all that are not slow")
    return parser.parse_args()


def main() -> int:
    """The command."""
    arguments = _arguments()
    if arguments.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name:40} {scenario.seconds:5} s  {scenario.description}")
        return 0
    usual = [name for name, scenario in SCENARIOS.items() if arguments.slow or not scenario.slow]
    names = arguments.scenarios or usual
    unknown = sorted(set(names) - set(SCENARIOS))
    if unknown:
        print(f"no such scenario: {', '.join(unknown)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        for path in record(names, arguments.out):
            print(path)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the namespaces are removed", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
