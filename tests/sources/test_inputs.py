"""Which files are meant by the names that are given, and which of them may be one capture."""

from __future__ import annotations

import gzip
import os
import stat
from pathlib import Path

import pytest

from analyzer.sources.inputs import Input, beginning, inputs
from analyzer.sources.series import series

from . import build
from .build import SECOND, Frame

NOW = 1_700_000_000 * SECOND


def capture(path: Path, time: int = NOW, count: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [Frame(b"frame" * 4, 20, time + place) for place in range(count)]
    path.write_bytes(build.pcap(frames, magic=0xA1B23C4D))
    return path


def names(found: list[Input], folder: Path) -> list[str]:
    return [str(Path(one.path).relative_to(folder)) for one in found]


# Names


def test_a_file_and_standard_input_are_taken_as_they_are(tmp_path: Path) -> None:
    path = capture(tmp_path / "a.pcap")
    found, notes = inputs([str(path)])
    assert found == [Input(str(path), size=path.stat().st_size)]
    assert notes == []
    assert inputs(["-"])[0] == [Input("-")]


def test_of_several_files_the_first_time_is_known(tmp_path: Path) -> None:
    paths = [capture(tmp_path / "a", NOW), capture(tmp_path / "b", NOW + 5), capture(tmp_path / "c", count=0)]
    packed = tmp_path / "d"
    packed.write_bytes(gzip.compress(paths[1].read_bytes()))
    found, _ = inputs([*map(str, paths), str(packed), "-"])
    assert [one.first for one in found] == [NOW, NOW + 5, None, NOW + 5, None]
    assert not any(one.error for one in found)


def test_a_file_that_is_given_twice_is_there_once(tmp_path: Path) -> None:
    """By whatever name, and said in a note; two files that are alike are two."""
    first, alike = capture(tmp_path / "a.pcap"), capture(tmp_path / "b.pcap")
    link = tmp_path / "link.pcap"
    link.symlink_to(first)
    found, notes = inputs([str(first), str(alike), f"{tmp_path}/../{tmp_path.name}/a.pcap", str(link)])
    assert names(found, tmp_path) == ["a.pcap", "b.pcap"]
    assert notes == [f"Given more than once, read once: {tmp_path}/../{tmp_path.name}/a.pcap, {link}."]


def test_a_pattern_that_the_shell_left_alone(tmp_path: Path) -> None:
    for name in ("b.pcap", "a.pcap", "a.txt"):
        capture(tmp_path / name)
    assert names(inputs([f"{tmp_path}/*.pcap"])[0], tmp_path) == ["a.pcap", "b.pcap"]
    (missing,) = inputs([f"{tmp_path}/*.cap"])[0]
    assert missing.error
    assert missing.error.reference == "no-such-file"


def test_an_empty_name_is_no_directory() -> None:
    (nothing,) = inputs([""])[0]
    assert nothing.error
    assert nothing.error.what == "this is no name of a file"


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    capture(tmp_path / "a[1].pcap")
    capture(tmp_path / "a1.pcap")
    assert names(inputs([f"{tmp_path}/a[1].pcap"])[0], tmp_path) == ["a[1].pcap"]


def test_a_directory_is_every_capture_in_it(tmp_path: Path) -> None:
    for name in ("b.dump", "sub/a.pcap", "a.pcap", ".hidden.pcap", ".cache/c.pcap"):
        capture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no capture")
    (tmp_path / "empty.pcap").touch()
    (tmp_path / "cut.pcap").write_bytes(build.pcap_header()[:20])
    os.mkfifo(tmp_path / "pipe")
    found, (note,) = inputs([str(tmp_path)])
    assert names(found, tmp_path) == ["a.pcap", "b.dump", "cut.pcap", "sub/a.pcap"]
    assert [one.error.reference for one in found if one.error] == ["capture-cut-short"]
    assert "notes.txt" in note
    assert "empty.pcap" in note
    assert "hidden" not in note


def test_a_directory_does_not_follow_links_in_circles(tmp_path: Path) -> None:
    capture(tmp_path / "a.pcap")
    (tmp_path / "again").symlink_to(tmp_path)
    assert names(inputs([str(tmp_path)])[0], tmp_path) == ["a.pcap"]


def test_a_directory_without_captures(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text("no capture")
    (found,), (note,) = inputs([str(tmp_path)])
    assert found.error
    assert (found.error.reference, found.error.where) == ("no-captures", str(tmp_path))
    assert "9 other files" in found.error.what
    assert note.endswith("and 4 more.")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_may_not_be_read(tmp_path: Path) -> None:
    capture(tmp_path / "a.pcap")
    capture(tmp_path / "closed" / "b.pcap")
    (tmp_path / "closed").chmod(0)
    found, (note,) = inputs([str(tmp_path)])
    (tmp_path / "closed").chmod(stat.S_IRWXU)
    assert names(found, tmp_path) == ["a.pcap"]
    assert "closed" in note


def test_a_pipe_is_not_looked_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found, _ = inputs([str(tmp_path / "pipe"), str(capture(tmp_path / "a"))])
    assert [one.first for one in found] == [None, NOW]


def test_the_beginning_of_what_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    assert beginning(Input(str(tmp_path / "none"))) is None
    assert beginning(Input(str(capture(tmp_path / "a", count=0)))) is None
    block = beginning(Input(str(capture(tmp_path / "b"))))
    assert block is not None
    assert len(block) == 3


# Series


def lists(*told: tuple[str, int | None]) -> list[list[str]]:
    files = [Input(name, first) for name, first in told]
    return [[files[index].path for index in members] for members in series(files)]


def test_a_rotation_in_any_order_of_arguments() -> None:
    assert lists(("d/x.pcap10", 11), ("d/x.pcap", 1), ("d/x.pcap2", 3), ("d/x.pcap1", 2)) == [
        ["d/x.pcap", "d/x.pcap1", "d/x.pcap2", "d/x.pcap10"]
    ]


def test_a_ring_starts_anew_once() -> None:
    told = [(f"r{number}.pcap", time) for number, time in ((3, 1), (4, 2), (0, 3), (1, 4), (2, 5))]
    assert lists(*told) == [[name for name, _ in told]]


def test_dates_and_compressed_members_are_a_series() -> None:
    told = [("x_00001_20240101235959.pcapng.gz", 1), ("x_00002_20240102000001.pcapng.lz4", 2)]
    assert lists(*told) == [[name for name, _ in told]]


def test_a_number_that_names_a_host_keeps_its_files_apart() -> None:
    told = [(f"host{host}-{minute:02}.pcap", minute * 10 + host) for minute in range(4) for host in (1, 2)]
    assert lists(*told) == [[f"host{host}-{minute:02}.pcap" for minute in range(4)] for host in (1, 2)]


def test_names_without_a_sibling_may_carry_on_each_other() -> None:
    assert lists(("b.pcap", 2), ("x1", 1), ("a.pcap", 1), ("x2", 3)) == [["a.pcap", "b.pcap"], ["x1", "x2"]]
    assert lists(("a/x1", 1), ("b/x1", 2), ("b/x2", 3)) == [["a/x1"], ["b/x1", "b/x2"]]


def test_what_has_no_time_stands_alone() -> None:
    assert lists(("-", None), ("a", 2), ("empty", None), ("b", 1)) == [["-"], ["b", "a"], ["empty"]]
    assert lists() == []


def test_numbers_of_any_length() -> None:
    long = "9" * 5000
    told = lists((f"x{long}", 1), ("x1", 2), (f"x{long}1", 3))
    assert sorted(name for members in told for name in members) == ["x1", f"x{long}", f"x{long}1"]
