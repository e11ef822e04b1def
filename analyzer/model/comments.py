"""What is to be written into a copy of a capture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comments:
    """A text about the whole capture, and texts about frames by their numbers, from 1."""

    whole: str
    frames: Mapping[int, Sequence[str]]
