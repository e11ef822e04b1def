"""The pytest plugin, run as a user's pytest would run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import analyzer.pipeline  # noqa: F401 - pytester forgets what runs import, and libyaml bears no second import
from analyzer import UserError
from analyzer.pytest_plugin import assert_no_errno
from analyzer.recording import NotPermitted, Recording, own_network
from tests.captures import sample

REFUSED = """
import socket, pytest

def refused():
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(own.getsockname())
"""
FINE = """
import socket

def fine():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            with server:
                client.sendall(b"hello")
                assert server.recv(5) == b"hello"
                client.shutdown(socket.SHUT_WR)
                assert server.recv(1) == b""
"""


@pytest.fixture(scope="module")
def may_record(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips with the reason where nothing can be recorded."""
    recording = Recording(tmp_path_factory.mktemp("try") / "try.pcap")
    try:
        recording.start()
    except NotPermitted as reason:
        pytest.skip(str(reason))
    recording.stop()


@pytest.fixture
def alone(pytester: pytest.Pytester, may_record: None) -> None:
    """Where this machine permits it, nobody else's traffic is recorded."""
    try:
        with own_network():
            pytester.makeini("[pytest]\nerrnoscope_network = namespace")
    except NotPermitted:
        pass


@pytest.fixture
def may_unshare() -> None:
    """Skips with the reason where there are no namespaces."""
    try:
        with own_network():
            pass
    except NotPermitted as reason:
        pytest.skip(str(reason))


@pytest.mark.usefixtures("alone")
def test_a_test_fails_with_its_connection(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(REFUSED + "def test_it(network_capture):\n    refused()\n")
    done = pytester.runpytest()
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        ["*1 of 1 TCP connection failed.", "*connect() failed with ECONNREFUSED*", "capture *"]
    )
    (kept,) = (pytester.path / "errnoscope-captures").iterdir()
    assert kept.name == "test_a_test_fails_with_its_connection.py-test_it.pcap"
    with pytest.raises(AssertionError, match="ECONNREFUSED"):
        assert_no_errno(kept)


@pytest.mark.usefixtures("alone")
def test_an_allowed_errno_does_not_fail(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        REFUSED
        + "@pytest.mark.allow_errno('ECONNREFUSED')\ndef test_one(network_capture):\n    refused()\n"
        + "@pytest.mark.allow_errno('EPIPE', 'ECONNRESET')\ndef test_two(network_capture):\n    refused()\n"
        + "@pytest.mark.allow_errno('EPIPEE')\ndef test_three(network_capture):\n    refused()\n"
    )
    done = pytester.runpytest("--strict-markers", "--errnoscope-captures", "kept")
    done.assert_outcomes(passed=1, failed=1, errors=1)
    done.stdout.fnmatch_lines(["*allow_errno: EPIPEE is no errno that is known*"])
    assert [path.name for path in (pytester.path / "kept").iterdir()] == [
        "test_an_allowed_errno_does_not_fail.py-test_two.pcap"
    ]


@pytest.mark.usefixtures("alone")
def test_a_test_without_failure_passes_and_keeps_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FINE + "def test_it(network_capture):\n    fine()\n")
    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert not (pytester.path / "errnoscope-captures").exists()


@pytest.mark.usefixtures("alone")
def test_a_test_that_fails_by_itself_keeps_its_capture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        REFUSED
        + FINE
        + "def test_one(network_capture):\n    fine()\n    assert False, 'its own'\n"
        + "def test_two(network_capture):\n    refused()\n    assert False, 'its own'\n"
        + "def test_three(network_capture):\n    pytest.skip('not today')\n"
    )
    done = pytester.runpytest()
    done.assert_outcomes(failed=2, skipped=1)
    done.stdout.fnmatch_lines(
        ["*its own*", "*No connection failed, as far as the capture shows.", "*ECONNREFUSED*"]
    )
    assert len(list((pytester.path / "errnoscope-captures").iterdir())) == 2


@pytest.mark.usefixtures("may_record", "may_unshare")
def test_each_worker_of_xdist_records_its_own_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        REFUSED
        + FINE
        + "@pytest.mark.parametrize('n', range(6))\ndef test_fine(network_capture, n):\n    fine()\n"
        + "@pytest.mark.parametrize('n', range(3))\ndef test_refused(network_capture, n):\n    refused()\n"
        + "@pytest.mark.parametrize('n', range(3))\ndef test_not_recorded(n):\n    refused()\n"
    )
    done = pytester.runpytest_subprocess("-n", "2")
    done.assert_outcomes(passed=9, failed=3)
    assert len(list((pytester.path / "errnoscope-captures").iterdir())) == 3


@pytest.mark.usefixtures("may_record")
def test_the_loopback(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.setenv("OUTER", str(Path("/proc/thread-self/ns/net").readlink()))
    pytester.makepyfile(
        REFUSED + "import os\ndef test_it(network_capture):\n    refused()\n"
        "    assert os.readlink('/proc/thread-self/ns/net') == os.environ['OUTER']\n"
    )
    done = pytester.runpytest()
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*connect() failed with ECONNREFUSED*"])  # beside what others do meanwhile


@pytest.mark.usefixtures("may_record", "may_unshare")
def test_a_namespace_of_its_own(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeini("[pytest]\nerrnoscope_network = namespace")
    pytester.makepyfile(
        FINE + "import os\ndef test_it(network_capture):\n    fine()\n"
        "    assert [name for _, name in socket.if_nameindex()][0] == 'lo'\n"
        "    assert os.readlink('/proc/thread-self/ns/net') != os.environ['OUTER']\n"
    )
    before = Path("/proc/thread-self/ns/net").readlink()
    monkeypatch.setenv("OUTER", str(before))
    pytester.runpytest().assert_outcomes(passed=1)
    assert Path("/proc/thread-self/ns/net").readlink() == before


def test_without_a_recorder_a_test_is_skipped(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    pytester.makepyfile("def test_it(network_capture):\n    raise AssertionError('not reached')\n")
    done = pytester.runpytest("-rs")
    done.assert_outcomes(skipped=1)
    done.stdout.fnmatch_lines(["*neither tcpdump nor dumpcap is installed*"])


def test_a_recorder_that_may_not_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tcpdump"
    program.write_text("#!/bin/sh\necho 'no permission to capture on that device' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(NotPermitted, match="no permission to capture"):
        Recording(tmp_path / "x.pcap").start()
    assert not (tmp_path / "x.log").exists()


def test_a_wrong_setting_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nerrnoscope_network = wifi")
    pytester.makepyfile("def test_it(network_capture): pass")
    pytester.runpytest().stdout.fnmatch_lines(
        ["*errnoscope_network is one of auto, loopback, namespace, not 'wifi'*"]
    )


def test_a_run_that_does_not_use_it_imports_nothing_of_weight(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    code = (
        "import sys, pytest; pytest.main(['-q']); "
        "heavy = {'numpy', 'yaml', 'click', 'scapy', 'analyzer.pipeline', 'analyzer.recording'}; "
        "print(sorted(heavy & set(sys.modules))); print('analyzer.pytest_plugin' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=pytester.path
    )
    assert done.stdout.splitlines()[-2:] == ["[]", "True"]


def test_assert_no_errno() -> None:
    assert_no_errno(sample("clean-request-response"))
    assert_no_errno(sample("rst-after-fin-send-first"), allow=["EPIPE"])
    with pytest.raises(AssertionError, match="failed with EPIPE"):
        assert_no_errno(sample("rst-after-fin-send-first"), allow=["ECONNRESET"])
    with pytest.raises(UserError):
        assert_no_errno(__file__)
