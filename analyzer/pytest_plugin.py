"""A pytest plugin: the fixture ``network_capture`` records a test's traffic, and the test fails if a
connection in it failed.

pytest imports this module in every run of every project beside which errnoscope is installed, so that it
imports nothing of weight before a test asks for it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from analyzer.model.report import Report
    from analyzer.recording import Recording

_RECORDING = pytest.StashKey["Recording"]()
_MARKER = "allow_errno"
_NETWORKS = ("auto", "loopback", "namespace")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; called by pytest."""
    group = parser.getgroup("errnoscope")
    group.addoption(
        "--errnoscope-captures",
        metavar="DIR",
        help="where captures of failed tests are kept (default: errnoscope-captures/)",
    )
    parser.addini(
        "errnoscope_network",
        "what network_capture records: loopback; namespace (a test's own, needs root); auto: loopback, "
        "but under pytest-xdist a namespace, for there the loopback carries other tests' traffic",
        default="auto",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known; called by pytest."""
    config.addinivalue_line(
        "markers", f"{_MARKER}(*names): errnos that connections recorded by network_capture may end in"
    )


@pytest.fixture
def network_capture(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recording]:
    """Records the traffic of this test; its ``path`` is the capture.

    After the test, connections in it that failed fail it, unless a marker ``allow_errno`` allows the errno.
    Skipped where this machine does not permit to record.
    """
    from analyzer.recording import NotPermitted, Recording, own_network

    _allowed(request.node)
    recording = Recording(tmp_path_factory.mktemp("errnoscope") / "test.pcap")
    with ExitStack() as stack:
        try:
            if _wants_namespace(request.config):
                stack.enter_context(own_network())
            stack.callback(recording.stop)
            recording.start()
        except NotPermitted as reason:
            pytest.skip(str(reason))
        request.node.stash[_RECORDING] = recording
        yield recording


def _wants_namespace(config: pytest.Config) -> bool:
    wanted = config.getini("errnoscope_network")
    if wanted not in _NETWORKS:
        raise pytest.UsageError(f"errnoscope_network is one of {', '.join(_NETWORKS)}, not {wanted!r}")
    return wanted == "namespace" or (wanted == "auto" and "PYTEST_XDIST_WORKER" in os.environ)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Judge what was recorded once the test function is done; called by pytest."""
    try:
        result = yield
    except pytest.skip.Exception:
        raise
    except BaseException:
        if recording := item.stash.get(_RECORDING, None):
            _tell(item, recording)
        raise
    if recording := item.stash.get(_RECORDING, None):
        kept = _kept(item)
        told = _failures(recording.stop(), _allowed(item), shown=kept)
        if told:
            _keep(recording.path, kept)
            pytest.fail(f"{told}\ncapture  {kept}", pytrace=False)
    return result


def _tell(item: pytest.Item, recording: Recording) -> None:
    """The test failed by itself: what the wire says goes beside it."""
    kept = _kept(item)
    told = _failures(recording.stop(), (), shown=kept)
    _keep(recording.path, kept)
    told = told or "No connection failed, as far as the capture shows."
    item.add_report_section("call", "network", f"{told}\ncapture  {kept}")


def _kept(item: pytest.Item) -> Path:
    """Where the capture of a test stays if it fails."""
    given = item.config.getoption("--errnoscope-captures")
    folder = Path(given) if given else item.config.rootpath / "errnoscope-captures"
    name = re.sub(r"[^A-Za-z0-9_.=-]+", "-", item.nodeid).strip("-")
    if len(name) > 120:
        name = f"{name[:110]}-{hashlib.sha256(item.nodeid.encode()).hexdigest()[:9]}"
    return folder / f"{name}.pcap"


def _keep(path: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, kept)


def _allowed(item: pytest.Item) -> set[str]:
    names = {str(name) for mark in item.iter_markers(_MARKER) for name in mark.args}
    if names:
        from analyzer.data import load
        from analyzer.model.rule import RESULTS

        unknown = sorted(names - {*load("errno")["errno"], *RESULTS})
        if unknown:
            pytest.fail(f"{_MARKER}: {', '.join(unknown)} is no errno that is known", pytrace=False)
    return names


def assert_no_errno(path: str | os.PathLike[str], *, allow: Collection[str] = ()) -> None:
    """Raise AssertionError with the whole story if a connection in a capture failed.

    ``allow`` names errnos that may occur (also EOF and BLOCKS, where a call gave none). Raises UserError if
    the capture cannot be read.
    """
    __tracebackhide__ = True
    told = _failures(path, allow)
    if told:
        raise AssertionError(told)


def _failures(path: str | os.PathLike[str], allow: Collection[str], *, shown: Path | None = None) -> str:
    """The text report of the connections that failed; empty if none did. ``shown`` is the path to print."""
    from io import StringIO

    from analyzer.pipeline.files import analyze
    from analyzer.reports import text

    report = analyze(path)
    damage = next((capture.damage for capture in report.captures if capture.damage), None)
    if damage:
        raise damage
    failed = _without(report, allow)
    if not failed.flows:
        return ""
    if shown:
        failed.captures[0].path = str(shown)
    out = StringIO()
    text.write(failed, out)
    return out.getvalue()


def _without(report: Report, allow: Collection[str]) -> Report:
    """The report with nothing but flows that failed, for the program, otherwise than is allowed."""
    from dataclasses import replace

    flows = []
    for result in report.flows:
        verdicts = tuple(
            verdict
            for verdict in result.verdicts
            if not verdict.recovered
            and verdict.errno not in allow
            and verdict.table.calls[verdict.table.call] not in allow
        )
        if verdicts:
            flows.append(replace(result, verdicts=verdicts))
    return replace(report, flows=tuple(flows), incidents=())
