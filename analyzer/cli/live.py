"""``errnoscope live -i INTERFACE [FILTER]``: say what fails while it happens."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from types import FrameType

import click

from analyzer.cli.filter_options import filter_options
from analyzer.cli.host_options import host_options
from analyzer.cli.messages import complain
from analyzer.cli.output import Target, opened, output_option
from analyzer.cli.rule_options import RuleOptions, rule_options
from analyzer.errors import UserError
from analyzer.model.filter import Filter
from analyzer.model.finding import News
from analyzer.model.host import Host
from analyzer.model.live import SNAPLEN, Standing, Wanted
from analyzer.reports.live_text import LiveText
from analyzer.reports.printable import printable

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
@click.option("-D", "--list-interfaces", is_flag=True, help="List the interfaces.")
@click.option("-c", "--count", type=click.IntRange(min=1), help="End after so many packets.")
@click.option("--duration", type=click.FloatRange(min=0), metavar="SECONDS", help="End after so long.")
@click.option(
    "-s",
    "--snapshot-length",
    type=click.IntRange(min=0),
    default=SNAPLEN,
    show_default=True,
    help="Bytes that are kept of each frame; 0: all.",
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
    list_interfaces: bool,
    count: int | None,
    duration: float | None,
    snapshot_length: int,
    verbose: bool,
    outputs: list[Target],
    only: Filter,
    hosts: tuple[Host, Host],
    chosen: RuleOptions,
) -> int:
    """Say which errno each end of a connection gets, as it happens.

    FILTER is tcpdump's, such as `tcp port 5432`. With - the packets come from standard input, as pcap or
    pcapng, from a capture that somebody else runs. Ctrl-C ends it, with the report that a file would give.

    \b
    Examples:
      errnoscope live -i eth0
      errnoscope live -i any tcp port 5432 --duration 60 -o json=report.json
      ssh host tcpdump -U -w - not port 22 | errnoscope live -
    """
    from analyzer.pipeline import interface_names, watch

    if list_interfaces:
        for name in interface_names():
            click.echo(printable(name))
        return 0
    interfaces, expression = _sources(interfaces, filter_words)
    rules = chosen.load()
    only = replace(only, rules=rules.names)
    wanted = Wanted(interfaces, expression, snapshot_length, count)
    stop = _Stop(duration)
    shown = LiveText(ladder=verbose)
    speaks = all(target.path or target.format == "text" for target in outputs)

    def tell(news: Sequence[News], _: Standing) -> None:
        for line in shown.lines(news):
            if speaks:
                click.echo(printable(line))

    with opened(outputs) as reports, _ended_by_signals(stop):
        report = watch(wanted, tell, stop, rules=rules.rules, client=hosts[0], server=hosts[1], only=only)
        if speaks and any(not target.path for target in outputs):
            click.echo()
        reports.write(report)
    damage = report.captures[0].damage
    if damage:
        complain(damage)
    return 2 if damage else 0


class _Stop:
    """Whether the capture is to end: somebody said so, or its time is over."""

    def __init__(self, seconds: float | None) -> None:
        self._until = None if seconds is None else monotonic() + seconds
        self._asked = False

    def ask(self, number: int, _: FrameType | None) -> None:
        """A signal: end it; a second one of the same kind does what it does to other programs."""
        self._asked = True
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    def __call__(self) -> bool:
        return self._asked or (self._until is not None and monotonic() >= self._until)


@contextmanager
def _ended_by_signals(stop: _Stop) -> Iterator[None]:
    """Signals that ask to end are heard, and as they were afterwards."""
    known = [number for name in _SIGNALS if (number := getattr(signal, name, None)) is not None]
    before = {number: signal.signal(number, stop.ask) for number in known}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
        hint = "errnoscope live -i any; -D lists the interfaces; - reads a pipe"
        raise UserError("no-interface", "live", "no interface is given", hint)
    return interfaces, " ".join(words)
