"""The ladder of a flow in characters: the client left, the server right, an arrow a segment."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.model.finding import FlowResult, LadderLine
from analyzer.model.flow import CLIENT

_WIDTH = 57
_SHOWN = 14


def ladder_lines(result: FlowResult, deciding: Sequence[int]) -> list[str]:
    """Lines of at most 78 characters; ``deciding`` frames are marked with a star."""
    if not result.ladder:
        return []
    client, server = f"client {result.flow.client.address}", f"server {result.flow.server.address}"
    lines = [f"  frame        s  {client}{server:>{max(_WIDTH - len(client), len(server) + 1)}}"]
    previous = -1
    chosen = _chosen(result.ladder, set(deciding))
    for index in chosen:
        if previous >= 0 and index > previous + 1:
            lines.append(f"{'...':>7}{'':11}{index - previous - 1} more")
        lines.append(_line(result.ladder[index], result.flow.start, set(deciding)))
        previous = index
    if previous < len(result.ladder) - 1:
        lines.append(f"{'...':>7}{'':11}{len(result.ladder) - 1 - previous} more")
    lines.append(_LEGEND)
    return lines


_LEGEND = "  * decides; numbers count from each end's first; other frames left out"


def _chosen(ladder: Sequence[LadderLine], deciding: set[int]) -> list[int]:
    """The beginning, what decides and what stands next to it; not more than fits a screen."""
    if len(ladder) <= _SHOWN:
        return list(range(len(ladder)))
    marked = [index for index, line in enumerate(ladder) if line.number in deciding]
    if len(marked) > _SHOWN - 6:
        marked = [*marked[:2], *marked[-(_SHOWN - 8) :]]
    wanted = {0, 1, *marked, *(index - 1 for index in marked if index)}
    for index in range(max(marked, default=1) + 1, len(ladder)):
        if len(wanted) >= _SHOWN:
            break
        wanted.add(index)
    return sorted(wanted)


def _line(line: LadderLine, start: int, deciding: set[int]) -> str:
    mark = "*" if line.number in deciding else " "
    seconds = (line.time - start) / 1e9
    return f"{mark}{line.number:>6} {seconds:>8.3f}  {_arrow(line)}"


def _arrow(line: LadderLine) -> str:
    if line.reporter:
        text = f" {line.label} from {line.reporter} "
        return f"{text:=^{_WIDTH - 1}}>" if line.side == CLIENT else f"<{text:=^{_WIDTH - 1}}"
    if line.side == CLIENT:
        return f"{f'--- {line.label} ':-<{_WIDTH - 1}}>"
    return f"<{f' {line.label} ---':->{_WIDTH - 1}}"
