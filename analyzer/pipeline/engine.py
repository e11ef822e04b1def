"""Turns the blocks of one capture into results of flows: the stages joined."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.fragments import Fragments
from analyzer.decode.packets import decode
from analyzer.flows.keys import Sorted, sort_by_flow
from analyzer.flows.legs import ToldLegs, Twins
from analyzer.flows.neighbours import Neighbours
from analyzer.flows.tracker import Tracker
from analyzer.flows.values import flow_of
from analyzer.matching.match import Matcher
from analyzer.messages.weigh import Weighed, depends_on_payload, weigh
from analyzer.model.blocks import FrameBlock, Source
from analyzer.model.columns import after
from analyzer.model.event import Doubt, Event, Withdrawn
from analyzer.model.finding import Finding, FlowResult, LadderLine, News
from analyzer.model.flow import CLIENT, MAX_FLOWS, SERVER, Flow, FlowEnd, Kind
from analyzer.model.host import DEFAULT_HOST, Host, System, taken_for
from analyzer.model.numbers import among
from analyzer.model.report import Totals
from analyzer.model.summary import Summary, SummaryRows, summaries
from analyzer.pipeline.found import Found
from analyzer.pipeline.front import Front
from analyzer.pipeline.problems import cut_short, problems
from analyzer.sockets.datagrams import may_ask, unanswered
from analyzer.sockets.shadow import ShadowFlow
from analyzer.verdicts.decide import decide, without_refined
from analyzer.verdicts.ladder import Ladder
from analyzer.verdicts.services import Services
from analyzer.verdicts.twice import Twice

if TYPE_CHECKING:
    from analyzer.model.seen import Seeing
    from analyzer.pipeline.kept import KeptBlocks
    from analyzer.pipeline.messages import Heard

_KEPT_LOSSES = 4096
"""Times at which packets were dropped, one a second at most: over an hour of losing all the time."""


@dataclass(slots=True)
class _Watched:
    """A flow that reached the shadow sockets."""

    shadow: ShadowFlow
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    """By the key of the event that they tell of."""
    waits: dict[str, Weighed] = field(default_factory=dict)
    """Events, by their keys, that are judged once more when it is known what both ends said."""
    noted: int = 0
    """The deadline that is in the heap."""
    ladder: Ladder = field(default_factory=Ladder)
    told: bool = False
    """Something was said of it while it was open."""


@dataclass(frozen=True, slots=True)
class _Undecided:
    """A flow that ended, and of which must be read what both ends said."""

    watched: _Watched
    end: FlowEnd
    summary: Summary


ReadMessages: TypeAlias = "Callable[[Sequence[Summary]], Mapping[int, Heard]]"
"""Reads what both ends of these flows said: by the flow's number, those that could be read."""


