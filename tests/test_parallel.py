"""Several processes give the same answer as one, and none is left behind.

What forks runs in a process of its own, which has no other threads.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.pipeline.front import BATCH_ROWS
from tests.bench.flows import plan
from tests.bench.generate import generate
from tests.cluster.test_same_answer import rotation

_SAME = """
import json, sys
from analyzer.matching.load import load_rules, rules_folder
from analyzer.parallel import can_fork
from analyzer.pipeline.files import analyze
from analyzer.reports.json_report import as_plain

assert can_fork()
rules = load_rules(rules_folder())
frames, *numbers = map(int, sys.argv[1].split(","))
different = []
for path in sys.argv[2:]:
    told = (as_plain(analyze(path, rules=rules, max_frames=frames, jobs=jobs)) for jobs in numbers)
    if len(set(map(json.dumps, told))) > 1:
        different.append(path)
print(json.dumps(different))
"""

_FLOOD = """
import json, sys
from analyzer.pipeline.files import analyze
from analyzer.reports.json_report import as_plain

path, (jobs, flows, frames) = sys.argv[1], map(int, sys.argv[2:])
print(json.dumps(as_plain(analyze(path, jobs=jobs, max_flows=flows, max_frames=frames))))
"""

_NO_ROOM = """
import errno, json, multiprocessing, os, sys
from analyzer.pipeline.files import analyze
from analyzer.reports.json_report import as_plain

path, (jobs, flows, most) = sys.argv[1], map(int, sys.argv[2:])
fork, made = os.fork, []

def some():
    made.append(1)
    if len(made) > most:
        assert len(multiprocessing.active_children()) <= most
        raise OSError(errno.EAGAIN, "no room")
    return fork()

os.fork = some
print(json.dumps(as_plain(analyze(path, jobs=jobs, max_flows=flows))))
assert not multiprocessing.active_children()
"""

_SHRINKS = """
import os, sys
from analyzer import parallel
from analyzer.pipeline.files import analyze

path = sys.argv[1]
put = parallel._put

