"""``errnoscope check CAPTURE|DIR...``: fails where something failed, for builds and tests."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from analyzer.cli.host_options import host_options
from analyzer.cli.messages import complain, in_one_place
from analyzer.cli.output import Target, opened, output_option, refuse_url, replaced
from analyzer.cli.progress import Progress
from analyzer.cli.refusals import refuse_what_is_no_file
from analyzer.cli.rule_options import RuleOptions, rule_options
from analyzer.errors import UserError
from analyzer.model.filter import EVERYTHING, Filter
from analyzer.model.host import DEFAULT_HOST, Host
from analyzer.reports.formats import CHECK_FORMATS

if TYPE_CHECKING:
    from analyzer.checks.expectations import Expectation
    from analyzer.checks.judge import Judge
    from analyzer.model.checked import Checked, CheckRun
    from analyzer.model.report import Report
    from analyzer.model.rule import Rule
    from analyzer.pipeline.again import Progress as Show

EXIT_FINDINGS = 1
"""Something counts: a problem, or an expectation that was not met."""

_CAPTURE = re.compile(
    r"(?P<name>.+?)\.(pcap|pcapng|cap|dmp)\d*(\.(gz|xz|zst|lz4))?", re.IGNORECASE | re.DOTALL
)
"""Names of captures, as directories are searched for them."""

_BESIDE = ".expect.yaml"
_FOLDER = "expect.yaml"


@click.command("check", context_settings={"max_content_width": 80})
@click.argument(
    "captures",
    nargs=-1,
    required=True,
    metavar="CAPTURE|DIR...",
    type=click.Path(readable=False, path_type=str),
)
@output_option(CHECK_FORMATS)
@host_options
@rule_options
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "info"]),
    default="warning",
    show_default=True,
    help="The least severity that fails; info is what most probably harmed nobody.",
)
@click.option("--recovered", is_flag=True, help="Failures that the program recovered from fail, too.")
@click.option(
    "--expect",
    "expect",
    metavar="FILE",
    help="Expectations for captures that have no file of their own (NAME.expect.yaml beside the capture, or "
    "expect.yaml in its folder).",
)
@click.option("--update", is_flag=True, help="Write NAME.expect.yaml from what was found.")
@click.option("--baseline", metavar="FILE", help="Problems that this file knows do not fail.")
@click.option("--write-baseline", metavar="FILE", help="Write what was found into a baseline.")
@click.option("--suppress", metavar="FILE", help="Problems that do not fail, with a reason and a last day.")
def command(
    captures: tuple[str, ...],
    *,
    outputs: list[Target],
    hosts: tuple[Host, Host],
    chosen: RuleOptions,
    **options: Any,
) -> int:
    """Fail if a connection failed: for builds and tests that record their traffic.

    CAPTURE is a file as `analyze` reads it; DIR is searched for *.pcap, *.pcapng and *.cap, compressed ones
    too. Each capture has a result of its own, also the files of a rotation, which are judged together.

    Exit status: 0 if nothing was found at or above --fail-on and all expectations were met; 1 if not; 2 if
    the command was not used rightly, a capture cannot be read, or there is none.

    \b
    Examples:
      errnoscope check captures/
      errnoscope check captures/ -o text -o junit=report.xml
      errnoscope check trace.pcap --update
    """
    _refuse_missing_files(options)
    _refuse_together(options)
    paths = find_captures(captures)
    if options["update"]:
        _refuse_unwritable_places(paths)
    loaded = chosen.load()
    rules, only = loaded.rules, Filter(rules=loaded.names)
    judge = _judge(rules, options)
    written = options["write_baseline"]
    with (
        opened(outputs, paths) as reports,
        replaced(f"--write-baseline {written}", Path(written)) if written else nullcontext() as baseline,
    ):
        expected = _expectations(rules, options["expect"])
        with Progress() as progress:
            run = check(paths, rules, judge, expected, only=only, hosts=hosts, progress=progress.show)
        if options["update"]:
            run = _updated(run, rules, judge)
        if baseline:
            run = _with_baseline(run, judge, written, baseline)
        reports.write(run)
    is_said = in_one_place() and any(t.format == "text" and not t.path for t in outputs)
    for capture in run.captures:
        if capture.error and not is_said:
            complain(capture.error)
    return 2 if run.unreadable else 0 if run.passed else EXIT_FINDINGS


_INPUTS = {
    "expect": "errnoscope check CAPTURE --update writes NAME.expect.yaml, which may be copied.",
    "baseline": "errnoscope check CAPTURE... --write-baseline FILE writes one.",
    "suppress": "CI.md says what stands in it.",
}
"""Options that name a file to be read, and where one is to be had."""


def _refuse_missing_files(options: Mapping[str, Any]) -> None:
    """Raises UserError before anything is analyzed."""
    for name, hint in _INPUTS.items():
        path = options[name]
        if path:
            refuse_what_is_no_file(f"--{name} {path}", path, hint)


def _refuse_together(options: Mapping[str, Any]) -> None:
    """Raises UserError where one option would leave another one without effect."""
    if not options["update"]:
        return
    for name, what in (
        ("expect", "--update writes a file for each capture, which takes the place of --expect"),
        ("write_baseline", "each of the two says of everything that was found that it may be so"),
    ):
        if options[name]:
            option = f"--{name.replace('_', '-')}"
            raise UserError("one-at-a-time", f"--update {option}", what, "leave one of the two out.")


def _refuse_unwritable_places(paths: Iterable[str]) -> None:
    """Raises UserError where a file of expectations could not be written beside its capture."""
    for path in paths:
        refuse_url(f"--update {path}", path)
        file = _own_file(path)
        place = file if file.exists() else file.parent
        if place.exists() and not os.access(place, os.W_OK):
            hint = "copy the captures to where you may write."
            raise UserError("unwritable", f"--update {file}", "this cannot be written", hint)


def find_captures(names: Iterable[str]) -> list[str]:
    """The captures that files and directories stand for, each once; raises UserError if there is none."""
    found: dict[str, None] = {}
    for name in names:
        if not os.path.isdir(name):  # noqa: PTH112  (Path's raises where a directory cannot be entered)
            found[name] = None
            continue
        inside = _captures_in(name)
        found.update(dict.fromkeys(inside))
        if not inside:
            hint = "a directory is searched for *.pcap, *.pcapng and *.cap, also compressed; name others"
            raise UserError("no-capture", name, "there is no capture in this directory", hint)
    once: dict[Path, str] = {}
    again = [path for path in found if once.setdefault(Path(path).resolve(), path) is not path]
    if again:
        complain(f"given more than once, checked once: {', '.join(again)}")
    return list(once.values())


def _captures_in(folder: str) -> list[str]:
    """Those below a directory. Raises UserError where one of them cannot be opened: nothing passes unseen."""

    def stop(error: OSError) -> None:
        hint = "run as its owner, or have it made readable."
        what = "this directory cannot be opened"
        raise UserError("no-permission", str(error.filename), what, hint) from error

    files = (Path(root, name) for root, _, names in os.walk(folder, onerror=stop) for name in names)
    return [str(path) for path in sorted(files) if _CAPTURE.fullmatch(path.name) and path.is_file()]


def check(
    paths: Sequence[str],
    rules: Sequence[Rule],
    judge: Judge,
    expectations: Callable[[str], Sequence[Expectation]] = lambda _: (),
    *,
    only: Filter = EVERYTHING,
    hosts: tuple[Host, Host] = (DEFAULT_HOST, DEFAULT_HOST),
    progress: Show | None = None,
) -> CheckRun:
    """Analyze and judge each capture; one that cannot be read is an error of its own.

    Files of a rotation have a result each as well, with what is decided in them: a connection that began in
    the file before is known from there.
    ``only`` is what counts, ``hosts`` what is known of client and server.
    """
    from analyzer.model.checked import Checked
    from analyzer.pipeline.again import size_of
    from analyzer.pipeline.files import analyze
    from analyzer.pipeline.parts import parts

    def read(*names: str, before: int = 0, size: int = 0, doing: str = "reading") -> Report:
        reached = 0

        def show(done: int, of: int, also: str = "", beside: str = "", /) -> None:
            nonlocal reached
            if also and not beside:  # a file that is read again on the way has no bar of its own
                beside = f"again {100 * done // max(1, of)}%"
            elif not also:
                reached = done
            if progress:
                progress(before + reached, size, doing, beside)

        return analyze(*names, rules=rules, client=hosts[0], server=hosts[1], only=only, progress=show)

    expected = {path: expectations(path) for path in paths}  # what is wrong in them is said before any work
    reports: dict[str, Report] = {}
    errors: dict[str, UserError] = {}
    size, before = size_of(paths), 0
    for path in paths:
        try:
            reports[path] = read(path, before=before, size=size)
        except UserError as error:
            errors[path] = error
        before += size_of([path])

    def together(names: Sequence[str]) -> Report:
        return read(*names, size=size_of(names), doing="reading together")

    rotated = parts(reports, together) if len(reports) > 1 else {}
    checked: list[Checked] = []
    for path in paths:
        if path in errors:
            checked.append(Checked(path, None, error=errors[path]))
            continue
        part = rotated.get(path)
        told = judge.judge(path, part.report if part else reports[path], expected[path])
        checked.append(replace(told, carries_on=part.before) if part else told)
    return judge.run(checked, rules)


def _judge(rules: Sequence[Rule], options: dict[str, Any]) -> Judge:
    from analyzer.checks.baseline import read_baseline
    from analyzer.checks.judge import Judge
    from analyzer.checks.suppressions import read_suppressions
    from analyzer.model.rule import Severity
    from analyzer.reports.check_words import line

    names = {rule.name for rule in rules}
    baseline, suppress = options["baseline"], options["suppress"]
    return Judge(
        say=line,
        today=datetime.now(UTC).date(),
        fail_on=Severity(options["fail_on"]),
        recovered=options["recovered"],
        suppressions=_read(suppress, lambda file: read_suppressions(file, names)) if suppress else (),
        baseline=read_baseline(_text(baseline), baseline) if baseline else None,
    )


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "this is not text, so no baseline"
        raise UserError("unreadable", path, what or str(error), _INPUTS["baseline"]) from error


def _read(path: str, read: Callable[[Any], tuple[list[Any], list[Any]]]) -> list[Any]:
    """What a YAML file holds; raises UserError with all that is wrong in it."""
    from analyzer.matching.diagnostics import DiagnosticsError
    from analyzer.matching.yaml_lines import load_yaml

    found, errors = read(load_yaml(Path(path)))
    if errors:
        raise DiagnosticsError("bad-check-file", errors)
    return found


def _own_file(path: str) -> Path:
    """``NAME.expect.yaml`` beside ``NAME.pcap.gz``."""
    match = _CAPTURE.fullmatch(Path(path).name)
    return Path(path).with_name((match["name"] if match else Path(path).name) + _BESIDE)


def _expectations(rules: Sequence[Rule], given: str | None) -> Callable[[str], Sequence[Expectation]]:
    """A function from a capture's path to its expectations; each file is read once."""
    from functools import cache

    from analyzer.checks.expectations import read_expectations

    names = {rule.name for rule in rules}

    @cache
    def read(file: str) -> list[Expectation]:
        return _read(file, lambda content: read_expectations(content, names))

    def of(path: str) -> Sequence[Expectation]:
        places = [_own_file(path), Path(path).with_name(_FOLDER)]
        file = next((str(place) for place in places if place.is_file()), given)
        return read(file) if file else ()

    return of