class Engine:
    """Turns the blocks of one capture into results of flows, as they end.

    ``batch`` rows are waited for before they are looked at; 0 waits for nothing. ``keep_blocks``: the capture
    cannot be read a second time, so that what came last of it is kept; with ``keep_news`` it is always.
    ``seeing`` is shown all segments and flows, whose numbers begin with ``first_flow``.
    ``legs``: only a share of the capture's flows comes, and what other shares show of the same connections is
    told; ``seed`` makes the keys by which all rows are shared out (see flow_keys).
    """

    def __init__(
        self,
        matcher: Matcher,
        *,
        batch: int = 0,
        hosts: tuple[Host, Host] = (DEFAULT_HOST, DEFAULT_HOST),
        all_flows: bool = False,
        max_flows: int = MAX_FLOWS,
        keep_all: bool = False,
        keep_events: bool = False,
        keep_news: bool = False,
        keep_blocks: bool = False,
        seeing: Seeing | None = None,
        first_flow: int = 0,
        legs: ToldLegs | None = None,
        seed: np.uint64 | None = None,
    ) -> None:
        self.front = Front(batch, _kept_blocks() if keep_blocks or keep_news else None, seed)
        self.legs = legs
        self._matcher = matcher
        self._hosts = hosts
        self._max_flows = max_flows
        triggers = Kind.ALL if keep_all else matcher.triggers
        self._seeing = seeing
        if seeing:
            from analyzer.flows.seen import SeenTracker  # for tables of all segments

            options = {"first_flow": first_flow, "all_flows": all_flows, "max_flows": max_flows}
            self._tracker: Tracker = SeenTracker(seeing, triggers, **options)
        else:
            self._tracker = Tracker(
                triggers, all_flows=all_flows, max_flows=max_flows, legs=legs, keep_began=legs is not None
            )
        self._all_flows = all_flows
        self._undecided: list[_Undecided] = []
        self._undecided_rows: list[SummaryRows] = []
        self._questions: list[tuple[Summary, float]] = []
        """Flows of datagrams that may ask and had no answer, and the seconds of silence after them."""
        self._watched: dict[int, _Watched] = {}
        self._deadlines: list[tuple[int, int]] = []
        self._found = Found()
        self._keep_events = keep_events
        self.events: list[Event] = []
        self._keep_news = keep_news
        self._changed: set[int] = set()
        self._news: list[News] = []
        self._lost: deque[tuple[int, int]] = deque(maxlen=_KEPT_LOSSES)
        self._neighbours = Neighbours()

    def __getstate__(self) -> dict[str, object]:
        """All but the rules, which are code: who takes an engine up again has them, and calls ``go_on``."""
        return {name: value for name, value in vars(self).items() if name != "_matcher"}

    def go_on(self, matcher: Matcher) -> None:
        """Take it up again where it was pickled; the rules must be the same."""
        self._matcher = matcher

    def run(self, source: Source, read: ReadMessages | None = None) -> list[FlowResult]:
        """Read a source to its end; ``read`` as for ``finish``."""
        for block in source.blocks():
            self.feed(block)
        return self.finish(read)

    def carries_on(self, block: FrameBlock) -> bool:
        """Whether frames of the block belong to flows that are open."""
        return self.knows(sort_by_flow(decode(block, Fragments())))

    def knows(self, ordered: Sorted) -> bool:
        """The same of rows."""
        return self._tracker.knows(ordered)

    def feed(self, block: FrameBlock) -> None:
        """Take the next frames."""
        for keyed in self.front.take(block):
            self.track(keyed.sorted())

    def rest(self) -> None:
        """Look at the rows that wait for others to come."""
        for keyed in self.front.rest():
            self.track(keyed.sorted())

    def tell(self, twins: Twins) -> None:
        """Of a share: which SYNs of the next rows are one packet with another one, in whatever share."""
        if self.legs:
            self._found.legs.note(self.legs.tell(twins))

    def track(self, ordered: Sorted, twins: Twins | None = None) -> None:
        """Take the next rows, as the front gives them, sorted; ``twins``: see ``tell``."""
        if twins:
            self.tell(twins)
        counts = self._found.counts
        counts.packets += ordered.rows.packets
        counts.undecoded += ordered.rows.undecoded
        counts.shortened += ordered.rows.shortened
        self.note_neighbours(after(ordered.rows.neighbours, 0, self._tracker.clock))
        tracked = self._tracker.follow(ordered)
        for flow in tracked.flows:
            self._watch(flow)
        for segment in tracked.segments:
            watched = self._watched[segment.flow]
            watched.ladder.add(segment)
            if told := watched.shadow.receive(segment):
                self._take(watched, told)
        self._end(tracked.ended)
        for flow_id in {segment.flow for segment in tracked.segments}:
            self._note_deadline(flow_id)
        self._pass_deadlines(self._tracker.clock)

    def note_neighbours(self, rows: NDArray[np.void]) -> None:
        """Who asks for whose hardware address in the next frames, NEIGHBOUR rows (k,)."""
        self._neighbours.add(rows)

    @property
    def max_flows(self) -> int:
        """How many flows may be open."""
        return self._max_flows

    @property
    def began(self) -> NDArray[np.int64]:
        """Of a share: the numbers of the frames with which its flows began, by their numbers: int64 (n,)."""
        return self._tracker.began

    def take_results(self) -> list[FlowResult]:
        """The flows with a finding that have ended by now, which ``found`` does not give any more."""
        results, self._found.results = self._found.results, []
        return results

    @property
    def open_flows(self) -> int:
        """How many flows are followed now."""
        return self._tracker.open_flows

    @property
    def next_flow(self) -> int:
        """The number that another flow would have."""
        return self._tracker.next_flow

    def tick(self, clock: int) -> None:
        """Nothing came until then (nanoseconds since the epoch): silence is decided by the clock."""
        self._end(self._tracker.tick(clock))
        self._pass_deadlines(self._tracker.clock)

    @property
    def clock(self) -> int:
        """How far time has come (nanoseconds since the epoch)."""
        return self._tracker.clock

    def lost(self, begin: int, end: int) -> None:
        """The capture dropped packets between these times (nanoseconds): whose they were, nobody knows."""
        self._lost.append((begin, end))

    def forget_results(self) -> None:
        """Nobody will ask for what was found so far: all of it was told as news."""
        self._found.results.clear()

    def take_news(self) -> list[News]:
        """The flows of which something else is to be said than the last time, as they stand now."""
        news, self._news = self._news, []
        changed = sorted(self._changed & self._watched.keys())
        self._changed.clear()
        standing = self._tracker.so_far(changed) if changed else []
        waiting = [summary for end, summary in standing if self._watched[end.flow].waits]
        known = self.front.kept.read(waiting) if waiting and self.front.kept else {}
        for end, summary in standing:
            watched = self._watched[end.flow]
            self._weigh(watched, known.get(end.flow))
            watched.told = True
            news.append(News(self._standing(watched, end, summary), ended=False))
        return news

    def finish(self, read: ReadMessages | None = None) -> list[FlowResult]:
        """The capture is over: all results, by the order in which the flows began.

        With ``all_flows`` that is those which harmed nobody, too.
        ``read`` is asked what both ends of some flows said, if there are any whose verdict depends on it.
        """
        self.close()
        return self.settle(self.found(read))

    def settle(self, found: Found) -> list[FlowResult]:
        """The results, where that is all that was found; of a share: by all of them together."""
        self._found = found
        return found.settled(harmless=self._all_flows)

    def close(self) -> None:
        """The capture is over: all flows end."""
        for keyed in self.front.rest():
            self.track(keyed.sorted())
        self._end(self._tracker.finish())

    @property
    def unheard(self) -> list[Summary]:
        """The flows of which it matters what both ends said; ``found`` asks for them."""
        return [*(one.summary for one in self._undecided), *(summary for summary, _ in self._questions)]

    def found(self, read: ReadMessages | None = None) -> Found:
        """All that was found in the capture, once it is closed; ``read`` as for ``finish``."""
        self._decide(read)
        found = self._found
        found.counts.take(self._tracker)
        found.counts.unknown_links |= self.front.unknown_links
        systems = (taken_for(self._hosts[CLIENT]), taken_for(self._hosts[SERVER]))
        found.clean += [self._told(*quiet, systems, [], ()) for quiet in self._tracker.take_quiet_flows()]
        return found

    def add_to(self, totals: Totals) -> None:
        """Add this capture's counts, once it is over."""
        self._found.add_to(totals)

    @property
    def services(self) -> Services:
        """What its flows say of the services."""
        return self._found.services

    @property
    def twice(self) -> Twice:
        """The connections that it shows twice."""
        return self._found.twice

    def problems(self) -> list[str]:
        """What this capture cannot show, as sentences, once it is over."""
        kept = self.front.kept.problems() if self.front.kept else ()
        counts = self._found.counts
        return [
            *problems(counts, self._max_flows),
            *kept,
            *cut_short(counts),
            *self._neighbours.problems(),
        ]

    def silent(self) -> list[str]:
        """The addresses that answered neither ARP nor neighbour discovery, once it is over."""
        return self._neighbours.silent()

    def _watch(self, flow: Flow) -> None:
        self._watched[flow.id] = _Watched(ShadowFlow(flow, *self._hosts, self._neighbours.in_vain))

    def _take(self, watched: _Watched, told: Iterable[Event | Withdrawn]) -> None:
        for event in told:
            if self._keep_news:
                self._changed.add(event.flow_id)
            watched.findings.pop(event.key, None)  # taken back, or told anew
            watched.waits.pop(event.key, None)
            if not isinstance(event, Withdrawn):
                if depends_on_payload(event):
                    watched.waits[event.key] = event
                if self._keep_events:
                    self.events.append(event)
                if found := self._matcher.match(event):
                    watched.findings[event.key] = found

    def _note_deadline(self, flow_id: int) -> None:
        watched = self._watched.get(flow_id)
        deadline = watched.shadow.deadline if watched else None
        if watched and deadline is not None and deadline != watched.noted:
            watched.noted = deadline
            heapq.heappush(self._deadlines, (deadline, flow_id))

    def _pass_deadlines(self, clock: int) -> None:
        """Silence that has lasted long enough becomes an event."""
        while self._deadlines and self._deadlines[0][0] <= clock:
            _, flow_id = heapq.heappop(self._deadlines)
            watched = self._watched.get(flow_id)
            if watched:
                self._take(watched, watched.shadow.tick(clock))
                self._note_deadline(flow_id)

    def _end(self, ends: Iterable[FlowEnd]) -> None:
        """Judge flows that ended, and keep the summaries of all."""
        for legs in self._tracker.take_legs():
            self._found.twice.add(legs)
            self._found.legs.note(legs)
        parts = self._tracker.take_summaries()
        known = {summary.flow: summary for rows in parts for summary in summaries(rows[rows["watched"]])}
        failed, undecided = [], set()
        for end in ends:
            watched = self._watched.pop(end.flow)
            self._take(watched, watched.shadow.finish(end))
            if watched.waits:
                undecided.add(end.flow)
                self._undecided.append(_Undecided(watched, end, known[end.flow]))
            elif (result := self._result(watched, end, known[end.flow])) and result.verdicts:
                failed.append(result.flow.id)
        for rows in parts:
            if self._seeing:
                self._seeing.flows(rows)
            self._found.legs.add(rows)
            self._questions += [
                (summary, (self._tracker.clock - summary.end) / 1e9) for summary in may_ask(rows)
            ]
            if undecided:
                waiting = among(rows["flow"], np.fromiter(undecided, np.int64))
                self._undecided_rows.append(rows[waiting])
                rows = rows[~waiting]
            self._found.services.add(rows, failed)
        if self.front.kept:
            self._decide(self.front.kept.read)

    def _decide(self, read: ReadMessages | None) -> None:
        """Judge the flows of which it matters what both ends said, as far as that can be read."""
        wanted = self.unheard
        undecided, self._undecided = self._undecided, []
        questions, self._questions = self._questions, []
        known = read(wanted) if wanted and read else {}
        for summary, seconds in questions:
            if heard := known.get(summary.flow):
                self._found.counts.unread += heard.message.cut_short
                self._ask(summary, seconds, heard)
        failed = []
        for one in undecided:
            self._found.counts.unread += self._weigh(one.watched, known.get(one.end.flow))
            result = self._result(one.watched, one.end, one.summary)
            if result and result.verdicts:
                failed.append(one.end.flow)
        for rows in self._undecided_rows:
            self._found.services.add(rows, failed)
        self._undecided_rows = []

    def _ask(self, summary: Summary, seconds: float, heard: Heard) -> None:
        """Datagrams of a client without an answer, now that it is known what they say."""
        systems = (taken_for(self._hosts[CLIENT]), taken_for(self._hosts[SERVER]))
        event = unanswered(summary, seconds, heard.message, heard.number, systems[CLIENT].name)
        if self._keep_events:
            self.events.append(event)
        flow = flow_of(summary, heard.capture)
        found = self._matcher.match(event)
        if found:
            result = self._told(flow, summary.end, summary.packets, systems, found, (), summary)
            self._found.results.append(result)
            if self._keep_news:
                self._news.append(News(result, ended=True))

    def _weigh(self, watched: _Watched, heard: Heard | None) -> bool:
        """Match the events once more, now that it is known what both ends said; whether that was cut."""
        lacking = False
        if heard is None:
            return lacking
        for key, event in watched.waits.items():
            weighed = weigh(event, heard.message)
            lacking |= Doubt.PAYLOAD_CUT in weighed.doubts
            if self._keep_events:
                self.events.append(weighed)
            watched.findings[key] = self._matcher.match(weighed)
        return lacking

    def _result(self, watched: _Watched, end: FlowEnd, summary: Summary) -> FlowResult | None:
        """All that is reported of a flow, if there is anything; it is kept."""
        result = self._standing(watched, end, summary)
        if watched.told or (self._keep_news and result.findings):
            self._news.append(News(result, ended=True))
        if result.findings:
            self._found.results.append(result)
            return result
        if self._all_flows:
            self._found.clean.append(result)
        return None

    def _standing(self, watched: _Watched, end: FlowEnd, summary: Summary) -> FlowResult:
        """What is known of a flow by now."""
        findings = without_refined(chain.from_iterable(watched.findings.values()))
        if self._dropped_between(watched.shadow.flow.start, end.end):
            findings = [replace(f, doubts=f.doubts | {Doubt.PACKETS_DROPPED}) for f in findings]
        shown = watched.ladder.lines()
        shadow = watched.shadow
        return self._told(shadow.flow, end.end, end.packets, shadow.systems, findings, shown, summary)

    def _dropped_between(self, start: int, end: int) -> bool:
        """Whether the capture lost packets while a flow was open that lasted from then to then."""
        return any(begin <= end and start <= until for begin, until in self._lost)

    def _told(
        self,
        flow: Flow,
        end: int,
        packets: int,
        systems: tuple[System, System],
        findings: list[Finding],
        shown: tuple[LadderLine, ...],
        summary: Summary | None = None,
    ) -> FlowResult:
        return FlowResult(
            flow=flow,
            end=end,
            packets=packets,
            systems=systems,
            verdicts=decide(findings, self._hosts),
            findings=tuple(findings),
            ladder=shown,
            summary=summary,
        )


def _kept_blocks() -> KeptBlocks:
    from analyzer.pipeline.kept import KeptBlocks  # for pipes; with all that reads messages it takes 10 ms

    return KeptBlocks()
