"""``errnoscope live --follow DIR``: the files of a rotating capture, as they are finished."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple

from analyzer.cli.messages import columns, complain, say
from analyzer.cli.output import Target, opened
from analyzer.cli.rule_options import RuleOptions
from analyzer.cli.state_file import StateFile
from analyzer.errors import UserError
from analyzer.metrics.child import Exporter
from analyzer.model.filter import Filter
from analyzer.model.finding import News
from analyzer.model.host import Host
from analyzer.model.live import Standing
from analyzer.reports import live_json, live_text
from analyzer.reports.live_changes import Changes
from analyzer.reports.live_metrics import Counted
from analyzer.reports.printable import printable
from analyzer.reports.words import count

if TYPE_CHECKING:
    from analyzer.pipeline.following import Following

_POLL_SECONDS = 1.0
_LOOK_SECONDS = 0.1


class Wish(NamedTuple):
    """The options; ``once``: end when there is nothing more to be taken."""

    name: str
    state: str | None
    once: bool
    quiet: float
    verbose: bool
    metrics: str | None


def follow(
    wish: Wish,
    is_over: Callable[[], bool],
    outputs: Sequence[Target],
    only: Filter,
    hosts: tuple[Host, Host],
    chosen: RuleOptions,
) -> int:
    """Say what each file brings, until ``is_over``; the exit status. Raises UserError."""
    from analyzer.pipeline.following import Following

    rules = chosen.load()
    only = replace(only, rules=rules.names)
    files = [target for target in outputs if target.path]
    reported = files if wish.state else outputs  # where the run goes on, nothing is over that stdout tells of
    settings = {
        "--follow": wish.name,
        "choice of rules": sorted(rule.name for rule in rules.rules),
        "system or setting": hosts,
        "filter": _in_order(only),
        "choice of reports": bool(reported),
    }
    store = StateFile(wish.state, settings) if wish.state else None
    with opened(reported) as reports, ExitStack() as undo:
        exporter = undo.enter_context(Exporter(wish.metrics)) if wish.metrics else None
        speaker = _Speaker(store, _format(outputs), exporter, verbose=wish.verbose)
        following = speaker.go_on()
        if following is None:
            following = Following(
                wish.name,
                rules.rules,
                client=hosts[0],
                server=hosts[1],
                only=only,
                quiet=wish.quiet,
                keep_results=bool(reported),
            )
        else:
            following.go_on(rules.rules)
        _take_files(following, speaker, is_over, once=wish.once)
        if reported:
            reports.write((following.copy() if store else following).report())
    if store:
        store.close()
    return 2 if speaker.complaints else 0


def _in_order(only: Filter) -> list[str]:
    """The filter in words that are the same in every process."""
    values = [getattr(only, entry.name) for entry in fields(only)]
    return [str(sorted(map(str, value)) if isinstance(value, frozenset) else value) for value in values]


def _format(outputs: Sequence[Target]) -> str:
    """What goes to stdout as it is found."""
    own = [target.format for target in outputs if not target.path]
    return own[0] if own else "text"


def _take_files(following: Following, speaker: _Speaker, is_over: Callable[[], bool], *, once: bool) -> None:
    """One after the other; where there is none, look again after a moment."""
    begun = False
    while not is_over():
        step = None
        try:
            step = following.step()
        except UserError as error:
            if not begun:
                raise
            speaker.complain_once(str(error))  # it may be there again
        begun = True
        for problem in following.rotation.problems:
            speaker.complain_once(problem)
        if step:
            speaker.say(following, step.news, step.standing)
        elif once:
            _say_what_is_left(following)
            break
        if not step or following.asks_again:
            speaker.waits(following)
            until = monotonic() + _POLL_SECONDS
            while monotonic() < until and not is_over():
                sleep(_LOOK_SECONDS)
    speaker.clear()


def _say_what_is_left(following: Following) -> None:
    """Nothing more is finished: which file is not, or that there was none at all."""
    unfinished = following.rotation.unfinished
    if unfinished:
        quiet = following.rotation.quiet
        complain(f"{unfinished}: was written less than {quiet:g} s ago: left for the next run (--quiet)")
    elif not following.captures:
        complain(f"{following.rotation.name}: there is no capture there that can be read yet")


class _Speaker:
    """Says what changed, and keeps the state beside it."""

    def __init__(
        self, store: StateFile | None, form: str, exporter: Exporter | None, *, verbose: bool
    ) -> None:
        self._store = store
        self._form = form
        self._verbose = verbose
        self._changes = Changes()
        self._exporter = exporter
        self._counted = Counted()
        if exporter:
            say(f"metrics: {exporter.address}", err=True)
        self._shows_life, self._wraps = sys.stderr.isatty(), form == "text" and sys.stdout.isatty()
        self._is_shown = False
        self._complained: set[str] = set()
        self.complaints = 0
        """Files that could not be read, or not to their end."""

    def go_on(self) -> Following | None:
        """Where a run before this one stood, once what it had not said any more is said."""
        saved = self._store.load() if self._store else None
        if saved is None or self._store is None:
            return None
        following, self._changes = saved.state
        self._print(saved.unsaid)
        self._store.said()
        known: Following = following
        return known

    def say(self, following: Following, news: Iterable[News], standing: Standing) -> None:
        """What a file brought."""
        for problem in standing.problems:
            self.complaints += 1
            self._complain(problem)
        changes = self._changes.of(news)
        if self._form == "text":
            lines = live_text.lines(changes, with_ladder=self._verbose, dated=True)
        else:
            lines = live_json.lines(changes if self._form == "json-lines" else ())
        text = "".join(f"{printable(line)}\n" for line in lines).encode("utf-8", "backslashreplace")
        if self._store:
            self._store.save((following, self._changes), text)
        self._print(text)
        if self._store:
            self._store.said()
        self._counted.count(changes)
        if self._exporter:
            self._exporter.tell(self._counted.values(standing))

    def complain_once(self, problem: str) -> None:
        """What stays wrong is not said every second."""
        if problem not in self._complained:
            self._complained.add(problem)
            self._complain(problem)

    def waits(self, following: Following) -> None:
        """On a terminal, that it has not gone to sleep: a line that the next one takes the place of."""
        if self._shows_life:
            self.clear()
            files, flows = count(len(following.captures), "file"), count(following.open_flows, "flow")
            told = f"{files} read, {flows} followed; waiting for the next file"
            say(told[: columns() - 1], err=True, nl=False)
            self._is_shown = True

    def clear(self) -> None:
        """Something else is to be said."""
        if self._is_shown:
            say("\r\x1b[K", err=True, nl=False)
            self._is_shown = False

    def _complain(self, problem: str) -> None:
        self.clear()
        complain(problem)

    def _print(self, text: bytes) -> None:
        """On a terminal no word is torn apart; elsewhere a line stays one, for grep."""
        self.clear()
        if self._wraps:
            for line in text.decode(errors="replace").splitlines():
                say("\n".join(live_text.wrapped(line, shutil.get_terminal_size().columns - 1)))
        else:
            _say(text)


def _say(text: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
