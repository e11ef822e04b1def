"""What each end had sent before each row, carried over from batch to batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.batch import FAMILIES, Batch, Mask, Side, State
from analyzer.flows.copies import Copies
from analyzer.flows.found import Found, Sums
from analyzer.flows.kinds import kinds
from analyzer.flows.marks import Marks, Tops, mark, seq_ends
from analyzer.flows.promises import cut_ends
from analyzer.flows.running import running_max
from analyzer.flows.table import ALL, Slots
from analyzer.model.columns import TCP, Flag
from analyzer.model.flow import CLIENT, SERVER


def follow(batch: Batch, before: Slots, after: Slots, copies: Copies) -> State:
    """Both ends' state before each row; writes what it is after the last one into ``after`` (slots, (g,))."""
    rows = batch.rows
    ends = seq_ends(rows)
    sent = ~rows.is_icmp & ((rows.flags & Flag.RST) == 0) & ~batch.stray
    seqs = _both(batch, before, after, ends, sent & (rows.protocol == TCP), "seq_end", "has_seq")
    acks = _both(batch, before, after, rows.ack, sent & ((rows.flags & Flag.ACK) != 0), "ack", "has_ack")
    marks = mark(batch, before, copies, seqs, acks, ends, sent)
    plain = marks.sent & ((rows.flags & Flag.SYN) == 0) & (rows.time != 0)  # which stands for none
    client, server = (
        Side(
            seqs[side],
            acks[side],
            *_side(batch, marks, before, after, side),
            _opened(batch, plain, before, after, side),
        )
        for side in (CLIENT, SERVER)
    )
    _count_probes(batch, (client, server), before, after)
    cut = cut_ends(batch, marks.sent, before, after)
    found = kinds(batch, marks, (client, server), cut.rows, before, after)
    return State((client, server), found, cut.unknown)


def _both(
    batch: Batch,
    before: Slots,
    after: Slots,
    values: NDArray[np.uint32],
    eligible: Mask,
    name: str,
    known: str,
) -> Tops:
    """The running maximum of each side's own rows."""
    found = []
    for side in (CLIENT, SERVER):
        own = eligible & (batch.side == side)
        top = running_max(
            values, own, batch.group, batch.starts, before[name][:, side], before[known][:, side]
        )
        after.write(name, ALL, top.after, side)
        after.write(known, ALL, top.after_known, side)
        found.append(top)
    return found[CLIENT], found[SERVER]


def _side(
    batch: Batch, marks: Marks, before: Slots, after: Slots, side: int
) -> tuple[dict[str, Sums], dict[str, Found]]:
    """Sums and last rows of one end."""
    own = batch.side == side
    counted = {"payload": marks.counted, "unseen": marks.unseen, "gaps": marks.gap}
    sums = {}
    for name, mask in counted.items():
        mask = mask & own
        if mask.any():
            sums[name] = Sums(batch.rows.payload * mask if name == "payload" else mask)
            whole = sums[name].between(batch.starts, batch.ends)
            more = np.flatnonzero(whole)
            after.write(name, more, before.some(name, more, side) + whole[more], side)
    families = {
        "last": marks.sent,
        "data": marks.fresh,
        "turn": marks.turn,
        "resent": marks.resent,
        "unseen": marks.unseen,
        "window": marks.announces,
        "probe": marks.probe,
    }
    found = {family: Found(mask & own) for family, mask in families.items()}
    for family, columns in FAMILIES.items():
        if len(found[family]):
            final = found[family].lasts(batch.starts, batch.ends)
            known = np.flatnonzero(final >= 0)
            final = final.take(known)
            for name, column in columns.items():
                after.write(name, known, getattr(batch.rows, column).take(final), side)
    return sums, found


def _opened(batch: Batch, plain: Mask, before: Slots, after: Slots, side: int) -> NDArray[np.int64]:
    """The first ``plain`` row of one end in each group, n where there is none: int64 (g,)."""
    first = Found(plain & (batch.side == side)).firsts(batch.starts, batch.ends)
    new = np.flatnonzero(first < len(plain))
    new = new[before.some("opened_time", new, side) == 0]
    after.write("opened_time", new, batch.rows.time[first[new]], side)
    return first


def _count_probes(batch: Batch, sides: tuple[Side, Side], before: Slots, after: Slots) -> None:
    """Write into ``after`` how many probes of each end are unanswered."""
    for side in (CLIENT, SERVER):
        probes, answers = sides[side].found["probe"], sides[1 - side].found["last"]
        carried = before["probes"][:, side]
        if not len(probes) and not carried.any():
            continue
        left = probes.count_since(answers, batch.ends, batch.starts, carried)
        after.write("probes", ALL, left, side)
