"""``errnoscope view CAPTURE...``: browse what failed, in the terminal."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import click

from analyzer.cli.filter_options import filter_options
from analyzer.cli.host_options import host_options
from analyzer.cli.messages import complain
from analyzer.cli.progress import Progress
from analyzer.cli.rule_options import Chosen, RuleOptions, rule_options
from analyzer.errors import UserError
from analyzer.model.filter import Filter
from analyzer.model.host import Host

if TYPE_CHECKING:
    from analyzer.model.carving import Carving
    from analyzer.model.finding import FlowResult, News
    from analyzer.model.live import Standing
    from analyzer.model.picture import Picture
    from analyzer.model.report import Report
    from analyzer.view.app import Browser, Told
    from analyzer.view.source import Browsed


@click.command("view", context_settings={"max_content_width": 80})
@click.argument("captures", nargs=-1, metavar="CAPTURE...", type=click.Path(readable=False, path_type=str))
@click.option(
    "-i", "--interface", "interfaces", multiple=True, metavar="NAME", help="Browse what happens there now."
)
@filter_options
@host_options
@rule_options
def command(
    captures: tuple[str, ...],
    *,
    interfaces: tuple[str, ...],
    only: Filter,
    hosts: tuple[Host, Host],
    chosen: RuleOptions,
) -> int:
    """Browse the connections that failed, in the terminal: list, ladder, plot, why, the rule.

    With -i what fails on an interface appears while it happens; what would be CAPTURE is tcpdump's filter
    then. 80 columns and 24 lines are enough.

    \b
    Examples:
      errnoscope view trace.pcap
      errnoscope view -i eth0 tcp port 5432
    """
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        hint = "errnoscope analyze prints a report, errnoscope live reads a pipe"
        raise UserError("no-terminal", "view", "needs a terminal for input and output", hint)
    rules = chosen.load()
    only = replace(only, rules=rules.names)
    if interfaces:
        return _live(interfaces, " ".join(captures), only, hosts, rules)
    if not captures:
        raise UserError(
            "no-capture", "view", "no capture is given", "errnoscope view CAPTURE, or -i INTERFACE"
        )
    _refuse_an_interface(captures)
    return _files(captures, only, hosts, rules)


def _refuse_an_interface(captures: Sequence[str]) -> None:
    """Raises UserError where -i was forgotten."""
    if Path(captures[0]).exists():
        return
    from analyzer.pipeline.watching import interface_names

    if captures[0] in interface_names():
        hint = shlex.join(["errnoscope", "view", "-i", *captures])
        raise UserError("no-interface", captures[0], "an interface is named with -i", hint)


def _files(captures: Sequence[str], only: Filter, hosts: tuple[Host, Host], rules: Chosen) -> int:
    from analyzer.pipeline.files import analyze
    from analyzer.view.app import Browser

    with Progress() as progress:
        report = analyze(
            *captures,
            rules=rules.rules,
            client=hosts[0],
            server=hosts[1],
            only=only,
            progress=progress.show,
            jobs=None,
        )
    _run(Browser(browsed(report, rules)))
    damaged = [capture.damage for capture in report.captures if capture.damage]
    for damage in damaged:
        complain(damage)
    return 2 if damaged else 0


def _run(browser: Browser) -> None:
    """Until somebody has seen enough. Raises whatever has ended it else."""
    browser.run()
    if browser.failure:
        raise browser.failure


def browsed(report: Report, rules: Chosen) -> Browsed:
    """What there is to browse in a report."""
    from analyzer.reports.counts import failed_of
    from analyzer.reports.doubts import doubts
    from analyzer.reports.groups import groups
    from analyzer.reports.words import silence, silence_means
    from analyzer.view.source import Browsed

    silent = silence(report.captures)
    name = report.captures[0].path if len(report.captures) == 1 else f"{len(report.captures)} captures"
    return Browsed(
        title=f"{name}: {failed_of(report)}",
        rules={rule.name: rule for rule in rules.rules},
        results=[result for group in groups(report) for result in group.members],
        picture=_remembered(report),
        file_name=lambda result: str(_carving(report, result).path),
        export=lambda result, path: _export(report, result, path),
        names=_names([capture.path for capture in report.captures]),
        doubts=doubts(report),
        silence=silence_means(silent) if silent else "",
    )


def _names(paths: Sequence[str]) -> list[str]:
    """As much of the end of each path as tells all of them apart; none for a single one."""
    if len(paths) < 2:
        return []
    parts = [PurePath(path).parts for path in paths]
    for length in range(1, max(map(len, parts))):
        names = [str(PurePath(*part[-length:])) for part in parts]
        if len(set(names)) == len(names):
            return names
    return list(paths)


def _remembered(report: Report) -> Callable[[FlowResult], Picture | None]:
    from analyzer.pipeline.pictures import pictures

    known: dict[int, Picture | None] = {}

    def picture(result: FlowResult) -> Picture | None:
        if id(result) not in known:
            known[id(result)] = pictures(report, [result]).get(id(result))
        return known[id(result)]

    return picture


def _carving(report: Report, result: FlowResult) -> Carving:
    """What is to be cut out for a flow, and a name for it in the current directory. Raises UserError."""
    from analyzer.reports.carve_index import carvings

    carved = carvings(replace(report, flows=(result,)), Path())
    if not carved:
        raise UserError("no-failure", "export", "this connection did not fail")
    return carved[0]


def _export(report: Report, result: FlowResult, path: str) -> None:
    """Write the flow into a capture of its own. Raises UserError."""
    from analyzer.pipeline.copying import carve

    try:
        carve(
            [capture.path for capture in report.captures],
            [replace(_carving(report, result), path=Path(path).expanduser())],
        )
    except OSError as error:
        is_there = isinstance(error, FileExistsError)
        what = "there is such a file already" if is_there else f"{error.strerror or error}"
        raise UserError("unwritable", path, what, "choose another name.") from error


def _live(
    interfaces: tuple[str, ...], expression: str, only: Filter, hosts: tuple[Host, Host], rules: Chosen
) -> int:
    from analyzer.model.live import Wanted
    from analyzer.pipeline.watching import watch
    from analyzer.reports.words import count
    from analyzer.view.app import Browser
    from analyzer.view.source import Browsed

    failure: list[UserError] = []

    def follow(tell: Told, is_over: Callable[[], bool]) -> None:
        def told(news: Sequence[News], standing: Standing) -> None:
            if not is_over():
                dropped = f", {standing.dropped:,} dropped" if standing.dropped else ""
                flows = count(standing.open_flows, "flow")
                tell(news, f"{standing.packets:,} packets, {flows} followed{dropped}")

        try:
            watch(
                Wanted(interfaces, expression),
                told,
                is_over,
                rules=rules.rules,
                client=hosts[0],
                server=hosts[1],
                only=only,
            )
        except UserError as error:
            failure.append(error)
            browser.call_from_thread(browser.exit)

    named = {rule.name: rule for rule in rules.rules}
    browser = Browser(Browsed(title=" ".join(interfaces), rules=named), follow)
    _run(browser)
    for error in failure:
        complain(error)
    return 2 if failure else 0
