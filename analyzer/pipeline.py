"""The whole way: blocks of frames in, a report out. The only module that knows all the stages."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from os import PathLike, fspath

import numpy as np

from analyzer.decode.fragments import Fragments
from analyzer.decode.link import LINK_TYPES
from analyzer.decode.packets import decode
from analyzer.errors import UserError
from analyzer.flows.tracker import MAX_QUIET, Tracker
from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.blocks import MAX_FRAMES, FrameBlock, Source
from analyzer.model.capture import Capture
from analyzer.model.columns import Undecoded
from analyzer.model.event import Event, Withdrawn
from analyzer.model.filter import EVERYTHING, Filter
from analyzer.model.finding import Finding, FlowResult, LadderLine
from analyzer.model.flow import CLIENT, SERVER, Flow, FlowEnd, Kind, Segment
from analyzer.model.host import DEFAULT_HOST, Host
from analyzer.model.report import Report, Totals
from analyzer.model.rule import Rule
from analyzer.model.summary import Summary, summaries
from analyzer.sockets.profiles import profile
from analyzer.sockets.shadow import ShadowFlow
from analyzer.sources.open import open_capture
from analyzer.sources.reading import link_type_name
from analyzer.sources.transcript import TranscriptSource, parse
from analyzer.verdicts.aftermath import settle
from analyzer.verdicts.choose import choose
from analyzer.verdicts.decide import decide, without_refined
from analyzer.verdicts.incidents import incidents
from analyzer.verdicts.ladder import ladder
from analyzer.verdicts.services import Services

_KEPT_FIRST, _KEPT_LAST = 6, 24
"""Segments of a flow that are kept for its ladder."""

Progress = Callable[[Capture, FrameBlock], None]


def analyze(
    *captures: str | PathLike[str],
    rules: Sequence[Rule] | None = None,
    client: Host = DEFAULT_HOST,
    server: Host = DEFAULT_HOST,
    only: Filter = EVERYTHING,
    all_flows: bool = False,
    progress: Progress | None = None,
    max_frames: int = MAX_FRAMES,
) -> Report:
    """Read captures and say which errno each end got; each capture by itself.

    ``client`` and ``server`` are what is known of the machines at the two ends; ``only`` says what of the
    results is in the report; with ``all_flows`` it has the flows without a finding as well.

    Raises UserError where a rule file is wrong or the only capture cannot be opened. A capture that cannot
    be read to its end is reported up to there, with ``damage`` set in its entry of ``captures``.
    """
    known = load_rules(rules_folder()) if rules is None else rules
    matcher = Matcher(known)
    totals = Totals(rules=len(known))
    read: list[Capture] = []
    flows: list[FlowResult] = []
    services = Services()
    for index, name in enumerate(captures):
        path = fspath(name)
        try:
            source = open_capture(path, index, max_frames=max_frames)
        except UserError as error:
            if len(captures) == 1:
                raise
            read.append(Capture(path, "", damage=error))
            continue
        engine = Engine(matcher, hosts=(client, server), all_flows=all_flows)
        with source:
            flows.extend(engine.run(source, progress))
        engine.add_to(totals)
        services.merge(engine.services)
        source.capture.problems.extend(engine.problems())
        read.append(source.capture)
    totals.longest_pause = services.longest_pause()
    first = min((capture.first for capture in read if capture.first is not None), default=0)
    told, left_out = choose(flows, only, first)
    return Report(
        captures=tuple(read),
        totals=totals,
        flows=tuple(told),
        incidents=incidents(told, services),
        only=only,
        left_out=left_out,
        hosts=(client, server),
        all_flows=all_flows,
    )


def trace(
    rules: Sequence[Rule], *, capture: str = "", packets: str = "", name: str = ""
) -> tuple[list[FlowResult], list[Event]]:
    """One capture, or packets written as a transcript: the results, and every event on the way.

    Raises UserError where the capture cannot be opened or the transcript is wrong.
    """
    engine = Engine(Matcher(rules), keep_events=True)
    if packets:
        return engine.run(TranscriptSource(parse(packets, name))), engine.events
    with open_capture(capture, 0) as source:
        return engine.run(source), engine.events


@dataclass(slots=True)
class _Watched:
    """A flow that reached the shadow sockets."""

    shadow: ShadowFlow
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    """By the key of the event that they tell of."""
    noted: int = 0
    """The deadline that is in the heap."""
    first: list[Segment] = field(default_factory=list)
    last: deque[Segment] = field(default_factory=lambda: deque(maxlen=_KEPT_LAST))

    def keep(self, segment: Segment) -> None:
        (self.first if len(self.first) < _KEPT_FIRST else self.last).append(segment)


class Engine:
    """Turns the blocks of one capture into results of flows, as they end."""

    def __init__(
        self,
        matcher: Matcher,
        *,
        hosts: tuple[Host, Host] = (DEFAULT_HOST, DEFAULT_HOST),
        all_flows: bool = False,
        keep_all: bool = False,
        keep_events: bool = False,
    ) -> None:
        self._matcher = matcher
        self._systems = (hosts[CLIENT].system, hosts[SERVER].system)
        self._profiles = (profile(*hosts[CLIENT]), profile(*hosts[SERVER]))
        self._tracker = Tracker(Kind.ALL if keep_all else matcher.triggers, all_flows=all_flows)
        self._all_flows = all_flows
        self._clean: list[FlowResult] = []
        self._watched: dict[int, _Watched] = {}
        self._deadlines: list[tuple[int, int]] = []
        self._results: list[FlowResult] = []
        self.services = Services()
        self._harmless: dict[str, int] = {}
        self._keep_events = keep_events
        self.events: list[Event] = []
        self._packets = 0
        self._undecoded = np.zeros(len(Undecoded), np.int64)
        self._unknown_links: set[int] = set()
        self._fragments = Fragments()
        self._shortened = 0

    def run(self, source: Source, progress: Progress | None = None) -> list[FlowResult]:
        """Read a source to its end."""
        for block in source.blocks():
            self.feed(block)
            if progress:
                progress(source.capture, block)
        return self.finish()

    def feed(self, block: FrameBlock) -> None:
        """Take the next frames."""
        columns = decode(block, self._fragments)
        self._packets += columns.packets
        self._undecoded += columns.undecoded
        self._shortened += columns.shortened
        if columns.undecoded[Undecoded.UNKNOWN_LINK_TYPE]:
            self._unknown_links |= set(np.unique(block.link_types).tolist()) - LINK_TYPES
        tracked = self._tracker.feed(columns)
        for flow in tracked.flows:
            self._watch(flow)
        for segment in tracked.segments:
            watched = self._watched[segment.flow]
            watched.keep(segment)
            self._take(watched, watched.shadow.receive(segment))
        self._end(tracked.ended)
        for flow_id in {segment.flow for segment in tracked.segments}:
            self._note_deadline(flow_id)
        self._pass_deadlines(self._tracker.clock)

    def finish(self) -> list[FlowResult]:
        """The capture is over: all results, by the order in which the flows began."""
        self._end(self._tracker.finish())
        results = sorted(self._results, key=lambda result: result.flow.id)
        settled, self._harmless = settle(results, self.services)
        quiet = [self._told(*quiet, [], ()) for quiet in self._tracker.take_quiet_flows()]
        return sorted([*settled, *self._clean, *quiet], key=lambda result: result.flow.id)

    def add_to(self, totals: Totals) -> None:
        """Add this capture's counts."""
        totals.packets += self._packets
        totals.tcp_flows += self._tracker.tcp_flows
        totals.udp_flows += self._tracker.udp_flows
        totals.other_packets += int(self._undecoded[Undecoded.OTHER_PROTOCOL])
        for name, number in self._harmless.items():
            totals.harmless[name] = totals.harmless.get(name, 0) + number
        for reason in Undecoded:
            count = int(self._undecoded[reason])
            if count and reason is not Undecoded.OTHER_PROTOCOL:
                name = reason.name.lower().replace("_", "-")
                totals.undecoded[name] = totals.undecoded.get(name, 0) + count

    def problems(self) -> Iterator[str]:
        """What this capture cannot show, as sentences."""
        tracker = self._tracker
        if self._unknown_links:
            names = ", ".join(link_type_name(number) for number in sorted(self._unknown_links))
            count = int(self._undecoded[Undecoded.UNKNOWN_LINK_TYPE])
            yield f"{count} frames have a link type that is not known, and were not looked at: {names}"
        if self._shortened:
            yield (
                f"{self._shortened} frames are shorter than the IP packets in them: something cut them and "
                "did not keep their lengths, which are taken from the packets"
            )
        if tracker.guessed_flows:
            yield (
                f"{tracker.guessed_flows} of {tracker.tcp_flows} TCP connections began before the capture: "
                "which end is the client is a guess"
            )
        if tracker.one_sided_flows:
            yield (
                f"{tracker.one_sided_flows} of {tracker.tcp_flows} TCP connections show packets of one end "
                "only: the capture did not see the other direction, or nobody answered"
            )
        if tracker.shortened_flows:
            yield (
                f"in {tracker.shortened_flows} connections over {MAX_QUIET} segments mattered before the "
                "first one that a rule looks for: those after the first were not looked at"
            )
        if tracker.copies:
            yield (
                f"{tracker.copies} packets were captured more than once (a mirror port, several interfaces "
                "or both sides of a router): their copies count for nothing"
            )
        if tracker.unseen:
            yield (
                f"{tracker.unseen} segments acknowledge bytes that are not in the capture: "
                "it lost packets, or did not see one direction"
            )

    def _watch(self, flow: Flow) -> None:
        self._watched[flow.id] = _Watched(ShadowFlow(flow, *self._profiles))

    def _take(self, watched: _Watched, told: Iterable[Event | Withdrawn]) -> None:
        for event in told:
            watched.findings.pop(event.key, None)  # taken back, or told anew
            if not isinstance(event, Withdrawn):
                if self._keep_events:
                    self.events.append(event)
                if found := self._matcher.match(event, self._systems[event.side]):
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

    def _end(self, ends: Iterable[FlowEnd]) -> None:
        """Judge flows that ended, and keep the summaries of all."""
        parts = self._tracker.take_summaries()
        known = {summary.flow: summary for rows in parts for summary in summaries(rows[rows["watched"]])}
        results = [result for end in ends if (result := self._result(end, known[end.flow]))]
        self._results.extend(results)
        failed = [result.flow.id for result in results if result.verdicts]
        for rows in parts:
            self.services.add(rows, failed)

    def _result(self, end: FlowEnd, summary: Summary) -> FlowResult | None:
        """All that is reported of a flow, if there is anything."""
        watched = self._watched.pop(end.flow)
        self._take(watched, watched.shadow.finish(end))
        findings = without_refined(chain.from_iterable(watched.findings.values()))
        if not findings and not self._all_flows:
            return None
        shown = ladder([*watched.first, *watched.last])
        result = self._told(watched.shadow.flow, end.end, end.packets, findings, shown, summary)
        if findings:
            return result
        self._clean.append(result)
        return None

    def _told(
        self,
        flow: Flow,
        end: int,
        packets: int,
        findings: list[Finding],
        shown: tuple[LadderLine, ...],
        summary: Summary | None = None,
    ) -> FlowResult:
        return FlowResult(
            flow=flow,
            end=end,
            packets=packets,
            systems=self._systems,
            verdicts=decide(findings, self._systems),
            findings=tuple(findings),
            ladder=shown,
            summary=summary,
        )
