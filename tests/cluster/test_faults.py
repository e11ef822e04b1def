"""What goes wrong while a run goes on is mended, or told file by file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import analyzer.cluster.store
from analyzer.cluster.driving import Here, Watcher
from analyzer.cluster.job import Job, Task
from analyzer.cluster.reading import ClusterReading
from analyzer.cluster.store import Store
from analyzer.errors import UserError
from analyzer.pipeline.files import reported
from analyzer.reports.json_report import as_plain
from tests.captures import sample
from tests.cluster.place import RULES, in_one
from tests.cluster.place import small as small  # a fixture

SAMPLES = ("rst-after-fin-send-first", "icmp-host-unreachable-connect", "eof-in-tls-record")


class Doing(Here):
    """Does tasks here, and something else before each of them; ``done`` counts those that are done."""

    def __init__(self, store: Store, job: Job, before: Callable[[Task], Any]) -> None:
        super().__init__(store, job)
        self._before = before
        self.names: list[str] = []

    def next(self) -> tuple[Task, Any]:
        task = self._tasks[0]
        self.names.append(task.name)
        gave = self._before(task)
        if gave is not None:
            self._tasks.popleft()
            return task, gave
        return super().next()


def run(
    paths: list[str], place: Path, before: Callable[[Task], Any], watch: Watcher = lambda task, gave: None
) -> Any:
    def read(files: Any, *, every: bool) -> ClusterReading:
        job = Job(RULES, all_flows=every, seed=7, shards=3)
        store = Store(str(place))
        return ClusterReading(files, job, Doing(store, job, before), watch)

    return as_plain(reported(paths, read, rules=len(RULES)))


def copies(folder: Path) -> list[str]:
    paths = []
    for name in SAMPLES:
        path = folder / f"{name}.pcap"
        path.write_bytes(sample(name).read_bytes())
        paths.append(str(path))
    return paths


def nothing(task: Task) -> None:
    pass


def test_a_file_that_vanishes_is_named_and_the_others_are_told_of(tmp_path: Path) -> None:
    paths = copies(tmp_path)
    expected = json.loads(in_one(paths[0], paths[2]))

    def vanish(task: Task) -> None:
        if task.about == paths[1]:
            Path(paths[1]).unlink(missing_ok=True)

    found = run(paths, tmp_path / "work", vanish)
    assert "no such file" in found["captures"][1]["problems"][0]
    for flow in found["flows"]:
        flow["capture"] = 0
    for flow in expected["flows"]:
        flow["capture"] = 0
    assert found["flows"] == expected["flows"]


def test_a_file_that_was_never_there_is_named_and_the_others_are_told_of(tmp_path: Path) -> None:
    paths = copies(tmp_path)
    Path(paths[1]).unlink()
    found = run(paths, tmp_path / "work", nothing)
    assert "no such file" in found["captures"][1]["problems"][0]
    assert found["flows"]


def test_a_file_that_vanishes_before_it_is_read_again(tmp_path: Path) -> None:
    paths = copies(tmp_path)[2:]

    def vanish(task: Task) -> None:
        if task.function.__name__ == "hear":
            Path(paths[0]).unlink(missing_ok=True)

    found = run(paths, tmp_path / "work", vanish)
    assert "could not be read a second time" in found["captures"][0]["problems"][0]


def test_a_piece_that_kills_its_workers_is_missing_and_named(tmp_path: Path) -> None:
    paths = copies(tmp_path)

    def lose(task: Task) -> UserError | None:
        return UserError("worker-lost", task.about, "it was killed") if task.about == paths[0] else None

    found = run(paths, tmp_path / "work", lose)
    assert "it was killed" in found["captures"][0]["problems"][0]
    assert {flow["capture"] for flow in found["flows"]} == {1, 2}


def test_a_shard_that_kills_its_workers_ends_the_run(tmp_path: Path) -> None:
    def lose(task: Task) -> UserError | None:
        lost = task.function.__name__ == "reduce_shard"
        return UserError("worker-lost", task.about, "it was killed") if lost else None

    with pytest.raises(UserError) as raised:
        run(copies(tmp_path), tmp_path / "work", lose)
    assert raised.value.reference == "worker-lost"


def test_storage_that_fails_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = copies(tmp_path)
    monkeypatch.setattr(analyzer.cluster.store, "_PAUSES", (0, 0, 0))
    calls = {"_write": 0, "_read": 0}
    for name in calls:
        plain = getattr(Store, name)

        def flaky(self: Store, *arguments: Any, name: str = name, plain: Any = plain) -> Any:
            calls[name] += 1
            if calls[name] % 3:
                raise OSError(5, "Input/output error")
            return plain(self, *arguments)

        monkeypatch.setattr(Store, name, flaky)
    assert run(paths, tmp_path / "work", nothing) == json.loads(in_one(*paths))
    assert calls["_write"] > 6


def test_storage_that_fails_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyzer.cluster.store, "_PAUSES", (0, 0, 0))

    def broken(self: Store, name: str, data: bytes) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Store, "_write", broken)
    with pytest.raises(UserError) as raised:
        run(copies(tmp_path), tmp_path / "work", nothing)
    assert raised.value.reference == "work-failed"
    assert "--resume" in raised.value.hint


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    paths = copies(tmp_path)
    first = run(paths[:2], tmp_path / "work", nothing)
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "work" / "done").iterdir()}
    assert run(paths[:2], tmp_path / "work", nothing) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work" / "done").iterdir()} == done
    more = run(paths, tmp_path / "work", nothing)
    assert more == json.loads(in_one(*paths))
    assert {path: path.stat().st_mtime_ns for path in done} == done


def test_nothing_half_written_is_taken_for_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path / "work"))
    store.write("rows/a", b"whole")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        store.write("rows/b", b"half")
    assert [path.name for path in (tmp_path / "work" / "rows").iterdir()] == ["a"]
    assert store.read("rows/a") == b"whole"
