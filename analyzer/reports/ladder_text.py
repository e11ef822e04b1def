"""The ladder of a flow in characters: the client left, the server right, an arrow a segment."""

from __future__ import annotations

from collections.abc import Sequence, Set

from analyzer.model.finding import FlowResult, LadderLine
from analyzer.model.flow import CLIENT, Flow
from analyzer.model.picture import Seen

_WIDTH = 57
_SHOWN = 14
_DIGITS = 5
"""Of a frame's number; longer ones take their room from the arrows."""


Places = Set[tuple[int, int]]
"""Frames: index of the capture, number in it."""


def ladder_lines(result: FlowResult, deciding: Places, paths: Sequence[str]) -> list[str]:
    """Lines of at most 78 characters; ``deciding`` frames are marked with a star.

    ``paths`` of the captures: each is named where its frames begin, if there are several.
    """
    if not result.ladder:
        return []
    client, server = f"client {result.flow.client.address}", f"server {result.flow.server.address}"
    more = more_digits(result.ladder)
    width = max(_WIDTH - more - len(client), len(server) + 1)
    lines = [f"{' ' * more}  frame        s  {client}{server:>{width}}"]
    previous, file = -1, -1
    several = len(result.captures) > 1
    for index in _chosen(result, deciding):
        capture = _place(result, result.ladder[index])[0]
        if several and capture != file:
            lines.append(f"  {paths[capture]}")
            file = capture
        if previous >= 0 and index > previous + 1:
            lines.append(f"{'...':>{7 + more}}{'':11}{index - previous - 1} more")
        lines.append(_line(result, index, deciding, more))
        previous = index
    if previous < len(result.ladder) - 1:
        lines.append(f"{'...':>{7 + more}}{'':11}{len(result.ladder) - 1 - previous} more")
    lines.append(_LEGEND)
    return lines


_LEGEND = "  * decides; numbers count from each end's first; other frames left out"


def _place(result: FlowResult, line: LadderLine) -> tuple[int, int]:
    return result.flow.capture if line.capture is None else line.capture, line.number


def _chosen(result: FlowResult, deciding: Places) -> list[int]:
    """The beginning, what decides and what stands next to it; not more than fits a screen."""
    ladder = result.ladder
    if len(ladder) <= _SHOWN:
        return list(range(len(ladder)))
    marked = [index for index, line in enumerate(ladder) if _place(result, line) in deciding]
    if len(marked) > _SHOWN - 6:
        marked = [*marked[:2], *marked[-(_SHOWN - 8) :]]
    wanted = {0, 1, *marked, *(index - 1 for index in marked if index)}
    for index in range(max(marked, default=1) + 1, len(ladder)):
        if len(wanted) >= _SHOWN:
            break
        wanted.add(index)
    return sorted(wanted)


def _line(result: FlowResult, index: int, deciding: Places, more: int) -> str:
    line = result.ladder[index]
    seconds = (line.time - result.flow.start) / 1e9
    decides, own = _place(result, line) in deciding, is_own(line, result.flow)
    return ladder_line(line, seconds, decides=decides, own=own, more=more)


def is_own(line: LadderLine | Seen, flow: Flow) -> bool:
    """Whether it is an ICMP message of a host to itself, which no wire carried."""
    return line.reporter == (flow.server if line.side == CLIENT else flow.client).address


def more_digits(lines: Sequence[LadderLine | Seen]) -> int:
    """Digits that the longest frame number has more than there is room for."""
    return max(0, len(str(max((line.number for line in lines), default=0))) - _DIGITS)


def ladder_line(
    line: LadderLine | Seen,
    seconds: float,
    *,
    decides: bool,
    own: bool,
    width: int = _WIDTH,
    more: int = 0,
) -> str:
    """A segment ``seconds`` after the begin of its flow, between two ends that are ``width`` apart.

    They are nearer by ``more`` (``more_digits``). ``own``: as ``is_own`` says.
    """
    number = f"{line.number:>{_DIGITS + 1 + more}}"
    return f"{'*' if decides else ' '}{number} {seconds:>8.3f}  {_arrow(line, width - more, own=own)}"


def _arrow(line: LadderLine | Seen, width: int, *, own: bool) -> str:
    if own:
        text = f"{line.label} to itself"
        return f"{f'{text} ==>':>{width}}" if line.side == CLIENT else f"<== {text}"
    if line.reporter:
        text = f" {line.label} from {line.reporter} "
        return f"{text:=^{width - 1}}>" if line.side == CLIENT else f"<{text:=^{width - 1}}"
    if line.side == CLIENT:
        return f"{f'--- {line.label} ':-<{width - 1}}>"
    return f"<{f' {line.label} ---':->{width - 1}}"
