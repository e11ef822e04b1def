"""Values that many tests need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analyzer.model.blocks import SLACK, FrameBlock


def block_of(
    frames: Sequence[bytes],
    link_type: int = 1,
    times: Sequence[int] | None = None,
    *,
    original: Sequence[int] | None = None,
    first_number: int = 1,
    capture: int = 0,
) -> FrameBlock:
    """A block of frames that lie next to each other, so that reading beyond one's end shows.

    ``times`` are nanoseconds, one millisecond apart by default; ``original`` the lengths on the wire, by
    default those of the frames.
    """
    captured = np.array([len(frame) for frame in frames], dtype=np.int64)
    count = len(frames)
    return FrameBlock(
        capture=capture,
        first_number=first_number,
        buffer=np.frombuffer(b"".join(frames) + b"\x45" * SLACK, dtype=np.uint8),
        offsets=np.cumsum(captured) - captured,
        captured=captured,
        original=captured.copy() if original is None else np.array(original, dtype=np.int64),
        times=np.arange(count, dtype=np.int64) * 1_000_000
        if times is None
        else np.array(times, dtype=np.int64),
        link_types=np.full(count, link_type, dtype=np.uint16),
    )
