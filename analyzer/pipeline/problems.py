"""What a capture cannot show, as sentences for its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from analyzer.flows.tracker import MAX_QUIET, Tracker
from analyzer.model.columns import Undecoded
from analyzer.pipeline.front import Front
from analyzer.sources.reading import link_type_name


def problems(
    front: Front, tracker: Tracker, undecoded: Mapping[Undecoded, int], shortened: int, max_flows: int
) -> Iterator[str]:
    """The sentences; ``undecoded`` counts packets by reason, ``shortened`` frames that were cut."""
    if front.unknown_links:
        names = ", ".join(link_type_name(number) for number in sorted(front.unknown_links))
        count = undecoded[Undecoded.UNKNOWN_LINK_TYPE]
        yield f"{count} frames have a link type that is not known, and were not looked at: {names}"
    if shortened:
        yield (
            f"{shortened} frames are shorter than the IP packets in them: something cut them and "
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
    if tracker.unsplit_flows:
        yield (
            f"{tracker.unsplit_flows} of {tracker.tcp_flows} TCP connections hold segments "
            "larger than their receiver takes (MSS): captured before the network card split them, or after "
            "it joined them; how many segments were sent, and how large, is not what the wire had"
        )
    if tracker.evicted_flows:
        yield (
            f"more than {max_flows:,} flows were open at a time (--max-flows): "
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
    if front.kept:
        yield from front.kept.problems()


def cut_short(unread: int, unknown_ends: int) -> Iterator[str]:
    """What was not judged because the capture kept the begin of its frames only.

    ``unread``: flows where it matters what was said, ``unknown_ends``: connections that a FIN ended behind an
    answer whose length was cut off.
    """
    if unread:
        yield (
            f"in {counted(unread)} it matters what both ends said, and that was not judged: their frames "
            "were cut short by the capture (-s 0 keeps all of them)"
        )
    if unknown_ends:
        yield (
            f"in {counted(unknown_ends)} it was not judged whether all of the last answer came: the frame "
            "that says how long it is was cut short by the capture (-s 0 keeps all of it)"
        )


def counted(flows: int) -> str:
    """So many connections, in words."""
    return "1 connection" if flows == 1 else f"{flows:,} connections"
