"""Real programs fail on this machine's kernel, right now, and the verdicts are what they got."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.lab.network import PREFIX, LabError, missing
from tests.lab.random_play import Run
from tests.lab.random_play import record as record_random
from tests.lab.record import QUICK, record, record_one
from tests.lab.resets import TRACEFS
from tests.lab.scenarios import SCENARIOS, Scenario
from tests.lab.score import WANTED, WORDS, Tally, score
from tests.lab.stage import Stage
from tests.test_score import DIFFER
from tests.test_truth import NOT_YET

MISSING = missing()
PRODUCTS = tuple(name for name in QUICK if SCENARIOS[name].needs)
PLAIN = tuple(name for name in QUICK if not SCENARIOS[name].needs)
NEEDS = sorted({program for name in PRODUCTS for program in SCENARIOS[name].needs} | {"strace"})
LACKS = missing(*NEEDS)
ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the lab needs: {', '.join(MISSING)}")


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(PLAIN, id="plain"),
        pytest.param(
            PRODUCTS,
            id="products",
            marks=pytest.mark.skipif(bool(LACKS), reason=f"the lab needs: {', '.join(LACKS)}"),
        ),
    ],
)
def test_verdicts_equal_what_programs_get_on_this_kernel(names: tuple[str, ...], tmp_path: Path) -> None:
    made = score(record(names, tmp_path))
    assert made.wrong_certain == []
    assert [miss for miss in made.errnos.misses if miss.partition("/")[0] not in NOT_YET] == []
    assert made.later.misses == []
    assert made.alarms.misses == []
    assert [miss for miss in made.places.misses if miss.partition("/")[0] not in DIFFER] == []
    assert made.given.percent >= WANTED["reasons given"], made.given.misses
    assert made.reasons.percent >= WANTED["reasons"], made.reasons.misses
    assert len({entry.scenario for entry in made.judged}) == len(names)
    assert made.errnos.total > len(names) / 2


def test_random_programs_over_a_bad_path_get_what_is_said(tmp_path: Path) -> None:
    """Few connections: what is rare is for `python -m tests.lab.random_play` with thousands."""
    run = Run(
        seed=int(time.time()) % 100_000, connections=80, loss=2, delay=0.005, ipv6=bool(os.getpid() % 2)
    )
    made = score(record_random(run, tmp_path, threading.Event()), anywhere=False)
    said = f"{run}: {[*made.lines(WANTED), *made.misses()]}"
    assert len(made.judged) > 2.5 * run.connections, said
    assert made.errnos.total > 10, said
    assert made.wrong_certain == [], said
    assert made.words["likely", "false alarm"] == 0, said
    for word, promised in WORDS.items():
        assert _may_be_chance(made.proven(word), promised / 100), said


def _may_be_chance(tally: Tally, promised: float) -> bool:
    """Whether so few right ones happen once in a thousand runs at least, if the promise is kept."""
    chances = [
        math.comb(tally.total, right) * promised**right * (1 - promised) ** (tally.total - right)
        for right in range(tally.right + 1)
    ]
    return sum(chances) >= 0.001


def test_a_scenario_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def play(stage: Stage) -> None:
        stage.established()
        raise LabError("as planned")

    with pytest.raises(LabError, match="broken: as planned"):
        record_one(Scenario("broken", "", play, delay=0.005), tmp_path, None, threading.Event(), port=7999)
    assert _namespaces(os.getpid()) == []
    assert list(tmp_path.iterdir()) == []


INTERRUPTED = ["connect-timeout", "keepalive-timeout", "retransmission-timeout", "nginx-upstream-timeout"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(bool(LACKS), reason=f"the lab needs: {', '.join(LACKS)}")
def test_an_interrupted_recording_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    """No namespace, no process, no half recording, no trace."""
    temporary, out, mark = tmp_path / "temporary", tmp_path / "out", f"LAB_MARK={tmp_path}"
    temporary.mkdir()
    command = [sys.executable, "-m", "tests.lab.record", "--out", str(out), *INTERRUPTED]
    environment = os.environ | {"TMPDIR": str(temporary), "LAB_MARK": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        _wait_for_captures(temporary)
        process.send_signal(number)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130, complaint.decode()
    assert _namespaces(process.pid) == []
    assert _processes(mark) == []
    assert list(temporary.iterdir()) == []
    whole = [folder for folder in out.glob("*") if list(folder.glob("*.pcap"))]
    assert len(whole) < len(INTERRUPTED)
    assert all(path.with_suffix(".truth.json").exists() for path in out.glob("*/*.pcap"))
    assert not (TRACEFS / f"instances/{PREFIX}-{process.pid}").exists()


def _wait_for_captures(temporary: Path) -> None:
    """Until most of them record."""
    deadline = time.monotonic() + 60
    while len({path.parent for path in temporary.glob("*/*/*.pcap")}) < len(INTERRUPTED) - 1:
        assert time.monotonic() < deadline, "the recording did not begin"
        time.sleep(0.05)


def _namespaces(pid: int) -> list[str]:
    return [path.name for path in Path("/run/netns").glob(f"{PREFIX}-{pid}-*")]


def _processes(mark: str) -> list[str]:
    """Those that were started with this in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append((path.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended meanwhile
            continue
    return found
