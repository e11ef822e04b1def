"""The whole way: blocks of frames in, a report out. The only module that knows all the stages."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from operator import itemgetter
from typing import Any, BinaryIO

import numpy as np

from analyzer.decode.fragments import Fragments
from analyzer.decode.link import LINK_TYPES
from analyzer.decode.packets import decode
from analyzer.errors import UserError
from analyzer.flows.keys import Sorted, sort_by_flow
from analyzer.flows.members import Members
from analyzer.flows.tracker import MAX_QUIET, Tracker
from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.blocks import MAX_FRAMES, FrameBlock, Source
from analyzer.model.capture import Capture
from analyzer.model.carving import Carving
from analyzer.model.columns import PacketColumns, Undecoded, joined
from analyzer.model.comments import Comments
from analyzer.model.event import Event, Withdrawn
from analyzer.model.filter import EVERYTHING, Filter
from analyzer.model.finding import Finding, FlowResult, LadderLine, News
from analyzer.model.flow import CLIENT, MAX_FLOWS, SERVER, Flow, FlowEnd, Kind, Segment
from analyzer.model.host import DEFAULT_HOST, Host
from analyzer.model.live import Standing, Wanted
from analyzer.model.report import Report, Totals
from analyzer.model.rule import Rule
from analyzer.model.summary import Summary, summaries
from analyzer.parallel import Arrays, KilledError, ahead, can_fork, processors
from analyzer.sockets.profiles import profile
from analyzer.sockets.shadow import ShadowFlow
from analyzer.sources.annotated import write_annotated
from analyzer.sources.carved import CarvedFile
from analyzer.sources.inputs import Input, Named, beginning, inputs, open_input
from analyzer.sources.open import CaptureSource, open_capture
from analyzer.sources.reading import link_type_name
from analyzer.sources.scapy_packets import ScapySource
from analyzer.sources.series import Seam, series
from analyzer.sources.transcript import TranscriptSource, parse
from analyzer.verdicts.aftermath import settle
from analyzer.verdicts.choose import choose
from analyzer.verdicts.decide import decide, without_refined
from analyzer.verdicts.incidents import incidents
from analyzer.verdicts.ladder import ladder
from analyzer.verdicts.places import Places, in_files
from analyzer.verdicts.services import Services

_KEPT_FIRST, _KEPT_LAST = 6, 24
"""Segments of a flow that are kept for its ladder."""

BATCH_ROWS = 65_536
"""Rows that are tracked at once, where nobody waits for the answer. The more, the less each of them costs, as
long as the arrays fit into the processor's caches."""
_BATCH_BYTES = 1 << 30
"""Payload that is tracked at once: so far sequence numbers can be compared, see model.blocks.MAX_FRAMES."""

_LARGE = 64 << 20
"""Bytes of a file from which on a second process pays."""

Progress = Callable[[int, int], None]
"""Told how many bytes of the files were read, and how many they have."""


def analyze(
    *captures: Named,
    rules: Sequence[Rule] | None = None,
    client: Host = DEFAULT_HOST,
    server: Host = DEFAULT_HOST,
    only: Filter = EVERYTHING,
    all_flows: bool = False,
    progress: Progress | None = None,
    max_frames: int = MAX_FRAMES,
    jobs: int | None = 1,
    max_flows: int = MAX_FLOWS,
) -> Report:
    """Read captures and say which errno each end got.

    A capture is a path, ``-`` for standard input, a directory or a pattern; or an open binary file; or a
    PacketList or any other iterable of packets of scapy. Files of which each carries on
    the one before, as those of a rotation do, are judged as one capture; all others each by itself.

    ``client`` and ``server`` are what is known of the machines at the two ends; ``only`` says what of the
    results is in the report; with ``all_flows`` it has the flows without a finding as well. ``jobs`` is how
    many processes work, None: two for large files, where this process may use two processors. The answer is
    the same. Of more than ``max_flows`` open flows those that were silent longest are let go.

    Raises UserError where a rule file is wrong or the only capture cannot be opened. A capture that cannot
    be read to its end is reported up to there, with ``damage`` set in its entry of ``captures``.
    """
    known = load_rules(rules_folder()) if rules is None else rules
    files, notes = inputs(captures)
    if len(files) == 1 and files[0].error:
        raise files[0].error
    matcher = Matcher(known)

    def engine() -> Engine:
        batch = BATCH_ROWS if max_frames >= MAX_FRAMES else max_frames
        hosts = (client, server)
        return Engine(matcher, batch=batch, hosts=hosts, all_flows=all_flows, max_flows=max_flows)

    reading = _Reading(engine, files, progress, max_frames, jobs)
    for members in series(files):
        reading.series(members)
    flows = [result for _, results in sorted(reading.found, key=itemgetter(0)) for result in results]
    totals, services = reading.totals, reading.services
    totals.rules = len(known)
    totals.longest_pause = services.longest_pause()
    first = min((capture.first for capture in reading.captures if capture.first is not None), default=0)
    told, left_out = choose(flows, only, first)
    return Report(
        captures=tuple(reading.captures),
        totals=totals,
        flows=tuple(told),
        incidents=incidents(told, services),
        notes=tuple(notes),
        only=only,
        left_out=left_out,
        hosts=(client, server),
        all_flows=all_flows,
    )


