"""The files of a rotating capture: the findings of all files at once, told once, whoever kills the run."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

from analyzer.cli.state_file import StateFile, _unsaid
from analyzer.errors import UserError
from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.blocks import FrameBlock
from analyzer.pipeline import following as following_module
from analyzer.pipeline.files import analyze
from analyzer.pipeline.following import Following
from analyzer.sources.inputs import Input
from analyzer.sources.rotation import Rotation
from tests.bench.flows import plan
from tests.bench.generate import generate
from tests.captures import ROOT, frames_of, sample
from tests.sources.build import Frame, pcap
from tests.storage import s3_server

RULES = load_rules(rules_folder())
PIECES = 6
LONG_AGO = time.time() - 3600


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Frame]:
    """Many connections that fail, over ten minutes."""
    path = tmp_path_factory.mktemp("made") / "made.pcap"
    generate(path, plan("failing", 1500, None, 1, 600.0))
    return frames_of(path.read_bytes())


def pieces(frames: Sequence[Frame], count: int = PIECES) -> list[bytes]:
    cuts = [number * len(frames) // count for number in range(count + 1)]
    return [pcap(frames[begin:end]) for begin, end in pairwise(cuts)]


def fill(folder: Path, files: Sequence[bytes]) -> Path:
    """Files that nobody has written into for long."""
    folder.mkdir()
    for number, data in enumerate(files):
        write(folder / f"trace-{number}.pcap", data)
    return folder


def write(path: Path, data: bytes, changed: float = LONG_AGO) -> None:
    path.write_bytes(data)
    os.utime(path, (changed, changed))


def line(folder: Path | str, *options: str | Path) -> list[str]:
    return [sys.executable, "-m", "analyzer", "live", "--follow", str(folder), *map(str, options)]


def output(folder: Path | str, *options: str | Path) -> str:
    done = subprocess.run(line(folder, *options), capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def told(following: Following) -> list[tuple[str, int]]:
    """Which files it takes, and of how many frames the last of them makes the whole."""
    found = []
    while step := following.step():
        found.append((Path(step.path).name, step.standing.packets))
    return found


# The same answer


def test_the_report_is_that_of_all_files_at_once(frames: list[Frame], tmp_path: Path) -> None:
    folder = fill(tmp_path / "captures", pieces(frames))
    output(folder, "--once", "-o", f"json={tmp_path / 'followed.json'}")
    followed = json.loads((tmp_path / "followed.json").read_text())
    subprocess.run(
        [sys.executable, "-m", "analyzer", "analyze", folder, "-o", f"json={tmp_path / 'read.json'}"],
        cwd=ROOT,
        check=True,
    )
    assert followed == json.loads((tmp_path / "read.json").read_text())
    assert len(followed["flows"]) > 100


def test_a_connection_that_spans_files_is_one(tmp_path: Path) -> None:
    frames = frames_of(sample("rst-after-fin-send-first").read_bytes())
    folder = fill(tmp_path / "captures", pieces(frames, 3))
    (told,) = output(folder, "--once", "--state", tmp_path / "state", "-o", "json-lines").splitlines()
    record = json.loads(told)
    assert record["verdict"]["errno"] == "EPIPE"
    assert record["verdict"]["frame_captures"] == [2, 2]
    assert record["verdict"]["frames"] == [16 - 11, 17 - 11]


def test_after_a_pause_connections_do_not_go_on(tmp_path: Path) -> None:
    frames = frames_of(sample("rst-after-fin-send-first").read_bytes())
    later = [frame._replace(time=frame.time + 7200 * 10**9) for frame in frames]
    folder = fill(tmp_path / "captures", [pcap(frames[:9]), pcap(later)])
    following = Following(str(folder), RULES)
    assert told(following) == [("trace-0.pcap", 9), ("trace-1.pcap", 17 + 9)]
    report = following.report()
    assert [capture.carries_on for capture in report.captures] == [None, None]
    assert [flow.flow.capture for flow in report.flows] == [1]
    assert report.totals.tcp_flows == 2


# Nothing is lost and nothing repeated


def test_a_run_that_goes_on_says_nothing_twice(frames: list[Frame], tmp_path: Path) -> None:
    files = pieces(frames)
    whole = output(fill(tmp_path / "whole", files), "--once", "--state", tmp_path / "other")
    folder, parts = fill(tmp_path / "captures", files[:2]), ""
    for number in range(2, PIECES + 1):
        parts += output(folder, "--once", "--state", tmp_path / "state")
        if number < PIECES:
            write(folder / f"trace-{number}.pcap", files[number])
    assert parts == whole
    assert output(folder, "--once", "--state", tmp_path / "state") == ""


KILLED = """
import os, sys
from analyzer.cli import follow, main, state_file
left = int(sys.argv[1])
def passes():
    global left
    left -= 1
    if left < 0:
        os._exit(9)
