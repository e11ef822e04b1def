"""``errnoscope live -i INTERFACE [FILTER]``: say what fails while it happens."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

import click

from analyzer.cli.app_options import app_options
from analyzer.cli.filter_options import filter_options
from analyzer.cli.follow import Wish
from analyzer.cli.follow import follow as followed
from analyzer.cli.host_options import host_options
from analyzer.cli.memory import give_freed_back
from analyzer.cli.messages import columns, complain, say
from analyzer.cli.numbers import Number, Whole
from analyzer.cli.output import Target, opened, output_option
from analyzer.cli.refusals import without_effect
from analyzer.cli.rule_options import RuleOptions, rule_options
from analyzer.errors import UserError
from analyzer.metrics.child import Exporter
from analyzer.model.application import Dissection
from analyzer.model.filter import Filter
from analyzer.model.finding import News
from analyzer.model.host import Host
from analyzer.model.live import SNAPLEN, Keep, Standing, Wanted
from analyzer.model.report import Report
from analyzer.reports import live_json, live_text
from analyzer.reports.live_changes import Change, Changes
from analyzer.reports.live_metrics import Counted
from analyzer.reports.live_text import Status
from analyzer.reports.printable import printable

QUIET = 30.0

_STATUS_SECONDS = 0.5
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@click.command("live", context_settings={"max_content_width": 80})
@click.argument("filter_words", nargs=-1, metavar="[-] [FILTER]")
@click.option(
    "-i",
    "--interface",
    "interfaces",
    multiple=True,
    metavar="NAME",
    help="Interface to capture on; any: all of them.",
)
@click.option(
    "--follow",
    metavar="DIR|URL|PATTERN",
    help="Take the files of a rotating capture, as each is finished; connections stay open over them.",
)
@click.option(
    "--state",
    metavar="FILE",
    help="With --follow: go on where the run before was ended or killed; what this file holds is trusted.",
)
@click.option("--once", is_flag=True, help="With --follow: take what there is, and end.")
@click.option(
    "--quiet",
    type=Number(min=0),
    metavar="SECONDS",
    help="With --follow: the newest file is finished when it has not changed for so long. "
    f"[default: {QUIET:g}]",
)
@click.option("-D", "--list-interfaces", is_flag=True, help="List the interfaces.")
@click.option("-c", "--count", type=Whole(min=1), metavar="N", help="End after so many packets.")
@click.option("--duration", type=Number(min=0), metavar="SECONDS", help="End after so long.")
@click.option(
    "-s",
    "--snapshot-length",
    type=Whole(min=0),
    metavar="BYTES",
    help=f"Bytes that are kept of each frame; 0: all. [default: {SNAPLEN}]",
)
@click.option("-w", "--write", metavar="FILE", help="Keep the packets in this pcap file.")
@click.option("-C", "megabytes", type=Whole(min=1), metavar="MB", help="A new file after so many megabytes.")
@click.option("-G", "seconds", type=Whole(min=1), metavar="SECONDS", help="A new file after so many seconds.")
@click.option(
    "-W", "files", type=Whole(min=1), metavar="N", help="With -C: so many in turn; with -G: then end."
)
@click.option(
    "--write-failures",
    "failures",
    metavar="FILE",
    help="Keep the packets of the connections that fail, and no others, in this pcapng file.",
)
@app_options
@click.option(
    "--metrics",
    metavar="[ADDRESS:]PORT",
    help="Serve counts to Prometheus there (address: 127.0.0.1 unless given).",
)
@click.option("-v", "--verbose", is_flag=True, help="With the frames that prove it.")
@output_option()
@filter_options
@host_options
@rule_options
def command(
    filter_words: tuple[str, ...],
    *,
    interfaces: tuple[str, ...],
    follow: str | None,
    state: str | None,
    once: bool,
    quiet: float | None,
    list_interfaces: bool,
    count: int | None,
    duration: float | None,
    snapshot_length: int | None,
    write: str | None,
    megabytes: int | None,
    seconds: int | None,
    files: int | None,
    failures: str | None,
    metrics: str | None,
    verbose: bool,
    outputs: list[Target],
    only: Filter,
    hosts: tuple[Host, Host],
    chosen: RuleOptions,
    dissection: Dissection | None,
) -> int:
    """Say which errno each end of a connection gets, as it happens.

    FILTER is tcpdump's, such as `tcp port 5432`. With - the packets come from standard input, as pcap or
    pcapng, from a capture that somebody else runs. Ctrl-C ends it, with the report that a file would give.

    \b
    Examples:
      errnoscope live -i eth0
      errnoscope live -i any tcp port 5432 --duration 60 -o json=report.json
      ssh host tcpdump -U -w - not port 22 | errnoscope live -
      errnoscope live --follow /var/captures --state /var/lib/errnoscope.state
    """
    from analyzer.pipeline.watching import interface_names, watch

    give_freed_back()
    if list_interfaces:
        for name in interface_names():
            click.echo(printable(name))
        return 0
    of_files = {"--state": state, "--once": once or None, "--quiet": quiet}
    if follow is None:
        _refuse_without_follow(of_files)
    else:
        given: dict[str, object] = {
            "-i": interfaces,
            "FILTER": filter_words,
            "-c": count,
            "-s": snapshot_length,
            "-w": write,
        }
        given |= {"-C": megabytes, "-G": seconds, "-W": files}
        given |= {"--write-failures": failures, "--app": dissection}
        _refuse_beside_follow(given)
        stop = _Stop(duration)
        with _ended_by_signals(stop):
            return followed(
                Wish(follow, state, once, QUIET if quiet is None else quiet, verbose, metrics),
                stop,
                outputs,
                only,
                hosts,
                chosen,
            )
    interfaces, expression = _sources(interfaces, filter_words)
    if not interfaces and snapshot_length is not None:
        hint = "give it to whoever captures: tcpdump -s LENGTH -U -w - | errnoscope live -"
        raise UserError("snaplen-of-pipe", "-s", "what comes through a pipe was captured already", hint)
    whole = not interfaces  # as far as whoever captured it left it so
    length = 0 if whole else SNAPLEN if snapshot_length is None else snapshot_length
    rules = chosen.load()
    only = replace(only, rules=rules.names)
    wanted = Wanted(interfaces, expression, length, count, _keep(write, megabytes, seconds, files))
    stop = _Stop(duration)
    with opened(outputs) as reports, _ended_by_signals(stop), ExitStack() as undo:
        exporter = undo.enter_context(Exporter(metrics)) if metrics else None
        screen = _Screen(outputs, exporter, verbose=verbose)
        report = watch(
            wanted,
            screen.tell,
            stop,
            rules=rules.rules,
            client=hosts[0],
            server=hosts[1],
            only=only,
            failures=failures,
            dissection=dissection,
        )
        screen.end(report)
        reports.write(report)
    damage = report.captures[0].damage
    if damage:
        complain(damage)
    return 2 if damage else 0


def _refuse_without_follow(given: Mapping[str, object]) -> None:
    """What is for files that are followed only. Raises UserError."""
    for option, value in given.items():
        if value is not None:
            raise without_effect(option, "--follow DIR")


def _refuse_beside_follow(given: Mapping[str, object]) -> None:
    """What is for packets of interfaces and pipes only. Raises UserError."""
    for option, value in given.items():
        if value is not None and value != ():
            what = "is for a capture of this process, not for files that are followed"
            raise UserError("not-with-follow", option, what, "leave one of the two out")


class _Screen:
    """Says what changed, in the format that goes to stdout, and on a terminal how the capture stands."""

    def __init__(self, outputs: Sequence[Target], exporter: Exporter | None, *, verbose: bool) -> None:
        own = [target.format for target in outputs if not target.path]
        self._format = own[0] if own else "text"
        self._report_follows = bool(own)
        self._verbose = verbose
        self._changes = Changes()
        self._status = Status()
        self._shows_status = sys.stderr.isatty()
        self._wraps = sys.stdout.isatty()
        self._shown_at = 0.0
        self._exporter = exporter
        self._counted = Counted()
        self._counted_at = 0.0
        if exporter:
            say(f"metrics: {exporter.address}", err=True)
        self._complaints: set[str] = set()

    def tell(self, news: Sequence[News], standing: Standing) -> None:
        """Say it."""
        for problem in standing.problems:
            if problem not in self._complaints:
                self._clear()
                complain(problem)
        self._complaints = set(standing.problems)
        changes = self._changes.of(news)
        self._status.count(changes)
        self._export(changes, standing)
        if changes:
            self._clear()
            for line in self._lines(changes):
                self._say(printable(line))
        if self._shows_status and monotonic() - self._shown_at >= _STATUS_SECONDS:
            self._clear()
            self._shown_at = monotonic()
            width = columns() - 1  # of stderr: the lines may go to a file
            say(self._status.line(standing, self._shown_at, width), err=True, nl=False)

    def end(self, report: Report) -> None:
        """The report follows; what it takes back of the lines before it is said."""
        self._clear()
        if self._format == "text":
            for line in live_text.afterwards(self._status.failed, report):
                self._say(printable(line))
            if self._report_follows:
                say("")

    def _say(self, line: str) -> None:
        """A line; on a terminal none of its words is torn apart, elsewhere it stays one line for grep."""
        wraps = self._format == "text" and self._wraps
        lines = live_text.wrapped(line, shutil.get_terminal_size().columns - 1) if wraps else [line]
        for one in lines:
            say(one)

    def _lines(self, changes: Sequence[Change]) -> Iterable[str]:
        if self._format == "text":
            return live_text.lines(changes, with_ladder=self._verbose)
        return live_json.lines(changes) if self._format == "json-lines" else ()

    def _export(self, changes: Sequence[Change], standing: Standing) -> None:
        self._counted.count(changes)
        if self._exporter and (changes or monotonic() - self._counted_at >= _STATUS_SECONDS):
            self._counted_at = monotonic()
            self._exporter.tell(self._counted.values(standing))

    def _clear(self) -> None:
        if self._shown_at:
            say("\r\x1b[K", err=True, nl=False)


class _Stop:
    """Whether the capture is to end: somebody said so, or its time is over."""

    def __init__(self, seconds: float | None) -> None:
        self._until = None if seconds is None else monotonic() + seconds
        self._asked = False
        self.then: dict[int, Any] = {}
        """What a second signal of a kind is left to."""

    def ask(self, number: int, _: FrameType | None) -> None:
        """A signal: end it, with the report."""
        self._asked = True
        signal.signal(number, self.then[number])

    def __call__(self) -> bool:
        return self._asked or (self._until is not None and monotonic() >= self._until)


@contextmanager
def _ended_by_signals(stop: _Stop) -> Iterator[None]:
    """Signals that ask to end are heard; as they were afterwards.

    SIGHUP is not where the caller has it ignored, as nohup does. SIGINT always is, as tcpdump has it: a shell
    without job control ignores it for all that it starts in the background. A second one ends it without the
    report, but for SIGHUP: where a terminal is closed two of them come, from the kernel and from the shell.
    """
    hang_up = getattr(signal, "SIGHUP", None)
    known = [number for name in _SIGNALS if (number := getattr(signal, name, None)) is not None]
    before = {number: signal.getsignal(number) for number in known}
    if hang_up and before[hang_up] is signal.SIG_IGN:
        del before[hang_up]
    stop.then = {
        number: signal.SIG_IGN if number == hang_up else signal.SIG_DFL if then is signal.SIG_IGN else then
        for number, then in before.items()
    }
    try:
        for number in before:
            signal.signal(number, stop.ask)
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not signal.SIG_IGN:  # a terminal that is closed stays so
                signal.signal(number, handler)


def _keep(path: str | None, megabytes: int | None, seconds: int | None, files: int | None) -> Keep | None:
    if path is None:
        if megabytes or seconds or files:
            option = "-C" if megabytes else "-G" if seconds else "-W"
            raise UserError("no-file", option, "is for the file that -w names", "add -w FILE")
        return None
    if files and not (megabytes or seconds):
        raise UserError("no-rotation", "-W", "is for files that rotate", "add -C or -G")
    return Keep(path, megabytes or 0, seconds or 0, files or 0)


def _sources(interfaces: tuple[str, ...], words: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The interfaces and the filter; no interface means standard input."""
    if "-" in words[:1]:
        if interfaces:
            raise UserError(
                "two-sources", "-", f"the packets come from -i {interfaces[0]} or from -, not both"
            )
        if len(words) > 1:
            hint = "give it to whoever captures: tcpdump -U -w - FILTER | errnoscope live -"
            raise UserError("filter-of-pipe", " ".join(words[1:]), "a pipe cannot be filtered", hint)
        return (), ""
    if not interfaces:
        raise _no_interface(words)
    return interfaces, " ".join(words)


def _no_interface(words: tuple[str, ...]) -> UserError:
    """What may have been meant by words without -i: an interface, or one much like it, a file, a filter."""
    from analyzer.pipeline.watching import interface_names

    hint = "errnoscope live -i any; -D lists the interfaces; - reads a pipe"
    if not words:
        return UserError("no-interface", "live", "no interface is given", hint)
    near = get_close_matches(words[0], interface_names(), n=1)
    if near:
        what = "an interface is named with -i" + ("" if near[0] == words[0] else f"; there is {near[0]}")
        return UserError(
            "no-interface", words[0], what, shlex.join(["errnoscope", "live", "-i", near[0], *words[1:]])
        )
    if Path(words[0]).exists():
        hint = shlex.join(["errnoscope", "analyze", words[0]])
        return UserError("no-interface", words[0], "live takes what is captured now; to read a capture", hint)
    hint = f"{shlex.join(['errnoscope', 'live', '-i', 'any', *words])}; -D lists the interfaces"
    return UserError("no-interface", " ".join(words), "no interface is given for this filter", hint)