def watch(
    wanted: Wanted,
    tell: Callable[[Sequence[News], Standing], None],
    is_over: Callable[[], bool],
    *,
    rules: Sequence[Rule] | None = None,
    client: Host = DEFAULT_HOST,
    server: Host = DEFAULT_HOST,
    only: Filter = EVERYTHING,
) -> Report:
    """Follow a capture that goes on, until ``is_over`` says so.

    ``tell`` is given what changed, after each portion of packets and many times a second while none comes.
    The report is that of a file with the same packets, but that silence counts up to the end of the capture.
    ``client``, ``server``, ``only`` as for ``analyze``. Raises UserError where the capture cannot begin.
    """
    from analyzer.sources.live import LiveSource  # starts processes, which no other command needs

    known = load_rules(rules_folder()) if rules is None else rules
    engine = Engine(Matcher(known), hosts=(client, server), keep_news=True)
    with LiveSource(wanted, is_over) as source:
        for block in source.blocks():
            if len(block):
                engine.feed(block)
            elif (now := source.now()) is not None:
                engine.tick(now)
            news = _chosen(engine.take_news(), only, source.capture.first or 0)
            tell(news, source.standing(engine.open_flows))
    flows = engine.finish()
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
    )


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


def annotate(capture: str, comments: Comments, out: BinaryIO) -> None:
    """Write a copy of the capture as pcapng, with the comments; up to where it is damaged, if it is.

    Raises UserError where it cannot be opened, OSError where ``out`` cannot be written.
    """
    with open_capture(capture, 0) as source:
        write_annotated(source, comments, out)


def carve(captures: Sequence[str], carvings: Sequence[Carving]) -> list[int]:
    """Read the captures of a report once more, and write each flow into its file; how many packets each has.

    All flows have a summary. Raises UserError where a capture cannot be opened any more, OSError where a file
    cannot be written.
    """
    files = [CarvedFile(carving.path, carving.whole) for carving in carvings]
    members = Members([carving.result.summary for carving in carvings if carving.result.summary])
    for index in sorted({index for carving in carvings for index in carving.result.captures}):
        with open_capture(captures[index], index) as source:
            fragments = Fragments()
            for block in source.blocks():
                for flow, numbers in members.of(decode(block, fragments)):
                    texts = carvings[flow].comments
                    for number in numbers.tolist():
                        files[flow].add(block, number - block.first_number, texts.get((index, number), ()))
    for file in files:
        file.flush()
    return [file.packets for file in files]


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


