"""The command with workers of Dask: real processes, which are killed for real.

Dask and scapy must not share a process, so every run is a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.flows import plan
from tests.bench.generate import generate
from tests.bench.rotate import rotate
from tests.captures import ROOT, sample
from tests.storage import s3_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found in /proc")

_WAIT = 180
"""Seconds that a run may take on a busy machine."""

_SCHEDULER = """
import sys, time
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


def line(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "analyzer", "analyze", *arguments]


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        line(*arguments), capture_output=True, text=True, cwd=ROOT, timeout=_WAIT, check=False, **options
    )


def report(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A capture of many flows in six files, large enough for several shards."""
    folder = tmp_path_factory.mktemp("rotated")
    generate(folder / "all.pcap", plan("short", 420_000, None, 1, 600.0), snaplen=96)
    paths = rotate(folder / "all.pcap", folder / "files", 6)
    (folder / "all.pcap").unlink()
    assert sum(path.stat().st_size for path in paths) > 32 << 20
    return list(map(str, paths))


@pytest.fixture(scope="module")
def expected(rotated: list[str]) -> Any:
    return report(run(*rotated, "-o", "json"))


def test_the_report_is_that_of_one_process(rotated: list[str], expected: Any) -> None:
    done = run(*rotated, "--engine", "dask", "--jobs", "2", "-o", "json")
    assert report(done) == expected
    assert "Dask's dashboard: http://127.0.0.1:" in done.stderr
    assert expected["captures"][1]["carries_on"] == 0


def children(process: int) -> list[int]:
    """All that it has started, and what these have."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            own = int(path.parent.name)
            found += [own, *children(own)]
    return found


def workers(process: int) -> list[int]:
    """Those of its processes that have started none: not the nannies, nor what multiprocessing needs."""
    found = []
    for child in children(process):
        try:
            command = (Path("/proc") / str(child) / "cmdline").read_text()
        except OSError:
            continue
        if "spawn_main" in command and not children(child):
            found.append(child)
    return found


def done(work: Path, kind: str) -> list[Path]:
    return sorted((work / "done").glob(f"{kind}-*"))


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + _WAIT
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def started(rotated: list[str], work: Path, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    arguments = (*rotated, "--engine", "dask", "--jobs", "2", "--work", str(work), *arguments)
    return subprocess.Popen(
        line(*arguments, "-o", "json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        **options,
    )


@pytest.mark.parametrize("kind", ["map_piece", "reduce_shard"])
def test_a_worker_is_killed_in_the_middle(
    kind: str, rotated: list[str], expected: Any, tmp_path: Path
) -> None:
    with started(rotated, tmp_path / "work") as first:
        wait_for(lambda: len(done(tmp_path / "work", kind)) > 0 or first.poll() is not None)
        killed = workers(first.pid)[0]
        os.kill(killed, signal.SIGKILL)
        told, complaints = first.communicate(timeout=_WAIT)
    assert first.returncode == 0, complaints
    assert json.loads(told) == expected
    assert "Traceback" not in complaints


def test_a_terminal_interrupts_all_of_it(rotated: list[str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    with started(rotated, work, start_new_session=True) as first:
        wait_for(lambda: len(done(work, "map_piece")) > 0 or first.poll() is not None)
        every = children(first.pid)
        os.killpg(first.pid, signal.SIGINT)
        told, complaints = first.communicate(timeout=_WAIT)
    assert (first.returncode, told) == (130, "")
    assert "Traceback" not in complaints
    wait_for(lambda: not any(Path(f"/proc/{process}/cmdline").exists() for process in every))


def test_a_run_that_was_killed_is_gone_on_with(rotated: list[str], expected: Any, tmp_path: Path) -> None:
    work = tmp_path / "work"
    with started(rotated, work) as first:
        wait_for(lambda: len(done(work, "map_piece")) > 2 or first.poll() is not None)
        every = children(first.pid)
        os.kill(first.pid, signal.SIGKILL)
        for process in every:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
    finished = {path: path.stat().st_mtime_ns for path in done(work, "map_piece")}
    assert len(finished) > 2
    used = run(*rotated, "--engine", "dask", "--work", str(work))
    assert (used.returncode, "--resume" in used.stderr) == (2, True)
    other = run(*rotated, "--engine", "dask", "--work", str(work), "--resume", "--server-os", "freebsd")
    assert (other.returncode, "other options" in other.stderr) == (2, True)
    with started(rotated, work, "--resume") as second:
        told, complaints = second.communicate(timeout=_WAIT)
    assert second.returncode == 0, complaints
    assert json.loads(told) == expected
    assert {path: path.stat().st_mtime_ns for path in finished} == finished


def test_a_file_that_has_changed_is_read_anew(rotated: list[str], tmp_path: Path) -> None:
    files = [shutil.copy(path, tmp_path) for path in rotated[:2]]
    work = ("--engine", "dask", "--jobs", "1", "--work", str(tmp_path / "work"), "-o", "json")
    report(run(*files, *work))
    shutil.copy(rotated[2], files[1])
    assert report(run(*files, *work, "--resume")) == report(run(*files, "-o", "json"))


def test_no_room_is_left(rotated: list[str], tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("a small file system can be mounted by root only")
    work = tmp_path / "work"
    work.mkdir()
    command = " ".join(line(*rotated, "--engine", "dask", "--jobs", "2", "--work", str(work)))
    script = f"mount -t tmpfs -o size=2m none {work} && exec {command}"
    full = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=_WAIT,
        check=False,
    )
    if "mount" in full.stderr and "denied" in full.stderr:
        pytest.skip("nothing can be mounted here")
    assert full.returncode == 2
    assert "no room is left" in full.stderr
    assert "--resume" in full.stderr
    assert "Traceback" not in full.stderr


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-c", _SCHEDULER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as cluster:
        assert cluster.stdout
        yield cluster.stdout.readline().strip()
        cluster.communicate(timeout=_WAIT)


def test_a_scheduler_that_is_there(scheduler: str, rotated: list[str], expected: Any, tmp_path: Path) -> None:
    use = ("--engine", "dask", "--scheduler", scheduler)
    assert report(run(*rotated, *use, "--work", str(tmp_path / "work"), "-o", "json")) == expected
    nowhere = run(*rotated, *use)
    assert (nowhere.returncode, "name it with --work" in nowhere.stderr) == (2, True)


def test_no_process_loads_scapy(scheduler: str, rotated: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from analyzer.cli.main import run; "
        f"assert run({['analyze', rotated[0], '--engine', 'dask', '--scheduler', scheduler]!r}"
        f" + ['--work', {str(tmp_path / 'work')!r}]) == 0; "
        f"from distributed import Client; client = Client({scheduler!r}); "
        "loaded = [*client.run(lambda: 'scapy' in sys.modules).values(), 'scapy' in sys.modules]; "
        "assert loaded == [False] * 3, loaded"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=_WAIT, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_no_scheduler_is_there(tmp_path: Path) -> None:
    use = ("--engine", "dask", "--scheduler", "tcp://127.0.0.1:1", "--work", str(tmp_path))
    ran = run(str(sample("rst-after-fin-send-first")), *use)
    assert ran.returncode == 2
    assert "no scheduler of Dask answers there" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []  # --work is free for the run that finds one


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['distributed'] = None; from analyzer.cli.main import run; "
        f"sys.exit(run(['analyze', {str(sample('rst-after-fin-send-first'))!r}, '--engine', 'dask']))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=_WAIT, check=False
    )
    assert ran.returncode == 2
    assert "pip install 'errnoscope[cluster]'" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-", "--engine", "dask"], "once only"),
        (["--engine", "dask", "--resume"], "--work"),
        (["--engine", "dask", "--work", "nowhere://bucket/run"], "nothing reads nowhere://"),
        (["--resume"], "add --engine dask"),
        (["--scheduler", "tcp://127.0.0.1:1"], "add --engine dask"),
        (["--engine", "dask", "--decoder", "tshark"], "--decoder"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], told: str) -> None:
    paths = [] if arguments[0] == "-" else [str(sample("rst-after-fin-send-first"))]
    ran = run(*paths, *arguments)
    assert (ran.returncode, told in ran.stderr) == (2, True), ran.stderr


def test_captures_and_columns_in_object_storage(rotated: list[str], expected: Any) -> None:
    with s3_server() as s3:
        s3.put("bucket")
        for path in rotated:
            s3.put(f"bucket/captures/{Path(path).name}", Path(path).read_bytes())
        s3.put("bucket/work")
        use = ("--engine", "dask", "--jobs", "2", "--work", "s3://bucket/work/run", "-o", "json")
        found = report(run("s3://bucket/captures/", *use, env=s3.environment))
        for capture, other in zip(found["captures"], expected["captures"], strict=True):
            assert Path(capture.pop("path")).name == Path(other["path"]).name
        plain = {**expected, "captures": [{**one} for one in expected["captures"]]}
        for capture in plain["captures"]:
            del capture["path"]
        assert found == plain


def test_a_task_that_kills_each_worker_is_given_up(tmp_path: Path) -> None:
    code = f"""
import os, signal
from analyzer.cluster.job import Job, Task
from analyzer.cluster.store import Store
from analyzer.cluster.with_dask import keep_job, workers

def killing(store, job, name):
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    store = Store({str(tmp_path)!r})
    keep_job(store, Job(()))
    with workers(store, "", 2) as doer:
        doer.submit(Task("killing", killing, (), "some.pcap"))
        print(doer.next()[1].reference)
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    ran = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=_WAIT,
        check=False,
    )
    assert ran.stdout.strip() == "worker-lost", ran.stderr
