"""A capture that goes on: what is known of it while it does, and the report at its end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import UserError
from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.application import Dissection
from analyzer.model.capture import Capture
from analyzer.model.filter import EVERYTHING, Filter
from analyzer.model.finding import FlowResult, News
from analyzer.model.host import DEFAULT_HOST, Host
from analyzer.model.live import Standing, Wanted
from analyzer.model.report import Report, Totals
from analyzer.model.rule import Rule
from analyzer.pipeline.applications import with_messages_of
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.failures import Failures
from analyzer.sources.dissection import OPTION
from analyzer.sources.tshark import tshark
from analyzer.verdicts.choose import choose
from analyzer.verdicts.incidents import incidents

if TYPE_CHECKING:
    from analyzer.sources.live import LiveSource


def watch(
    wanted: Wanted,
    tell: Callable[[Sequence[News], Standing], None],
    is_over: Callable[[], bool],
    *,
    rules: Sequence[Rule] | None = None,
    client: Host = DEFAULT_HOST,
    server: Host = DEFAULT_HOST,
    only: Filter = EVERYTHING,
    failures: str | None = None,
    dissection: Dissection | None = None,
) -> Report:
    """Follow a capture that goes on, until ``is_over`` says so.

    ``tell`` is given what changed, after each portion of packets and many times a second while none comes.
    The report is that of a file with the same packets, but that silence counts up to the end of the capture.
    ``client``, ``server``, ``only`` as for ``analyze``; ``failures`` is a file for the packets of the flows
    that have a finding. With ``dissection`` tshark is asked at the end what their programs had said, as far
    as the snapshot length lets it know. Raises UserError where the capture cannot begin.
    """
    from analyzer.sources.live import LiveSource  # starts processes, which no other command needs

    known = load_rules(rules_folder()) if rules is None else rules
    engine = Engine(Matcher(known), hosts=(client, server), keep_news=True)
    with ExitStack() as undo:
        kept = _kept(failures, dissection, engine, undo)
        with LiveSource(wanted, is_over) as source:
            _follow(source, engine, kept, only, tell)
        capture, flows = source.capture, engine.finish()
        if kept:
            kept.told(chosen(engine.take_news(), only, capture.first or 0))
            kept.close()
            if failures and not capture.kept:
                capture.kept = failures
            capture.problems.extend(kept.problems)
        told, left_out = choose(flows, only, capture.first or 0)
        if kept and dissection:
            told = _with_messages(kept, told, dissection, capture)
    totals = Totals(rules=len(known), longest_pause=engine.services.longest_pause())
    engine.add_to(totals)
    capture.problems.extend(engine.problems())
    capture.silent.extend(engine.silent())
    return Report(
        captures=(capture,),
        totals=totals,
        flows=tuple(told),
        incidents=incidents(told, engine.services),
        notes=(kept.note,) if kept and failures else (),
        only=only,
        left_out=left_out,
        hosts=(client, server),
        twice=engine.twice.told(),
    )


def _kept(
    path: str | None, dissection: Dissection | None, engine: Engine, undo: ExitStack
) -> Failures | None:
    """What keeps the packets of failing flows: in that file, or for tshark in one that is removed again."""
    if dissection:
        tshark(OPTION)
        if not path:
            folder = undo.enter_context(tempfile.TemporaryDirectory(prefix="errnoscope-"))
            path = str(Path(folder, "failures.pcapng"))
    return Failures(path, engine.front.kept) if path and engine.front.kept else None


def _follow(
    source: LiveSource,
    engine: Engine,
    kept: Failures | None,
    only: Filter,
    tell: Callable[[Sequence[News], Standing], None],
) -> None:
    """Until the capture is over."""
    losses = _Losses(engine)
    for block in source.blocks():
        if len(block):
            engine.feed(block)
            if kept:
                kept.take()
        elif (now := source.now()) is not None:
            engine.tick(now)
        news = chosen(engine.take_news(), only, source.capture.first or 0)
        standing = source.standing(engine.open_flows)
        losses.note(standing)
        if kept:
            kept.told(news)
            standing = replace(standing, problems=(*standing.problems, *kept.problems))
        tell(news, standing)
    losses.note(source.standing(0))


def _with_messages(
    kept: Failures, told: Sequence[FlowResult], dissection: Dissection, capture: Capture
) -> list[FlowResult]:
    """With what was said in them; what goes wrong with that is no reason to lose the rest."""
    try:
        told, problems = with_messages_of(kept.path, kept.places(told), told, dissection)
        capture.problems.extend(problems)
        return told
    except UserError as error:
        capture.problems.append(f"what was said could not be looked at: {error.what}")
        return list(told)


class _Losses:
    """When the kernel dropped packets: since it told its count the time before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._before = Standing()
        self._told_at = 0

    def note(self, standing: Standing) -> None:
        """So many by now."""
        if standing.drops_told != self._before.drops_told:
            now = self._engine.clock
            if standing.dropped > self._before.dropped:
                self._engine.lost(self._told_at, now)
            self._before, self._told_at = standing, now


def chosen(news: Sequence[News], only: Filter, first: int) -> list[News]:
    """What the filter leaves of each flow."""
    told = []
    for item in news:
        results, _ = choose([item.result], only, first)
        told.append(item._replace(result=results[0] if results else _nothing(item.result)))
    return told


def _nothing(result: FlowResult) -> FlowResult:
    """The flow, and nothing that was found in it."""
    return replace(result, verdicts=(), findings=())


def interface_names() -> list[str]:
    """The interfaces that can be watched."""
    from analyzer.sources.capture_program import interface_names

    return interface_names()