class _Reading:
    """Reads files, and joins those that are one capture."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        files: Sequence[Input],
        progress: Progress | None,
        max_frames: int,
        jobs: int | None,
    ) -> None:
        self.captures = [Capture(file.path, "", damage=file.error) for file in files]
        self.totals = Totals()
        self.services = Services()
        self.found: list[tuple[int, list[FlowResult]]] = []
        """Results beside the index of the first capture that they come from."""
        self._engine = engine
        self._files = files
        self._progress = progress
        self._max_frames = max_frames
        self._jobs = jobs
        self._size = sum(file.size for file in files)
        self._read = 0

    def series(self, members: Sequence[int]) -> None:
        """Read files that may carry on each other, in their order, and add what was found in them.

        Once one begins before the one before it has ended, none of them is taken for a rotation any more.
        """
        joined: _Joined | None = None
        apart = len(members) == 1
        for index in members:
            if joined:
                begin = beginning(self._files[index])
                apart = apart or bool(begin and joined.seam.overlaps(begin))
                if apart or not (begin and joined.goes_on_with(begin)):
                    self._finish(joined)
                    joined = None
            joined = joined or _Joined(self._engine())
            self._file(index, joined)
            if self.captures[index].damage:
                self._finish(joined)  # what is missing now is no silence
                joined = None
            self._read += self._files[index].size
        if joined:
            self._finish(joined)

    def _file(self, index: int, joined: _Joined) -> None:
        """Read a file to its end."""
        try:
            source = open_input(self._files[index], index, max_frames=self._max_frames)
        except UserError as error:
            if len(self._files) == 1:
                raise
            self.captures[index].damage = error
            return
        self.captures[index] = source.capture
        joined.begin(source.capture, index)
        with source:
            try:
                for taken in joined.read(source, ahead=self._works_ahead(self._files[index])):
                    if self._progress:
                        self._progress(self._read + taken, self._size)
            except KilledError:
                what = "the process that read it was killed: by the system for want of memory, or by somebody"
                hint = "--jobs 1 reads it without a second process."
                raise UserError("reader-killed", source.capture.path, what, hint) from None

    def _works_ahead(self, file: Input) -> bool:
        """Whether a process of its own reads the file."""
        if self._jobs is None:
            return file.size >= _LARGE and processors() > 1 and can_fork()
        return file.size > 0 and self._jobs > 1 and can_fork()

    def _finish(self, joined: _Joined) -> None:
        self.found.append((joined.first, joined.finish()))
        joined.engine.add_to(self.totals)
        self.services.merge(joined.engine.services)
        if joined.captures:
            joined.captures[0].problems.extend(joined.engine.problems())


class _Joined:
    """The engine for files of which each carries on the one before; for one file at first."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.seam = Seam()
        self.captures: list[Capture] = []
        self._places = Places()
        self._before = 0

    @property
    def first(self) -> int:
        """The lowest index of its captures."""
        return min(self._places.captures, default=0)

    def goes_on_with(self, block: FrameBlock) -> bool:
        """Whether a file with this beginning carries on the last one.

        It does where it follows soon and holds more of a connection that was open when that ended. Where none
        goes on there is nothing to join, and no telling of a new file of the same host from one of another.
        """
        return self.seam.follows(block) and self.engine.carries_on(block)

    def begin(self, capture: Capture, index: int) -> None:
        """The frames of the next file follow."""
        if self.captures:
            self._before += self.captures[-1].packets
            capture.carries_on = self._places.captures[-1]
        self.captures.append(capture)
        self._places.add(index, self._before)

    def read(self, source: CaptureSource | ScapySource, *, ahead: bool) -> Iterator[int]:
        """Read the file to its end; tells after each batch how many bytes of it were taken.

        ``ahead``: a second process reads and decodes while this one tracks.
        """
        for ordered, taken in self._read_ahead(source) if ahead else self._sorted(source):
            self.engine.track(ordered)
            yield taken

    def _sorted(self, source: CaptureSource | ScapySource) -> Iterator[tuple[Sorted, int]]:
        """The rows of the file, whose frames are counted on over all files; and how much of it was taken."""
        front = self.engine.front
        for block in source.blocks():
            self.seam.note(block)
            if self._before:
                block = replace(block, first_number=block.first_number + self._before)
            for ordered in front.take(block):
                yield ordered, source.taken
        for ordered in front.rest():
            yield ordered, source.taken

    def _read_ahead(self, source: CaptureSource | ScapySource) -> Iterator[tuple[Sorted, int]]:
        """The same, made by a second process, whose state this one has when it is done."""

        def made() -> Iterator[tuple[Arrays, Any]]:
            for ordered, taken in self._sorted(source):
                arrays, rest = ordered.parts()
                yield arrays, (rest, taken)
            yield {}, (source.capture, self.seam, self.engine.front)

        for arrays, rest in ahead(made()):
            if arrays:
                yield Sorted.of(arrays, rest[0]), rest[1]
            else:
                capture, self.seam, self.engine.front = rest
                for name in (entry.name for entry in fields(Capture)):
                    setattr(source.capture, name, getattr(capture, name))

    def finish(self) -> list[FlowResult]:
        """All results, with the numbers that the frames have in their files."""
        results = self.engine.finish()
        return results if len(self.captures) == 1 else [in_files(one, self._places) for one in results]


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
    told: bool = False
    """Something was said of it while it was open."""

    def keep(self, segment: Segment) -> None:
        (self.first if len(self.first) < _KEPT_FIRST else self.last).append(segment)