def cut(*arguments):  # in the process that reads, before its first rows are there
    os.truncate(path, os.path.getsize(path) // 3)
    return put(*arguments)

parallel._put = cut
capture = analyze(path, jobs=3).captures[0]
print(capture.packets, *capture.problems, sep="|")
"""

_KILLS = """
import multiprocessing, os, signal, sys
from analyzer.errors import UserError
from analyzer.pipeline.files import analyze

def kill(read, size):
    children = sorted(child.pid for child in multiprocessing.active_children())
    os.kill(children[int(sys.argv[2])], signal.SIGKILL)

try:
    analyze(sys.argv[1], jobs=3, max_frames=1000, progress=kill)
except UserError as error:
    print(error.hint)
assert not multiprocessing.active_children()
"""

_ITEMS = """
import os, signal, sys, time
import numpy as np
from analyzer import parallel

def items():
    for number in range(5):
        arrays = {"a": np.full(number * 3, number, np.uint16), "b": np.arange(number * 3)}
        yield parallel.Item(arrays, number)

def backwards(count):
    values = np.arange(count)
    one = np.ndarray((count,), np.uint8, b"7", strides=(0,))
    arrays = {"a": values, "b": values.astype(np.uint8), "c": one, "d": values}
    yield parallel.Item(arrays, count, values[::-1])

def loosely(count):
    values = np.arange(count)
    yield parallel.Item({"a": values, "b": values.astype(np.uint8)}, count, values[::-1], {"b"})

def large():
    yield parallel.Item({"a": np.arange(parallel.ROOM // 8 + 1)}, "large")

def broken():
    yield parallel.Item({}, 1)
    raise ValueError("broken")

def killed():
    yield parallel.Item({}, 1)
    os.kill(os.getpid(), signal.SIGKILL)

def endless():
    while True:
        yield parallel.Item({}, os.getpid())
"""


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def gone(process: int) -> bool:
    """Whether it has ended, soon."""
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a second process is used on Linux only")


CAPTURES = sorted(map(str, Path("samples").glob("*/*.pcap*")))


@pytest.mark.parametrize("portion", range(4))
def test_samples_give_the_same_report(portion: int) -> None:
    assert json.loads(run(_SAME, "16384,1,2,4", *CAPTURES[portion::4])) == []


def test_samples_in_small_batches_give_the_same_report() -> None:
    assert json.loads(run(_SAME, "5,1,3", *CAPTURES[::5])) == []


@pytest.mark.parametrize("seed", range(6))
def test_many_captures_in_one_file_give_the_same_report(seed: int, tmp_path: Path) -> None:
    generator = random.Random(seed)
    for count in (5, 40):
        [path] = rotation(generator, tmp_path, count, 1, serial=seed % 2 == 0, spoilt="")
        assert json.loads(run(_SAME, f"{generator.choice([3, 50, 16_384])},1,3,5", path)) == []


@pytest.mark.parametrize("mix", ["realistic", "short", "retransmissions"])
def test_captures_of_several_batches_give_the_same_report(mix: str, tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    generate(path, plan(mix, 2 * BATCH_ROWS + 4321, None, 1, 600.0), snaplen=96)
    assert json.loads(run(_SAME, "16384,1,2,3", str(path))) == []


def test_where_too_many_flows_are_open_those_go_that_one_process_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    generate(path, plan("synflood", 20_000, None, 1, 60.0))
    told = [run(_FLOOD, str(path), jobs, "5000", "1000") for jobs in ("1", "2", "3")]
    assert len(set(told)) == 1
    assert "were let go" in told[0]


def test_whichever_share_has_too_many_flows_first_all_is_read_anew(tmp_path: Path) -> None:
    [path] = rotation(random.Random(7), tmp_path, 12, 1, serial=False, spoilt="")
    told = {run(_FLOOD, path, jobs, "17", "1") for jobs in ("1", "5", "5", "4")}
    assert len(told) == 1


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_where_there_is_no_room_for_processes_fewer_do_it(most: int, tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    generate(path, plan("synflood", 300_000, None, 1, 60.0))
    assert run(_NO_ROOM, str(path), "3", "20000", str(most)) == run(_NO_ROOM, str(path), "1", "20000", "0")


def test_a_file_that_shrinks_while_it_is_mapped_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    generate(path, plan("short", 400_000, None, 1, 60.0))
    packets, problem = run(_SHRINKS, str(path)).split("|")
    assert 0 < int(packets) < 400_000
    assert "ends inside a record" in problem


@pytest.mark.parametrize("which", [0, 1])
def test_it_is_said_when_one_that_follows_flows_was_killed(which: int, tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    generate(path, plan("short", 400_000, None, 1, 60.0))
    assert "--jobs 1" in run(_KILLS, str(path), str(which))


def test_items_arrive_as_they_were_made() -> None:
    code = """
for arrays, number in parallel.Ahead(items()):
    assert arrays["a"].tolist() == [number] * number * 3 and arrays["a"].dtype == np.uint16
    assert arrays["b"].tolist() == list(range(number * 3))
    print(number)
"""
    assert run(_ITEMS + code).split() == ["0", "1", "2", "3", "4"]


def test_behind_the_last_item_the_other_process_frees_the_memory_and_ends() -> None:
    code = """
import multiprocessing
ahead = parallel.Ahead(items())
shared = [any("/dev/zero" in line for line in open("/proc/self/maps"))]
for arrays, _ in ahead:
    pass
del arrays
shared.append(any("/dev/zero" in line for line in open("/proc/self/maps")))
process = ahead._process
process.join(60)
print(*shared, process.exitcode)
ahead.close()
assert not multiprocessing.active_children()
"""
    assert run(_ITEMS + code).split() == ["True", "False", "0"]


@pytest.mark.parametrize("count", [0, 1, 2, 1000, "parallel.ROOM // 8 + 1"])
def test_arrays_arrive_in_the_order_that_is_asked_for(count: int | str) -> None:
    code = f"""
for arrays, number in parallel.Ahead(backwards({count})):
    assert (arrays["a"] == np.arange(number)[::-1]).all() and arrays["a"].dtype == np.int64
    assert (arrays["b"] == arrays["a"].astype(np.uint8)).all() and arrays["b"].dtype == np.uint8
    assert arrays["c"].tobytes() == b"7" * number and arrays["d"] is arrays["a"]
    print(number == {count})
"""
    assert run(_ITEMS + code).split() == ["True"]


@pytest.mark.parametrize("count", [3, "parallel.ROOM // 8 + 1"])
def test_loose_arrays_arrive_as_they_are(count: int | str) -> None:
    code = f"""
for arrays, number in parallel.Ahead(loosely({count})):
    plain = np.arange(number)
    print((arrays["a"] == plain[::-1]).all(), (arrays["b"] == plain.astype(np.uint8)).all())
"""
    assert run(_ITEMS + code).split() == ["True", "True"]


def test_an_item_that_the_shared_memory_cannot_hold_arrives_too() -> None:
    code = """
for arrays, number in parallel.Ahead(large()):
    print(number, (arrays["a"] == np.arange(parallel.ROOM // 8 + 1)).all())
"""
    assert run(_ITEMS + code).split() == ["large", "True"]


def test_an_error_of_the_other_process_is_raised_here() -> None:
    code = """
try:
    print([number for _, number in parallel.Ahead(broken())])
except ValueError as error:
    print(error)
"""
    assert run(_ITEMS + code).split() == ["broken"]


def test_it_is_said_when_the_other_process_was_killed() -> None:
    code = """
try:
    print([number for _, number in parallel.Ahead(killed())])
except parallel.KilledError:
    print("killed")
"""
    assert run(_ITEMS + code).split() == ["killed"]


def test_the_other_process_ends_when_nobody_asks_for_more() -> None:
    code = """
made = iter(parallel.Ahead(endless()))
print(next(made)[1])
made.close()
"""
    assert gone(int(run(_ITEMS + code)))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_other_process_ends_with_this_one(how: signal.Signals) -> None:
    code = """
for _, process in iter(parallel.Ahead(endless())):
    print(process, flush=True)
    time.sleep(0.01)
"""
    command = [sys.executable, "-c", _ITEMS + code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as first:
        assert first.stdout
        second = int(first.stdout.readline())
        first.send_signal(how)
        first.stdout.close()
        assert first.wait(timeout=30) != 0
    assert gone(second)


_BEGUN = """
import sys
from pathlib import Path
from analyzer.pipeline.begun import begin
from analyzer.pipeline.files import analyze

path = Path(sys.argv[1])
whole = analyze(path, jobs=1)
with begin([path], jobs=2) as first:
    path.unlink()
    told = analyze(path, jobs=1, begun=first)
assert (told.totals, told.flows) == (whole.totals, whole.flows), told.captures
print(told.totals.packets)
"""


def test_what_is_begun_is_gone_on_with_whatever_became_of_the_file(tmp_path: Path) -> None:
    capture = tmp_path / "capture.pcap"
    generate(capture, plan("short", 5_000, None, 1, 60.0))
    assert run(_BEGUN, str(capture)) == "5000\n"