def _updated(run: CheckRun, rules: Sequence[Rule], judge: Judge) -> CheckRun:
    """Write a file for each capture with problems that would fail, or that has one already."""
    from analyzer.checks.expectations import as_yaml, read_expectations
    from analyzer.model.checked import Standing

    names = {rule.name for rule in rules}
    checked: list[Checked] = []
    for capture in run.captures:
        if capture.report is None or capture.error:
            checked.append(capture)
            continue
        file = _own_file(capture.path)
        kept = _read(str(file), lambda content: read_expectations(content, names)) if file.is_file() else []
        kept = [expectation for expectation in kept if expectation.kind != "must"]
        bare = judge.judge(capture.path, capture.report, [])
        counted = [problem for problem in bare.problems if problem.standing is Standing.NEW]
        if counted or file.is_file():
            file.write_text(as_yaml(counted, kept), encoding="utf-8")
            complain(f"wrote {os.fspath(file)}")
        fresh = _read(str(file), lambda content: read_expectations(content, names)) if file.is_file() else []
        checked.append(judge.judge(capture.path, capture.report, fresh))
    return judge.run(checked, rules)


def _with_baseline(run: CheckRun, judge: Judge, path: str, out: TextIO) -> CheckRun:
    """Write what counts, and what an older baseline knew and is still there; judge by that."""
    from analyzer.checks.baseline import as_json, read_baseline
    from analyzer.model.checked import Standing
    from analyzer.reports.words import count

    counted = [
        problem
        for capture in run.captures
        for problem in capture.problems
        if problem.standing in (Standing.NEW, Standing.KNOWN)
    ]
    text = as_json(counted)
    out.write(text)
    complain(f"wrote {path}: {count(len({problem.key for problem in counted}), 'problem')}")
    written = read_baseline(text, path)
    captures = [replace(capture, problems=written.mark(capture.problems)) for capture in run.captures]
    judge.baseline = written
    return judge.run(captures, run.rules)