class Front:
    """What is done with frames before anything is known of their flows: they are decoded and sorted."""

    def __init__(self, batch: int) -> None:
        self.unknown_links: set[int] = set()
        self._batch = batch
        self._fragments = Fragments()
        self._waiting: list[PacketColumns] = []
        self._rows = 0
        self._bytes = 0

    def take(self, block: FrameBlock) -> Iterator[Sorted]:
        """Decode the next frames; gives the rows once there are enough of them."""
        columns = decode(block, self._fragments)
        if columns.undecoded[Undecoded.UNKNOWN_LINK_TYPE]:
            self.unknown_links |= set(np.unique(block.link_types).tolist()) - LINK_TYPES
        payload = int(columns.payload.sum())
        if self._bytes + payload > _BATCH_BYTES:
            yield from self.rest()
        self._waiting.append(columns)
        self._rows += len(columns)
        self._bytes += payload
        if self._rows >= self._batch:
            yield from self.rest()

    def rest(self) -> Iterator[Sorted]:
        """The rows that are still waiting."""
        if self._waiting:
            columns, self._waiting = joined(self._waiting), []
            self._rows = self._bytes = 0
            yield sort_by_flow(columns)


class Engine:
    """Turns the blocks of one capture into results of flows, as they end.

    ``batch`` rows are waited for before they are looked at; 0 waits for nothing.
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
    ) -> None:
        self.front = Front(batch)
        self._matcher = matcher
        self._systems = (hosts[CLIENT].system, hosts[SERVER].system)
        self._profiles = (profile(*hosts[CLIENT]), profile(*hosts[SERVER]))
        self._max_flows = max_flows
        triggers = Kind.ALL if keep_all else matcher.triggers
        self._tracker = Tracker(triggers, all_flows=all_flows, max_flows=max_flows)
        self._all_flows = all_flows
        self._clean: list[FlowResult] = []
        self._watched: dict[int, _Watched] = {}
        self._deadlines: list[tuple[int, int]] = []
        self._results: list[FlowResult] = []
        self.services = Services()
        self._harmless: dict[str, int] = {}
        self._keep_events = keep_events
        self.events: list[Event] = []
        self._keep_news = keep_news
        self._changed: set[int] = set()
        self._news: list[News] = []
        self._packets = 0
        self._undecoded = np.zeros(len(Undecoded), np.int64)
        self._shortened = 0

    def run(self, source: Source) -> list[FlowResult]:
        """Read a source to its end."""
        for block in source.blocks():
            self.feed(block)
        return self.finish()

    def carries_on(self, block: FrameBlock) -> bool:
        """Whether frames of the block belong to flows that are open."""
        return self._tracker.knows(decode(block, Fragments()))

    def feed(self, block: FrameBlock) -> None:
        """Take the next frames."""
        for ordered in self.front.take(block):
            self.track(ordered)

    def track(self, ordered: Sorted) -> None:
        """Take the next rows, as the front gives them."""
        self._packets += ordered.rows.packets
        self._undecoded += ordered.rows.undecoded
        self._shortened += ordered.rows.shortened
        tracked = self._tracker.follow(ordered)
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

    @property
    def open_flows(self) -> int:
        """How many flows are followed now."""
        return self._tracker.open_flows

    def tick(self, clock: int) -> None:
        """Nothing came until then (nanoseconds since the epoch): silence is decided by the clock."""
        self._end(self._tracker.tick(clock))
        self._pass_deadlines(self._tracker.clock)

    def take_news(self) -> list[News]:
        """The flows of which something else is to be said than the last time, as they stand now."""
        news, self._news = self._news, []
        changed = sorted(self._changed & self._watched.keys())
        self._changed.clear()
        for end in self._tracker.so_far(changed) if changed else ():
            watched = self._watched[end.flow]
            watched.told = True
            news.append(News(self._standing(watched, end), ended=False))
        return news

    def finish(self) -> list[FlowResult]:
        """The capture is over: all results, by the order in which the flows began."""
        for ordered in self.front.rest():
            self.track(ordered)
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
        if self.front.unknown_links:
            names = ", ".join(link_type_name(number) for number in sorted(self.front.unknown_links))
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
        if tracker.evicted_flows:
            yield (
                f"more than {self._max_flows:,} flows were open at a time (--max-flows): "
                f"{tracker.evicted_flows:,} that had been silent longest were let go; what came later in "
                "them counts as another connection"
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
            if self._keep_news:
                self._changed.add(event.flow_id)
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
        result = self._standing(watched, end, summary)
        if watched.told or (self._keep_news and result.findings):
            self._news.append(News(result, ended=True))
        if result.findings:
            return result
        if self._all_flows:
            self._clean.append(result)
        return None

    def _standing(self, watched: _Watched, end: FlowEnd, summary: Summary | None = None) -> FlowResult:
        """What is known of a flow by now."""
        findings = without_refined(chain.from_iterable(watched.findings.values()))
        shown = ladder([*watched.first, *watched.last])
        return self._told(watched.shadow.flow, end.end, end.packets, findings, shown, summary)

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
