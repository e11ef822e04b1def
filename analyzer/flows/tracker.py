"""Columns become flows: who talks to whom, what each end had sent so far, which segments matter.

Everything is computed for all rows of a batch at once, sorted by flow, with each flow's state carried
from batch to batch in its slot of the table. The answer for a flow depends only on its own rows, in file
order, and on the clock that stands beside each of them, never on where batches begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import Batch, State
from analyzer.flows.copies import Copies
from analyzer.flows.keys import Sorted, first_is_from_client, run_starts, sort_by_flow
from analyzer.flows.legs import FindsLegs, Legs
from analyzer.flows.quiet import QuietRows, together
from analyzer.flows.splits import LINGER_NS, Stray, find_splits, hand_over
from analyzer.flows.state import follow
from analyzer.flows.summary import (
    note_answers,
    note_idle_close,
    note_mss,
    note_pauses,
    note_sizes,
    note_ttls,
    summary_rows,
    unsplit,
)
from analyzer.flows.table import ALL, FlowTable, Slots
from analyzer.flows.values import flow_ends, flow_values, quiet_flows, segment_rows
from analyzer.model.columns import TCP, Flag, PacketColumns
from analyzer.model.flow import MAX_FLOWS, Flow, FlowEnd, Kind, QuietFlow, Segment
from analyzer.model.numbers import among
from analyzer.model.summary import LegRows, Summary, SummaryRows, summaries

SIGNIFICANT = Kind.ALL & ~(Kind.RESENT | Kind.PROBE)
"""A single retransmission is everyday, and so is a probe that is answered: REPEATED tells the others."""

MAX_QUIET = 64
"""Significant rows that are kept of a flow before one of them triggers a rule's event."""
_SWEEP_EVERY, _SWEEP_ROWS = 16, 1 << 18
"""Batches, or rows, after which flows that are over are let go."""
_SWEEP_NS = 10 * 10**9
"""The same where nothing comes."""
_AT_ONCE = 16_384
"""Slots that are copied at a time."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """What a batch brought: flows found interesting, segments (each flow's in order), flows that ended."""

    flows: list[Flow]
    segments: list[Segment]
    ended: list[FlowEnd]


class Tracker:
    """Follows every flow; hands out the significant segments of those in which one of ``triggers`` occurs.

    ``all_flows``: at their end it names the others as well. ``legs`` finds connections that are there twice.
    ``keep_began``: ``began`` is to be known of all flows.
    """

    def __init__(
        self,
        triggers: int,
        *,
        all_flows: bool = False,
        max_flows: int = MAX_FLOWS,
        legs: FindsLegs | None = None,
        keep_began: bool = False,
    ) -> None:
        self._triggers = triggers
        self._max_flows = max_flows
        self._all_flows = all_flows
        self._quiet_flows: list[QuietFlow] = []
        self._table = FlowTable()
        self._quiet = QuietRows()
        self._copies = Copies()
        self._legs = Legs() if legs is None else legs
        self._keep_began = keep_began
        self._began: list[NDArray[np.int64]] = []
        self._legs_found: list[LegRows] = []
        self._strays: dict[int, Stray] = {}
        self._flows_seen = 0
        self._summaries: list[SummaryRows] = []
        self._batches = self._rows = 0
        self._clock = 0
        self._swept = 0
        self.tcp_flows = 0
        self.udp_flows = 0
        self.guessed_flows = 0
        self.unseen = 0
        self.unknown_ends = 0
        self.one_sided_flows = 0
        self.unsplit_flows = 0
        self.shortened_flows = 0
        self.evicted_flows = 0

    @property
    def clock(self) -> int:
        """The largest time seen so far (nanoseconds since the epoch)."""
        return self._clock

    @property
    def copies(self) -> int:
        """Packets that the capture held already."""
        return self._copies.count

    @property
    def began(self) -> NDArray[np.int64]:
        """The numbers of the frames with which the flows began, by flow number, ascending: int64 (flows,)."""
        self._began = [np.concatenate([np.zeros(0, np.int64), *self._began])]
        return self._began[0]

    @property
    def open_flows(self) -> int:
        """Flows in the table, those that ended a short time ago included."""
        return self._table.used

    @property
    def next_flow(self) -> int:
        """The number of the next flow that begins."""
        return self._flows_seen

    def feed(self, columns: PacketColumns) -> Tracked:
        """Take the next rows, in file order."""
        return self.follow(sort_by_flow(columns))

    def follow(self, ordered: Sorted) -> Tracked:
        """Take the next rows, sorted by flow."""
        columns = ordered.rows
        ended: list[FlowEnd] = []
        segments: list[Segment] = []
        flows: list[Flow] = []
        if len(columns):
            if columns.clock.min() < self._clock:
                columns = replace(columns, clock=np.maximum(columns.clock, self._clock))
            batch = self._group(columns, ordered.keys, ordered.forward)
            segments, flows = self._advance(batch)
            ended.extend(self._ends(batch.superseded, batch.superseded_at, closed=True))
            self._release(batch.superseded)
        self._clock = max(self._clock, columns.clock_end)
        self._batches += 1
        self._rows += len(columns)
        full = self._table.used > self._max_flows
        if full or self._batches >= _SWEEP_EVERY or self._rows >= _SWEEP_ROWS:
            self._batches = self._rows = 0
            ended.extend(self._sweep())
            if full:
                ended.extend(self._evict())
        return Tracked(flows, segments, ended)

    def knows(self, ordered: Sorted) -> bool:
        """Whether a row belongs to a flow that is open: no SYN of a new one, nothing behind its end."""
        columns, keys, forward = ordered.rows, ordered.keys, ordered.forward
        found = self._table.find(keys)
        rows, found = np.flatnonzero(found >= 0), found[found >= 0]
        slots = self._table.at(found)
        opened = slots["opened"][np.arange(len(rows)), forward[rows].astype(np.int64)]
        syn = (columns.flags[rows] & (Flag.SYN | Flag.ACK)) == Flag.SYN
        anew = syn & ~columns.is_icmp[rows] & (columns.seq[rows] != opened)
        long_ago = columns.time[rows] - slots["clock"] > LINGER_NS
        over = is_over(self._table, found) & ((slots["protocol"] == TCP) | long_ago)
        return bool((~anew & ~over).any())

    def tick(self, clock: int) -> list[FlowEnd]:
        """Nothing came until then; the flows that are over by now."""
        self._clock = max(self._clock, clock)
        if self._clock - self._swept < _SWEEP_NS:
            return []
        return self._sweep()

    def so_far(self, flows: Sequence[int]) -> list[tuple[FlowEnd, Summary]]:
        """Open flows (by number) as they stand now, and what would be kept of each."""
        live = self._table.live()
        chosen = live[np.isin(self._table["flow"][live], np.array(flows, np.int64))]
        slots = self._table.at(chosen)
        ends = flow_ends(slots, [self._clock] * len(chosen), closed=False)
        return list(zip(ends, summaries(summary_rows(slots)), strict=True))

    def finish(self) -> list[FlowEnd]:
        """The capture is over: the last word about every flow handed out and still open.

        What is kept of open flows is let go: what follows needs room, too.
        """
        ended = [*self._sweep(), *self._ends(self._table.live(), self._clock, closed=False)]
        self._table, self._quiet, self._strays = FlowTable(), QuietRows(), {}
        return ended

    def take_summaries(self) -> list[SummaryRows]:
        """What is kept of all flows that ended since the last time, clean or not, in any order."""
        ended, self._summaries = self._summaries, []
        return ended

    def take_legs(self) -> list[LegRows]:
        """Connections that were found to be in the capture twice since the last time."""
        found, self._legs_found = self._legs_found, []
        return found

    def take_quiet_flows(self) -> list[QuietFlow]:
        """The flows that ended since the last time and were never handed out."""
        ended, self._quiet_flows = self._quiet_flows, []
        return ended

    def _group(self, rows: PacketColumns, keys: NDArray[np.uint64], forward: NDArray[np.bool_]) -> Batch:
        """Find or make each flow's slot."""
        first = run_starts(keys)
        carried = self._table.find(keys[first])
        splits = find_splits(rows, forward, first, carried >= 0, self._table.at(carried), self._strays)
        split = np.zeros(len(keys), np.bool_)
        split[splits.begins] = True
        stray = np.zeros(len(keys), np.bool_)
        stray[splits.strays] = True
        syn = np.zeros(0, np.int64)
        arrival = rows.number  # flow numbers follow the capture
        if splits.handed:
            at = np.array(sorted(splits.handed), np.int64)
            rows, stands_for = hand_over(rows, at, [splits.handed[row] for row in at.tolist()])
            syn = at + np.arange(len(at))
            keys, forward, arrival = keys[stands_for], forward[stands_for], arrival[stands_for]
            split, stray = split[stands_for], stray[stands_for]
            forward[syn] ^= True
            split[syn + 1] = False
            first = run_starts(keys)
        begins = split.copy()
        begins[first] = True
        starts = np.flatnonzero(begins)
        group = np.cumsum(begins) - 1
        at_once = split[first]  # the flow of the batch before is over
        slot = np.full(len(starts), -1, np.int64)
        slot[group[first]] = np.where(at_once, -1, carried)
        fresh = slot < 0
        followed = np.append(keys[starts][1:] == keys[starts][:-1], np.False_)
        slot[fresh] = self._open(rows, keys, forward, starts[fresh], arrival[starts[fresh]])
        replaced = at_once & (carried >= 0)
        before = np.full(len(starts), -LINGER_NS)
        before[group[first[replaced]]] = self._table["clock"][carried[replaced]]
        before[1:][followed[:-1]] = rows.clock[starts[1:][followed[:-1]] - 1]
        again = (rows.clock[starts] - before <= LINGER_NS) | among(starts, syn)
        self._table.write("again", slot[fresh], again[fresh])
        superseded = np.concatenate([carried[replaced], slot[followed]])
        next_start = starts[np.flatnonzero(followed) + 1]
        superseded_at = rows.clock[np.concatenate([first[replaced], next_start])]
        side = (forward != self._table["client_forward"][slot][group]).astype(np.uint8)
        newest = slot[group[np.append(first[1:], len(keys)) - 1]]
        for index, kept in splits.open.items():
            self._table.write("has_stray", newest[index], True)
            self._strays[int(self._table["flow"][newest[index]])] = kept
        ends = np.append(starts[1:], len(keys))
        return Batch(rows, group, starts, ends, slot, side, forward, stray, syn, superseded, superseded_at)

    def _open(
        self,
        rows: PacketColumns,
        keys: NDArray[np.uint64],
        forward: NDArray[np.bool_],
        first: NDArray[np.int64],
        arrival: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """New slots for the flows that begin at rows ``first``, numbered in the order of ``arrival``."""
        order = np.argsort(arrival)
        found = self._table.allocate(keys[first], order)
        table = self._table
        ids = np.empty(len(first), np.int64)
        ids[order] = np.arange(self._flows_seen, self._flows_seen + len(first))
        self._flows_seen += len(first)
        if self._keep_began:
            self._began.append(arrival[order])
        tcp = rows.protocol[first] == TCP
        self.tcp_flows += int(tcp.sum())
        self.udp_flows += int((~tcp).sum())
        from_client, guessed = first_is_from_client(rows, first)
        answers = np.flatnonzero(~from_client)
        for name, source, other in (
            ("client_hi", rows.src_hi, rows.dst_hi),
            ("client_lo", rows.src_lo, rows.dst_lo),
            ("client_port", rows.sport, rows.dport),
            ("server_hi", rows.dst_hi, rows.src_hi),
            ("server_lo", rows.dst_lo, rows.src_lo),
            ("server_port", rows.dport, rows.sport),
        ):
            table.write(name, found, source[first])
            table.write(name, found[answers], other[first[answers]])
        table.write("flow", found, ids)
        self.guessed_flows += int(guessed.sum())
        table.write("client_guessed", found, guessed)
        table.write("client_forward", found, forward[first] == from_client)
        table.write("protocol", found, rows.protocol[first])
        table.write("version", found, rows.version[first])
        table.write("tunnel", found, rows.tunnel[first])
        table.write("capture", found, rows.capture)
        table.write("start", found, rows.time[first])
        return found

    def _advance(self, batch: Batch) -> tuple[list[Segment], list[Flow]]:
        """Carry every flow's state over its rows; hand out what matters."""
        before = self._table.at(batch.slot)
        after = Slots(before)
        rows = batch.rows
        clock = rows.clock.take(batch.ends - 1)
        latest = clock if rows.clock is rows.time else np.maximum.reduceat(rows.time, batch.starts)
        after.write("end", ALL, np.maximum(latest, before["end"]))
        after.write("clock", ALL, clock)
        after["rows"] += batch.ends - batch.starts
        state = follow(batch, before, after, self._copies)
        self._note_control(batch, after)
        if len(legs := self._legs.find(batch, after)):
            self._legs_found.append(legs)
        note_answers(batch, before, after)
        note_sizes(batch, before, after)
        note_mss(batch, after)
        note_ttls(batch, state, before, after)
        note_idle_close(batch, state, before, after)
        note_pauses(batch, state, before, after)
        self._mark_shown(batch, before, state)
        significant = np.flatnonzero((state.kinds & (SIGNIFICANT | Kind.SHOWN)) != 0)
        triggers = (state.kinds[significant] & self._triggers) != 0
        triggered = np.zeros(len(batch.starts), np.bool_)
        triggered[batch.group[significant[triggers]]] = True
        newly = triggered & ~before["watched"]
        after["watched"] |= triggered
        group = batch.group.take(significant)
        kept, shortened = _kept(group, triggers, before, after)
        significant, group = significant.compress(kept), group.compress(kept)
        self.shortened_flows += shortened
        self.unknown_ends += state.unknown_ends
        self.unseen += sum(len(side.found["unseen"]) for side in state.sides)
        marked = segment_rows(batch, state, before, significant)
        told = marked.take(np.flatnonzero(after["watched"].take(group)))
        earlier = self._quiet.take(after["flow"][newly & (before["rows"] > 0)])
        self._quiet.add(marked)  # what is told already goes with the next sweep
        self._table.put(batch.slot, after)
        told = together([earlier, told])
        told = told.take(np.argsort(told["flow"], kind="stable"))
        return told.segments(), flow_values(self._table.at(batch.slot[newly]))

    def _mark_shown(self, batch: Batch, before: Slots, state: State) -> None:
        """Which rows are wanted whatever they carry: none, but for pictures (see shown.py)."""

    def _note_control(self, batch: Batch, after: Slots) -> None:
        """Remember SYN, FIN and RST in ``after``."""
        rows = batch.rows
        syn_only = np.flatnonzero(((rows.flags & (Flag.SYN | Flag.ACK)) == Flag.SYN) & ~batch.stray)
        for end in (0, 1):
            own = syn_only.compress(batch.forward.take(syn_only) == end)
            group = batch.group[own]  # of several SYNs the last is written last
            after.write("opened", group, rows.seq[own], end)
            after.write("has_opened", group, True, end)
        after.write("reset", batch.group[batch.having(Flag.RST)], True)
        fin = batch.having(Flag.FIN)
        for end in (0, 1):
            own = fin.compress(batch.forward.take(fin) == end)
            after.write("finished", batch.group.take(own), True, end)

    def _sweep(self) -> list[FlowEnd]:
        """Let go of the flows whose end lies longer back than LINGER."""
        self._swept = self._clock
        live = self._table.live()
        idle = live[self._clock - self._table["clock"][live] > LINGER_NS]
        over = idle[is_over(self._table, idle)]
        ended = self._ends(over, self._clock, closed=True)
        self._release(over)
        self._forget_quiet()
        return ended

    def _evict(self) -> list[FlowEnd]:
        """Let go of open flows, those that were silent longest, until a sixteenth of the room is free."""
        live = self._table.live()
        most = self._max_flows - self._max_flows // 16
        if len(live) <= most:
            return []
        chosen = live[_oldest(self._table["clock"][live], self._table["flow"][live], len(live) - most)]
        self.evicted_flows += len(chosen)
        ended = self._ends(chosen, self._clock, closed=False)
        self._release(chosen)
        self._forget_quiet()
        return ended

    def _forget_quiet(self) -> None:
        """Drop the rows of flows that are over, or watched by now."""
        if not self._quiet.has_grown:
            return
        live = self._table.live()
        quiet = live[~self._table["watched"][live]]
        self._quiet.keep_only(self._table["flow"][quiet])

    def _release(self, slots: NDArray[np.int64]) -> None:
        """Forget these flows."""
        for flow in self._table["flow"][slots[self._table["has_stray"][slots]]].tolist():
            del self._strays[flow]
        self._table.release(slots)

    def _ends(
        self, slots: NDArray[np.int64], clock: NDArray[np.int64] | int, *, closed: bool
    ) -> list[FlowEnd]:
        """The last word about those of these flows that were handed out; ``clock`` is when it is spoken."""
        for part in np.split(slots, range(_AT_ONCE, len(slots), _AT_ONCE)) if len(slots) else ():
            ended = self._table.at(part)
            self.one_sided_flows += _one_sided(ended)
            self.unsplit_flows += unsplit(ended)
            self._summaries.append(summary_rows(ended))
        is_watched = self._table["watched"][slots]
        if self._all_flows:
            self._quiet_flows += quiet_flows(self._table.at(slots[~is_watched]))
        watched = np.flatnonzero(is_watched)
        chosen = self._table.at(slots[watched])
        clocks = np.broadcast_to(clock, len(slots))[watched]
        if closed:
            clocks = np.minimum(clocks, chosen["clock"] + LINGER_NS)
        return flow_ends(chosen, clocks.tolist(), closed=closed)


def _kept(
    group: NDArray[np.int64], triggers: NDArray[np.bool_], before: Slots, after: Slots
) -> tuple[NDArray[np.bool_], int]:
    """Which of the significant rows are kept: bool (k,); counts them in ``after``.

    All of a watched flow and from the triggering row on; before it the first MAX_QUIET, so that nobody can
    fill the memory with a flow in which nothing happens. ``group`` int64 (k,) is sorted. The second value is
    the number of flows that are handed out now although rows of them were not kept.
    """
    count = np.bincount(group, minlength=len(before))
    after["significant"] += count
    if after["significant"].max(initial=0) <= MAX_QUIET:
        return np.ones(len(group), np.bool_), 0
    rank = np.arange(len(group)) - (np.cumsum(count) - count)[group]
    first = np.full(len(before), np.iinfo(np.int64).max)
    np.minimum.at(first, group[triggers], rank[triggers])
    early = before["significant"][group] + rank < MAX_QUIET
    kept: NDArray[np.bool_] = before["watched"][group] | (rank >= first[group]) | early
    places = np.flatnonzero(~before["watched"] & (first < len(group)))
    return kept, int((before["significant"][places] + first[places] > MAX_QUIET).sum())


def _oldest(clock: NDArray[np.int64], flow: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Places of the ``count`` lowest of ``clock`` (n,), of equal ones those with the lowest ``flow``."""
    last = np.partition(clock, count - 1)[count - 1]
    older, equal = np.flatnonzero(clock < last), np.flatnonzero(clock == last)
    return np.concatenate([older, equal[np.argsort(flow[equal])[: count - len(older)]]])


def _one_sided(slots: Slots) -> int:
    """How many of these flows show packets of one end only, which did more than ask for a connection."""
    heard = slots["last_number"] != 0
    talked = (slots["opened_time"] != 0).any(axis=1) & (slots["rows"] >= _ENOUGH) & (slots["protocol"] == TCP)
    return int((talked & (heard.sum(axis=1) == 1)).sum())


_ENOUGH = 3
"""Rows that tell something: fewer are what a connection had left when the capture began."""


def is_over(slots: FlowTable, index: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of these flows ended: bool (n,). UDP has no end, so that a long pause is one."""
    one, other = (slots["finished"][:, end].take(index) for end in (0, 1))
    over: NDArray[np.bool_] = slots["reset"].take(index) | (one & other)
    over |= slots["protocol"].take(index) != TCP
    return over
