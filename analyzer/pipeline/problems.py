"""What a capture cannot show, as sentences for its report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.flows.tracker import MAX_QUIET, Tracker
from analyzer.model.columns import Undecoded
from analyzer.model.report import Totals
from analyzer.sources.reading import link_type_name


def _nothing() -> NDArray[np.int64]:
    return np.zeros(len(Undecoded), np.int64)


@dataclass(slots=True)
class Counts:
    """What was counted of a capture, or of a share of it; the names are those of Tracker and PacketColumns.

    undecoded: int64 (len(Undecoded),); unknown_links: link types that are not known; unread: flows where it
    matters what was said, which the capture cut off; unknown_ends: connections that a FIN ended behind an
    answer whose length was cut off.
    """

    packets: int = 0
    shortened: int = 0
    undecoded: NDArray[np.int64] = field(default_factory=_nothing)
    unknown_links: set[int] = field(default_factory=set)
    tcp_flows: int = 0
    udp_flows: int = 0
    guessed_flows: int = 0
    one_sided_flows: int = 0
    unsplit_flows: int = 0
    evicted_flows: int = 0
    shortened_flows: int = 0
    copies: int = 0
    unseen: int = 0
    unread: int = 0
    unknown_ends: int = 0

    def take(self, other: Counts | Tracker) -> None:
        """Add what another one has counted; a tracker has the counts of flows alone."""
        for entry in fields(self):
            more: Any = getattr(other, entry.name, None)
            if entry.name == "unknown_links":
                self.unknown_links |= more or set()
            elif more is not None:
                setattr(self, entry.name, getattr(self, entry.name) + more)

    def add_to(self, totals: Totals) -> None:
        """Add what is told of all captures together."""
        totals.packets += self.packets
        totals.tcp_flows += self.tcp_flows
        totals.udp_flows += self.udp_flows
        totals.let_go += self.evicted_flows
        totals.other_packets += int(self.undecoded[Undecoded.OTHER_PROTOCOL])
        for reason in Undecoded:
            count = int(self.undecoded[reason])
            if count and reason is not Undecoded.OTHER_PROTOCOL:
                name = reason.name.lower().replace("_", "-")
                totals.undecoded[name] = totals.undecoded.get(name, 0) + count


def problems(counts: Counts, max_flows: int) -> Iterator[str]:
    """The sentences."""
    if counts.unknown_links:
        names = ", ".join(link_type_name(number) for number in sorted(counts.unknown_links))
        count = counts.undecoded[Undecoded.UNKNOWN_LINK_TYPE]
        yield f"{count} frames have a link type that is not known, and were not looked at: {names}"
    if counts.shortened:
        yield (
            f"{counts.shortened} frames are shorter than the IP packets in them: something cut them and "
            "did not keep their lengths, which are taken from the packets"
        )
    if counts.guessed_flows:
        yield (
            f"{counts.guessed_flows} of {counts.tcp_flows} TCP connections began before the capture: "
            "which end is the client is a guess"
        )
    if counts.one_sided_flows:
        yield (
            f"{counts.one_sided_flows} of {counts.tcp_flows} TCP connections show packets of one end "
            "only: the capture did not see the other direction, or nobody answered"
        )
    if counts.unsplit_flows:
        yield (
            f"{counts.unsplit_flows} of {counts.tcp_flows} TCP connections hold segments "
            "larger than their receiver takes (MSS): captured before the network card split them, or after "
            "it joined them; how many segments were sent, and how large, is not what the wire had"
        )
    if counts.evicted_flows:
        yield (
            f"more than {max_flows:,} flows were open at a time (--max-flows): "
            f"{counts.evicted_flows:,} that had been silent longest were let go; what came later in "
            "them counts as another connection"
        )
    if counts.shortened_flows:
        yield (
            f"in {counts.shortened_flows} connections over {MAX_QUIET} segments mattered before the "
            "first one that a rule looks for: those after the first were not looked at"
        )
    if counts.copies:
        yield (
            f"packets that were captured more than once (a mirror port, several interfaces or both sides "
            f"of a router): {counts.copies}; their copies count for nothing"
        )
    if counts.unseen:
        yield (
            f"{counts.unseen} segments acknowledge bytes that are not in the capture: "
            "it lost packets, or did not see one direction"
        )


def cut_short(counts: Counts) -> Iterator[str]:
    """What was not judged because the capture kept the begin of its frames only."""
    if counts.unread:
        yield (
            f"in {counted(counts.unread)} it matters what both ends said, and that was not judged: their "
            "frames were cut short by the capture (-s 0 keeps all of them)"
        )
    if counts.unknown_ends:
        yield (
            f"in {counted(counts.unknown_ends)} it was not judged whether all of the last answer came: the "
            "frame that says how long it is was cut short by the capture (-s 0 keeps all of it)"
        )


def counted(flows: int) -> str:
    """So many connections, in words."""
    return "1 connection" if flows == 1 else f"{flows:,} connections"