replace, say = state_file.StateFile._replace, follow._say
def replaced(self, *arguments, **options):
    passes()
    replace(self, *arguments, **options)
    passes()
def said(text):
    passes()
    say(text[: len(text) // 2])
    passes()
    say(text[len(text) // 2 :])
    passes()
state_file.StateFile._replace, follow._say = replaced, said
sys.exit(main.run(sys.argv[2:]))
"""


def test_a_run_that_ends_between_any_two_steps_is_gone_on_with(frames: list[Frame], tmp_path: Path) -> None:
    """Before and after each file that is written, and in the middle of what is said."""
    folder = fill(tmp_path / "captures", pieces(frames, 2))
    whole = output(folder, "--once", "--state", tmp_path / "other")
    arguments = ["live", "--follow", str(folder), "--once", "--state"]
    for passed in range(8):
        out, state = tmp_path / f"out{passed}", str(tmp_path / f"state{passed}")
        with out.open("ab") as stdout:
            for code, status in ((["-c", KILLED, str(passed)], 9), (["-m", "analyzer"], 0)):
                line = [sys.executable, *code, *arguments, state]
                done = subprocess.run(line, stdout=stdout, cwd=ROOT, check=False)
                assert done.returncode == status
        assert out.read_text() == whole, passed


def test_a_run_that_is_killed_at_random_is_gone_on_with(frames: list[Frame], tmp_path: Path) -> None:
    folder = fill(tmp_path / "captures", pieces(frames, 24))
    whole = output(folder, "--once", "--state", tmp_path / "other")
    chance, out, kills = random.Random(7), tmp_path / "out", 0
    with out.open("ab") as stdout:
        while True:
            run = subprocess.Popen(
                line(folder, "--once", "--state", tmp_path / "state"), stdout=stdout, cwd=ROOT
            )
            before = out.stat().st_size
            until = time.monotonic() + 60
            while run.poll() is None and out.stat().st_size == before and time.monotonic() < until:
                time.sleep(0.001)  # it has begun to speak
            time.sleep(chance.random() * 0.1)
            run.send_signal(signal.SIGKILL)
            kills += run.wait() == -signal.SIGKILL
            if run.returncode == 0:
                break
    assert kills > 1
    assert out.read_text() == whole


# As files come


@pytest.fixture
def growing(tmp_path: Path) -> Path:
    folder = tmp_path / "captures"
    folder.mkdir()
    return folder


def test_a_file_is_taken_once_a_newer_one_has_a_frame(frames: list[Frame], growing: Path) -> None:
    files, now = pieces(frames, 3), time.time()
    following = Following(str(growing), RULES)
    assert following.step() is None
    write(growing / "t0.pcap", files[0], now)
    assert following.step() is None
    write(growing / "t1.pcap", files[1][:24], now)
    assert following.step() is None
    write(growing / "t1.pcap", files[1], now)
    assert told(following) == [("t0.pcap", 500)]
    write(growing / "t1.pcap", files[1], now - 100)
    assert told(following) == [("t1.pcap", 1000)]


def test_what_a_file_has_grown_by_is_read_too(frames: list[Frame], growing: Path) -> None:
    following = Following(str(growing), RULES)
    cut = len(pcap(frames[:700]))
    write(growing / "t0.pcap", pcap(frames)[:cut])
    assert told(following) == [("t0.pcap", 700)]
    write(growing / "t0.pcap", pcap(frames), time.time())
    assert following.step() is None
    write(growing / "t0.pcap", pcap(frames))
    assert told(following) == [("t0.pcap", 1500)]
    whole = analyze(str(growing / "t0.pcap"))
    report = following.report()
    assert (report.flows, report.totals) == (whole.flows, whole.totals)


def test_a_ring_uses_its_names_again(frames: list[Frame], growing: Path) -> None:
    files = pieces(frames, 5)
    following = Following(str(growing), RULES)
    taken = []
    for number, data in enumerate(files):
        write(growing / f"t{number % 2}.pcap", data, LONG_AGO + number)
        taken += told(following)
    assert taken == [
        ("t0.pcap", 300),
        ("t1.pcap", 600),
        ("t0.pcap", 900),
        ("t1.pcap", 1200),
        ("t0.pcap", 1500),
    ]
    whole = analyze(str(fill(growing.parent / "whole", files)))
    assert len(following.report().flows) == len(whole.flows)


def test_what_is_not_of_the_series_is_left_out_and_named(frames: list[Frame], growing: Path) -> None:
    files = pieces(frames, 3)
    following = Following(str(growing), RULES)
    write(growing / "t1.pcap", files[1])
    assert told(following) == [("t1.pcap", 500)]
    write(growing / "t0.pcap", files[0])
    write(growing / "others.pcap", files[2])
    write(growing / "notes.txt", b"no capture")
    write(growing / "t2.pcap", files[2])
    assert told(following) == [("t2.pcap", 1000)]
    assert sorted(problem.split("/")[-1].split(":")[0] for problem in following.rotation.problems) == [
        "others.pcap",
        "t0.pcap",
    ]


def test_a_file_that_is_damaged_is_named_and_the_next_one_taken(frames: list[Frame], growing: Path) -> None:
    files = pieces(frames, 3)
    following = Following(str(growing), RULES)
    for number, data in enumerate(files):
        cut = len(data) // 2
        damaged = data[:cut] + b"\xff" * 4096 if number == 1 else data
        write(growing / f"t{number}.pcap", damaged)
    steps = [following.step() for _ in files]
    assert [len(step.standing.problems) for step in steps if step] == [0, 1, 0]
    assert following.step() is None


def test_it_says_what_it_finds_while_it_runs(frames: list[Frame], growing: Path, tmp_path: Path) -> None:
    files = pieces(frames, 3)
    write(growing / "t0.pcap", files[0], time.time())
    with subprocess.Popen(
        line(growing, "--state", tmp_path / "state"), stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as run:
        assert run.stdout
        write(growing / "t1.pcap", files[1], time.time())
        assert "ECONN" in run.stdout.readline()
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=60)
    assert run.returncode == 0


def test_what_a_person_at_a_terminal_sees(frames: list[Frame], tmp_path: Path) -> None:
    """Date and zone, words that are whole, and that it waits."""
    folder = fill(tmp_path / "captures", pieces(frames, 2))
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(line(folder), stdout=theirs, stderr=theirs, cwd=ROOT) as run:
        os.close(theirs)
        seen = b""
        while b"waiting for the next file" not in seen:
            seen += os.read(ours, 65536)
        run.send_signal(signal.SIGTERM)
    os.close(ours)
    lines = [one.rstrip() for one in seen.decode().split("\r\x1b[K")[0].splitlines()]
    assert lines.pop().startswith("2 files read, ")
    assert max(map(len, lines)) < 80
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC  ", lines[0])
    words = output(folder, "--once").split()
    seen_words = " ".join(lines).split()
    assert seen_words == words[: len(seen_words)]


def test_object_storage(frames: list[Frame], tmp_path: Path) -> None:
    files = pieces(frames, 3)
    whole = output(fill(tmp_path / "whole", files), "--once", "--state", tmp_path / "other")
    with s3_server() as s3:
        s3.put("bucket")
        parts = ""
        for number, data in enumerate(files):
            s3.put(f"bucket/captures/trace-{number}.pcap", data)
            options = line("s3://bucket/captures/", "--once", "--state", tmp_path / "state")
            parts += subprocess.run(
                options, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=s3.environment, check=True
            ).stdout
    assert parts == whole


# The state


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    store = StateFile(str(path), {"--follow": "here"})
    store.save({"a": 1}, b"to be said\n")
    store.close()
    return path


def load(path: Path, **settings: str) -> object:
    store = StateFile(str(path), settings or {"--follow": "here"})
    try:
        return store.load()
    finally:
        store.close()


def test_a_state_is_its_owners_alone(state: Path) -> None:
    assert state.stat().st_mode & 0o777 == 0o600
    assert load(state) == ({"a": 1}, b"to be said\n")
    state.chmod(0o620)
    with pytest.raises(UserError, match="others may have written it"):
        load(state)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_state_of_somebody_else_is_refused(state: Path) -> None:
    os.chown(state, 1, 1)
    with pytest.raises(UserError, match="belongs to somebody else"):
        load(state)


def test_a_link_that_somebody_laid_is_not_followed(state: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("as it was")
    (tmp_path / ".state.part").symlink_to(other)
    store = StateFile(str(state), {"--follow": "here"})
    store.save({"b": 2}, b"")
    store.close()
    assert other.read_text() == "as it was"
    assert load(state) == ({"b": 2}, b"")


def test_a_state_that_does_not_fit_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="begun with another --follow"):
        load(state, **{"--follow": "there"})
    monkeypatch.setattr("analyzer.cli.state_file.__version__", "99")
    with pytest.raises(UserError, match=r"errnoscope .+ wrote it, this is 99"):
        load(state)
    for data in (b"", b"{}\n", b"no json\n", state.read_bytes()[:-4]):
        state.write_bytes(data)
        with pytest.raises(UserError, match="state"):
            load(state)


def test_a_state_is_used_by_one_at_a_time(state: Path) -> None:
    store = StateFile(str(state), {"--follow": "here"})
    with pytest.raises(UserError, match="another process uses it"):
        StateFile(str(state), {"--follow": "here"})
    store.close()
    assert load(state)


def test_what_was_said_is_not_said_again(state: Path) -> None:
    store = StateFile(str(state), {"--follow": "here"})
    saved = store.load()
    store.said()
    store.close()
    assert saved
    assert load(state) == ({"a": 1}, b"")


def test_of_what_stands_in_a_file_the_rest_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr("sys.stdout", out)
        out.write("before\n")
        out.flush()
        about = os.fstat(out.fileno())
        place = [about.st_dev, about.st_ino, about.st_size]
        assert _unsaid(b"found\n", place) == b"found\n"
        out.write("fou")
        out.flush()
        assert _unsaid(b"found\n", place) == b"nd\n"
        out.write("nd\n")
        out.flush()
        assert _unsaid(b"found\n", place) == b""
        assert _unsaid(b"found\n", [0, 0, 0]) == b"found\n"
        assert _unsaid(b"found\n", None) == b"found\n"


# What the user is told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-i", "lo"], "not for files that are followed"),
        (["tcp"], "not for files that are followed"),
        (["-w", "kept.pcap"], "not for files that are followed"),
    ],
)
def test_options_that_are_for_packets_only(options: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(line(tmp_path, *options), capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such directory"):
        Rotation(str(tmp_path / "none")).next()
    run = subprocess.run(
        line(tmp_path / "none", "--once"), capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert run.returncode == 2
    assert "there is no such directory" in run.stderr


def test_what_a_single_run_leaves_is_said(frames: list[Frame], tmp_path: Path) -> None:
    empty = subprocess.run(line(tmp_path, "--once"), capture_output=True, text=True, cwd=ROOT, check=False)
    assert (empty.returncode, "there is no capture there" in empty.stderr) == (0, True)
    write(tmp_path / "new.pcap", pcap(frames), time.time())
    new = subprocess.run(
        line(tmp_path, "--once", "--quiet", "1000"), capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (new.returncode, "new.pcap: was written less than 1000 s ago" in new.stderr) == (0, True)


def test_a_file_of_zeros_is_named(tmp_path: Path) -> None:
    write(tmp_path / "zeros.pcap", bytes(2000))
    done = subprocess.run(line(tmp_path, "--once"), capture_output=True, text=True, cwd=ROOT, check=False)
    assert "zeros.pcap: the file is not a capture" in done.stderr


def test_state_and_once_need_follow(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "analyzer", "live", "--state", str(tmp_path / "state")]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, "add --follow DIR" in done.stderr) == (2, True)


def test_a_copy_of_a_run_leaves_it_alone(frames: list[Frame], tmp_path: Path) -> None:
    files = pieces(frames, 3)
    folder = fill(tmp_path / "captures", files[:2])
    following = Following(str(folder), RULES)
    told(following)
    assert following.copy().report().captures[1].packets == 500
    write(folder / "trace-2.pcap", files[2])
    assert told(following) == [("trace-2.pcap", 1500)]
    shutil.rmtree(folder)


def test_storage_that_fails_is_asked_again(
    frames: list[Frame], growing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a file first, and then already where it is opened."""
    write(growing / "t0.pcap", pcap(frames))
    opened = following_module.open_input

    def sometimes(one: Input, index: int) -> Any:
        how = ways.pop(0)
        if how == "closed":
            raise UserError("unreadable-file", one.path, "it cannot be read: busy")
        source = opened(one, index, max_frames=100)
        return Broken(source) if how == "broken" else source

    ways = ["broken", "closed", "whole"]
    monkeypatch.setattr(following_module, "open_input", sometimes)
    following = Following(str(growing), RULES)
    steps = [following.step() for _ in ways[:]]
    assert [step.standing.problems for step in steps if step] == [(), (), ()]
    assert following.step() is None
    whole, report = analyze(str(growing / "t0.pcap")), following.report()
    assert (report.flows, report.totals) == (whole.flows, whole.totals)
    ways[:] = ["closed"] * 3
    write(growing / "t1.pcap", pcap(frames))
    again = Following(str(growing / "t1*"), RULES)
    steps = [again.step() for _ in range(3)]
    assert [len(step.standing.problems) for step in steps if step] == [0, 0, 1]
    assert again.step() is None


class Broken:
    """A source that fails after some blocks."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.capture = source.capture

    def blocks(self) -> Iterator[FrameBlock]:
        yield from islice(self._source.blocks(), 7)
        self.capture.damage = UserError("unreadable-file", "here", "reading stopped: busy")

    def __enter__(self) -> Broken:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()


def test_captures_of_the_same_time_are_named(frames: list[Frame], growing: Path) -> None:
    following = Following(str(growing), RULES)
    write(growing / "t0.pcap", pcap(frames[:1000]))
    write(growing / "t1.pcap", pcap(frames[500:]))
    assert told(following) == [("t0.pcap", 1000), ("t1.pcap", 2000)]
    (problem,) = following.rotation.problems
    assert "t1.pcap: begins before the end" in problem


def test_metrics_are_served(frames: list[Frame], growing: Path) -> None:
    write(growing / "t0.pcap", pcap(frames))
    options = line(growing, "--metrics", "0")
    with subprocess.Popen(
        options, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as run:
        assert run.stdout
        assert run.stderr
        address = run.stderr.readline().removeprefix("metrics: ").strip()
        run.stdout.readline()
        until, page = time.monotonic() + 30, ""
        while " 1500.0" not in page and time.monotonic() < until:
            with urllib.request.urlopen(address, timeout=30) as answer:
                page = answer.read().decode()
        run.terminate()
        run.communicate(timeout=60)
    assert re.search(r"^errnoscope_packets_total 1500\.0$", page, flags=re.M)
