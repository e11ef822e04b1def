"""A capture that goes on: what is known of it while it does, and the report at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.filter import EVERYTHING, Filter
from analyzer.model.finding import FlowResult, News
from analyzer.model.host import DEFAULT_HOST, Host
from analyzer.model.live import Standing, Wanted
from analyzer.model.report import Report, Totals
from analyzer.model.rule import Rule
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.failures import Failures
from analyzer.verdicts.choose import choose
from analyzer.verdicts.incidents import incidents


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
) -> Report:
    """Follow a capture that goes on, until ``is_over`` says so.

    ``tell`` is given what changed, after each portion of packets and many times a second while none comes.
    The report is that of a file with the same packets, but that silence counts up to the end of the capture.
    ``client``, ``server``, ``only`` as for ``analyze``; ``failures`` is a file for the packets of the flows
    that have a finding. Raises UserError where the capture cannot begin.
    """
    from analyzer.sources.live import LiveSource  # starts processes, which no other command needs

    known = load_rules(rules_folder()) if rules is None else rules
    engine = Engine(Matcher(known), hosts=(client, server), keep_news=True)
    kept = Failures(failures) if failures else None
    losses = _Losses(engine)
    with LiveSource(wanted, is_over) as source:
        for block in source.blocks():
            if kept:
                kept.take(block)
            if len(block):
                engine.feed(block)
            elif (now := source.now()) is not None:
                engine.tick(now)
            news = _chosen(engine.take_news(), only, source.capture.first or 0)
            standing = source.standing(engine.open_flows)
            losses.note(standing)
            if kept:
                kept.told(news)
                standing = replace(standing, problems=(*standing.problems, *kept.problems))
            tell(news, standing)
        losses.note(source.standing(0))
    flows = engine.finish()
    if kept:
        kept.told(_chosen(engine.take_news(), only, source.capture.first or 0))
        kept.close()
        source.capture.problems.extend(kept.problems)
    totals = Totals(rules=len(known), longest_pause=engine.services.longest_pause())
    engine.add_to(totals)
    source.capture.problems.extend(engine.problems())
    told, left_out = choose(flows, only, source.capture.first or 0)
    return Report(
        captures=(source.capture,),
        totals=totals,
        flows=tuple(told),
        incidents=incidents(told, engine.services),
        only=only,
        left_out=left_out,
        hosts=(client, server),
        twice=engine.twice.told(),
    )


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


def _chosen(news: Sequence[News], only: Filter, first: int) -> list[News]:
    """What the filter leaves of each flow."""
    told = []
    for item in news:
        results, _ = choose([item.result], only, first)
        told.append(replace(item, result=results[0] if results else _nothing(item.result)))
    return told


def _nothing(result: FlowResult) -> FlowResult:
    """The flow, and nothing that was found in it."""
    return replace(result, verdicts=(), findings=())


def interface_names() -> list[str]:
    """The interfaces that can be watched."""
    from analyzer.sources.capture_program import interface_names

    return interface_names()
