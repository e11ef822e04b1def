"""The command as a person or a script meets it."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer import __version__
from analyzer.cli.main import run
from analyzer.matching.load import load_rules, rules_folder
from tests import crowd
from tests.captures import ROOT, record_offsets, sample

COMMANDS = ("analyze", "live", "export", "view", "check", "explain", "rules")
FAILED = sample("rst-after-fin-send-first")
ICMP = sample("icmp-host-unreachable-connect")
CLEAN = sample("clean-request-response")
ESCAPE = "\x1b"

Capsys = pytest.CaptureFixture[str]


def command(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """A process of its own, as a shell would start it."""
    line = [sys.executable, "-m", "analyzer", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False, **options)


def told(capsys: Capsys, *arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of the command, run in this process."""
    status = run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def modules_after(*arguments: str | Path) -> set[str]:
    """Top-level modules that the command has imported when it is done."""
    code = (
        "import sys; from analyzer.cli.main import run; "
        f"run({[str(argument) for argument in arguments]!r}); "
        "print('\\n' + ' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


# What every command promises


def test_version() -> None:
    done = command("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"errnoscope {__version__}\n", "")


def test_the_installed_command_is_the_same() -> None:
    script = Path(sys.executable).with_name("errnoscope")
    if not script.exists():
        pytest.skip("errnoscope is not installed beside this Python")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == command("--version").stdout


def test_help(capsys: Capsys) -> None:
    status, out, err = told(capsys, "--help")
    assert (status, err) == (0, "")
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert told(capsys, "-h")[1] == out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command(capsys: Capsys, name: str) -> None:
    status, out, err = told(capsys, name, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"Usage: errnoscope {name} ")
    assert f"\n  Examples:\n    errnoscope {name} " in out
    assert max(map(len, out.splitlines())) <= 80


def test_version_imports_nothing_heavy() -> None:
    assert modules_after("--version") & {"numpy", "scapy", "pyshark", "yaml"} == set()


def test_analyze_of_a_file_needs_neither_scapy_nor_pyshark() -> None:
    loaded = modules_after("analyze", FAILED)
    assert "numpy" in loaded
    assert loaded & {"scapy", "pyshark"} == set()


def test_a_capture_instead_of_a_command(capsys: Capsys) -> None:
    status, out, err = told(capsys, str(FAILED))
    assert (status, out) == (2, "")
    assert f"errnoscope analyze {FAILED}" in err


def test_what_can_be_read_is_reported_beside_what_cannot(capsys: Capsys, tmp_path: Path) -> None:
    (tmp_path / "text.pcap").write_text("hello, this is text\n")
    status, out, err = told(capsys, "analyze", str(tmp_path / "text.pcap"), str(FAILED))
    assert status == 2
    assert "1 of 1 TCP connection failed" in out
    assert "is text, not a capture" in err


# Bad use


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Usage: errnoscope"),
        (["analyse"], "did you mean `errnoscope analyze`?"),
        (
            ["--verbose"],
            "errnoscope: No such option '--verbose'. Did you mean '--version'?\nhint: `errnoscope --help`",
        ),
        (
            ["analyze"],
            "errnoscope: analyze: Missing argument 'CAPTURE...'\nhint: `errnoscope analyze --help`",
        ),
        (["analyze", "--colour", "x"], "No such option '--colour'"),
        (["analyze", "-o", "xml", "x"], "there is no format `xml`"),
        (["explain"], "Missing argument 'WORD...'"),
        (["explain", " "], "explain: there is nothing to explain in it\nhint: errnoscope explain ECONNRESET"),
        (
            ["export", "x", "--to", "csv"],
            "export: Option '--to' requires 2 arguments\nhint: `errnoscope export",
        ),
        (["analyze", "--group", "0", "x"], "'--group': '0' is no whole number from 1 on"),
        (["analyze", "--shards", "some", "x"], "'--shards': 'some' is no whole number from 1 to 4096"),
        (["live", "--duration", "-1", "-"], "'--duration': '-1' is no number from 0 on"),
        (["analyze", "--engine", "dask", "--scheduler", "here", "x"], "this is no address of a scheduler"),
        (
            ["analyze", "--engine", "dask", "--work", __file__, "x"],
            "this is a file, and a directory is needed",
        ),
        (["analyze", "--errno", "EFOO", "x"], "hint: names are those of errno.h; none: no errno"),
        (["analyze", "--errno", "ECONREFUSED", "x"], "hint: did you mean `ECONNREFUSED`?"),
        (["check", "--expect", "no.yaml", "x"], "--expect no.yaml: there is no such file\nhint: errnoscope"),
        (["check", "--suppress", ".", "x"], "--suppress .: this is no file\nhint: CI.md"),
        (
            ["check", "--baseline", "no.json", "x"],
            "--baseline no.json: there is no such file\nhint: errnoscope",
        ),
        (["live", "--follow", __file__], "this is a file, and a directory or a pattern"),
    ],
    ids=" ".join,
)
def test_bad_use(capsys: Capsys, arguments: list[str], message: str) -> None:
    status, out, err = told(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_bad_use_of_the_process() -> None:
    done = command("analyze", "--nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


# Ctrl-C before anything is read


@pytest.mark.parametrize(
    "meanwhile",
    [
        "os.kill(os.getpid(), signal.SIGINT)",
        "one = type('One', (), {})(); two = weakref.ref(one, refuse); del one",
    ],
    ids=["imports", "where nothing can be raised"],
)
def test_an_interrupt_while_modules_are_imported(tmp_path: Path, meanwhile: str) -> None:
    """The command's first import is click: here one during which Ctrl-C is pressed."""
    (tmp_path / "click.py").write_text(
        "import os, signal, sys, time, weakref\n"
        "def refuse(_): raise KeyboardInterrupt\n"
        "from analyzer.cli import start\n"
        "sys.unraisablehook = start._cannot_be_raised\n"
        f"{meanwhile}\ntime.sleep(30)\n"
    )
    done = command("--version", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "errnoscope: interrupted\n")


# Files that cannot be read


def made(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "given.pcap"
    path.write_bytes(data)
    return path


BAD_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "the file is empty"),
    "text": (lambda: b"hello, this is text\n", "the file is text, not a capture"),
    "binary": (lambda: bytes(range(1, 200)), "the file is not a capture"),
    "gzip of a text": (
        lambda: gzip.compress(b"hello, this is text\n"),
        "decompressed (gzip), the file is text, not a capture",
    ),
    "header cut short": (lambda: FAILED.read_bytes()[:20], "the file ends after 20 bytes, inside the header"),
    "three bytes": (lambda: FAILED.read_bytes()[:3], "the file has only 3 bytes"),
    "pcapng header cut short": (
        lambda: b"\x0a\x0d\x0d\x0a" + bytes(9),
        "the file ends after 13 bytes, inside its section",
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_no_capture(capsys: Capsys, tmp_path: Path, kind: str) -> None:
    data, message = BAD_FILES[kind]
    path = made(tmp_path, data())
    status, out, err = told(capsys, "analyze", path)
    assert (status, out) == (2, "")
    assert err.startswith(f"errnoscope: {path}: {message}")
    assert "\nhint: " in err


@pytest.mark.parametrize("output", ["text", "json"])
def test_missing_file(output: str) -> None:
    done = command("analyze", "nowhere.pcap", "-o", output)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "errnoscope: nowhere.pcap: there is no such file",
        "hint: look for a typing error in the path.",
    ]


def test_directory(capsys: Capsys, tmp_path: Path) -> None:
    status, out, err = told(capsys, "analyze", tmp_path)
    assert (status, out) == (2, "")
    assert f"{tmp_path}: there is no capture in this directory; it has no files" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything, chmod 0 is no obstacle")
def test_unreadable_file(capsys: Capsys, tmp_path: Path) -> None:
    path = made(tmp_path, FAILED.read_bytes())
    path.chmod(0)
    status, out, err = told(capsys, "analyze", path)
    assert (status, out) == (2, "")
    assert f"{path}: reading it is not permitted" in err


# Files that are damaged


def damaged(tmp_path: Path) -> tuple[Path, int]:
    """A capture whose 16th record claims 4 GB, and the offset of that record."""
    data = bytearray(FAILED.read_bytes())
    at = record_offsets(bytes(data))[15]
    data[at + 8 : at + 12] = b"\xff" * 4
    return made(tmp_path, bytes(data)), at


def test_damage_in_the_middle_is_told_after_the_report(capsys: Capsys, tmp_path: Path) -> None:
    path, at = damaged(tmp_path)
    status, out, err = told(capsys, "analyze", path)
    assert status == 2
    assert " ".join(out.split()).startswith(f"{path}: 15 frames, ")
    assert f"errnoscope: {path}: byte {at}: record 16 claims 4,294,967,295 bytes" in err


def test_damage_in_the_middle_leaves_json_whole(tmp_path: Path) -> None:
    path, at = damaged(tmp_path)
    done = command("analyze", path, "-o", "json")
    assert done.returncode == 2
    capture = json.loads(done.stdout)["captures"][0]
    assert capture["packets"] == 15
    assert f"byte {at}" in capture["problems"][-1]
    assert f"{path}: byte {at}" in done.stderr


def test_a_last_record_cut_off_is_no_error(capsys: Capsys, tmp_path: Path) -> None:
    path = made(tmp_path, FAILED.read_bytes()[:-3])
    status, out, err = told(capsys, "analyze", path)
    assert (status, err) == (0, "")
    assert "The file ends inside a record" in out
    status, out, err = told(capsys, "analyze", path, "-o", "json")
    assert (status, err) == (0, "")
    assert "ends inside a record" in json.loads(out)["captures"][0]["problems"][0]


# Reports


def test_analyze_text(capsys: Capsys) -> None:
    status, out, err = told(capsys, "analyze", FAILED)
    assert (status, err) == (0, "")
    assert "EPIPE" in out
    assert "SIGPIPE" in out
    assert "rst-after-fin" in out
    assert ESCAPE not in out


def test_analyze_json(capsys: Capsys) -> None:
    status, out, err = told(capsys, "analyze", "-o", "json", FAILED)
    assert (status, err) == (0, "")
    report = json.loads(out)
    assert report["captures"][0]["path"] == str(FAILED)
    assert [flow["verdicts"][0]["errno"] for flow in report["flows"]] == ["EPIPE"]


def test_a_capture_without_failure_says_so(capsys: Capsys) -> None:
    status, out, err = told(capsys, "analyze", CLEAN)
    assert (status, err) == (0, "")
    assert "No failure found in 1 TCP connection" in out


def test_several_captures_are_one_report(capsys: Capsys) -> None:
    status, out, _ = told(capsys, "analyze", FAILED, CLEAN, ICMP, "-o", "json")
    report = json.loads(out)
    assert status == 0
    assert [capture["path"] for capture in report["captures"]] == [str(FAILED), str(CLEAN), str(ICMP)]
    assert report["totals"]["packets"] == sum(capture["packets"] for capture in report["captures"])
    assert report["totals"]["tcp_flows"] == 3
    assert [flow["verdicts"][0]["errno"] for flow in report["flows"]] == ["EPIPE", "EHOSTUNREACH"]


def test_python_m_analyzer_reports_to_stdout_only() -> None:
    done = command("analyze", FAILED, "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["schema"] == "errnoscope.report/1"


# Where the output goes


def piped_to_nobody(*arguments: str | Path, unbuffered: str) -> tuple[int, str]:
    """Exit status and stderr with a stdout whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    line = [sys.executable, "-m", "analyzer", *map(str, arguments)]
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    try:
        done = subprocess.run(
            line, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=env, check=False
        )
    finally:
        os.close(writing)
    return done.returncode, done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", [["analyze", FAILED], ["rules"]], ids=["analyze", "rules"])
def test_a_reader_that_goes_early_is_no_error(arguments: list[str | Path], unbuffered: str) -> None:
    assert piped_to_nobody(*arguments, unbuffered=unbuffered) == (0, "")


def test_head_takes_one_line_and_all_is_quiet() -> None:
    captures = [str(FAILED)] * 30
    line = [sys.executable, "-m", "analyzer", "analyze", "-o", "json", *captures]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline() == "{\n"
        run.stdout.close()
        assert run.stderr.read() == ""
        assert run.wait() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_full_disk_is_told_in_a_line(unbuffered: str) -> None:
    line = [sys.executable, "-m", "analyzer", "analyze", str(FAILED)]
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            line, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=env, check=False
        )
    hint = "hint: there is no room left: make some, or choose another place."
    assert (done.returncode, done.stderr) == (2, f"errnoscope: stdout: No space left on device\n{hint}\n")


def test_a_stdout_that_is_closed_is_told_in_a_line() -> None:
    line = f'exec "{sys.executable}" -m analyzer --version >&-'
    done = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (2, "errnoscope: stdout: it is closed\n")


def on_a_terminal(*arguments: str | Path, **environment: str) -> str:
    """What the command writes to a terminal, stdout and stderr together."""
    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    line = [sys.executable, "-m", "analyzer", *map(str, arguments)]
    with subprocess.Popen(
        line, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=env | environment
    ) as run:
        os.close(theirs)
        written = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux: the other side has closed
                break
            if not piece:
                break
            written += piece
        run.wait()
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


def test_bold_on_a_terminal_and_the_same_text_elsewhere(capsys: Capsys) -> None:
    shown = on_a_terminal("analyze", FAILED)
    assert f"{ESCAPE}[1m" in shown
    assert re.sub(r"\x1b\[\d*m", "", shown) == told(capsys, "analyze", FAILED)[1]


def test_no_colour_codes_where_nobody_wants_them(capsys: Capsys) -> None:
    assert on_a_terminal("analyze", FAILED, NO_COLOR="1") == told(capsys, "analyze", FAILED)[1]


def test_json_has_no_colour_on_a_terminal() -> None:
    assert ESCAPE not in on_a_terminal("analyze", FAILED, "-o", "json")


HOSTILE = "evil\x1b]0;owned\x07\x1b[2J\x9b31m\u202ename.pcap"


def test_a_file_name_does_not_rule_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / HOSTILE
    path.write_bytes(FAILED.read_bytes()[:-3])
    shown = on_a_terminal("analyze", path)
    assert re.sub(r"\x1b\[[01]m", "", shown).replace("\n", "").isprintable()
    assert r"evil\x1b]0;owned\x07\x1b[2J\x9b31m\u202ename.pcap" in shown


@pytest.mark.parametrize(
    "arguments", [["analyze", HOSTILE], ["explain", HOSTILE], [HOSTILE], ["analyze", "-o", HOSTILE, "x"]]
)
def test_a_message_does_not_rule_the_terminal(arguments: list[str]) -> None:
    shown = on_a_terminal(*arguments)
    assert shown.replace("\n", "").isprintable()
    assert "evil" in shown


def test_a_file_name_that_is_no_text_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.pcap")
    path.write_bytes(CLEAN.read_bytes())
    done = command("analyze", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"caf\xe9.pcap:" in done.stdout
    assert json.loads(command("analyze", path, "-o", "json").stdout)["captures"][0]["path"] == str(path)


def test_a_terminal_that_lacks_a_sign(tmp_path: Path) -> None:
    path = tmp_path / "Ω.pcap"
    path.write_bytes(CLEAN.read_bytes())
    done = command("analyze", path, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u03a9.pcap:" in done.stdout


def test_the_line_for_wireshark_can_be_copied(capsys: Capsys, tmp_path: Path) -> None:
    path = tmp_path / "it's mine.pcap"
    path.write_bytes(FAILED.read_bytes())
    _, out, _ = told(capsys, "analyze", path)
    line = next(line for line in out.splitlines() if "wireshark " in line)
    shell = f"wireshark() {{ printf '%s' \"$1\"; }}; {line[line.index('wireshark ') :]}"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    assert done.stdout == str(path)


# Rules


def test_explain_by_name_and_by_id(capsys: Capsys) -> None:
    status, out, err = told(capsys, "explain", "rst-after-fin")
    assert (status, err) == (0, "")
    assert out.startswith("rst-after-fin (ES301, error)\n")
    assert max(map(len, out.splitlines())) <= 80
    for other in ("ES301", "es301", "RST-after-FIN"):
        assert told(capsys, "explain", other) == (0, out, "")


@pytest.mark.parametrize("rule", load_rules(rules_folder()), ids=lambda rule: rule.name)
def test_every_rule_is_explained(capsys: Capsys, rule) -> None:
    status, out, err = told(capsys, "explain", rule.name)
    assert (status, err) == (0, "")
    for title in ("What it means", "What the program gets", "What to do", "When it fires"):
        assert f"\n{title}\n" in out


def test_explain_of_an_unknown_rule(capsys: Capsys) -> None:
    status, out, err = told(capsys, "explain", "rst-after-fi")
    assert (status, out) == (2, "")
    assert "rst-after-fi: neither a rule, nor an errno, nor a log line that is known" in err
    assert "did you mean `rst-after-fin`?" in err
    assert "`errnoscope rules` lists them" in told(capsys, "explain", "zzz")[2]


def test_rules_are_listed_by_id(capsys: Capsys) -> None:
    status, out, err = told(capsys, "rules")
    assert (status, err) == (0, "")
    ids = [line.split()[0] for line in out.splitlines() if not line.startswith(" ")]
    assert ids == sorted(rule.id for rule in load_rules(rules_folder()))
    assert max(map(len, out.splitlines())) <= 80


def test_one_rule_is_listed(capsys: Capsys) -> None:
    status, out, err = told(capsys, "rules", "rst-after-fin")
    assert (status, err) == (0, "")
    assert out.split()[:3] == ["ES301", "error", "rst-after-fin"]
    assert max(map(len, out.splitlines())) < 80
    assert told(capsys, "rules", "ES301")[1] == out


def test_an_unknown_rule_is_not_listed(capsys: Capsys) -> None:
    status, out, err = told(capsys, "rules", "reset-by-pier")
    assert (status, out) == (2, "")
    assert "did you mean `reset-by-peer`?" in err


def test_rules_test_runs_the_samples(capsys: Capsys) -> None:
    status, out, err = told(capsys, "rules", "--test", "rst-after-fin")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"\d+ samples passed, 0 failed\n", out)


def test_what_was_let_go_is_said_beside_the_count(capsys: Capsys, tmp_path: Path) -> None:
    capture = crowd.write(tmp_path / "crowd.pcap", crowd.crowd(50))
    again = "TCP connections (some may be counted twice: see Doubt)"
    _, out, _ = told(capsys, "analyze", capture, "--max-flows", "2")
    assert again in " ".join(out.split("\n\n")[0].split())
    assert "Doubt\n" in out
    assert again not in " ".join(told(capsys, "analyze", capture)[1].split())
