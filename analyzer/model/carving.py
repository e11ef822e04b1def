"""What of a capture is to be cut out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analyzer.model.finding import FlowResult


@dataclass(frozen=True, slots=True)
class Carving:
    """A flow that gets a file of its own.

    ``whole`` is the comment on the file, ``comments`` those on frames: capture and number as in the report.
    """

    result: FlowResult
    path: Path
    whole: str
    comments: Mapping[tuple[int, int], Sequence[str]]
