"""A transcript as a source of frames, like those of the capture files."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np

from analyzer.model.blocks import MAX_FRAMES, SLACK, FrameBlock
from analyzer.model.capture import Capture
from analyzer.sources.transcript.frames import Frame, build
from analyzer.sources.transcript.steps import Transcript

_ETHERNET = 1


class TranscriptSource:
    """The frames of a transcript as a source like those of the capture files.

    ``blocks`` can be iterated once; ``capture`` is filled in meanwhile.
    """

    taken = 0
    """No file is read."""

    def __init__(self, transcript: Transcript, index: int = 0, *, max_frames: int = MAX_FRAMES) -> None:
        self.capture = Capture(transcript.name, "transcript")
        self._transcript = transcript
        self._index = index
        self._max_frames = max(max_frames, 1)
        self._closed = False

    def blocks(self) -> Iterator[FrameBlock]:
        """The frames in the order of the lines, at most ``max_frames`` a block."""
        if self._closed:
            return
        self._closed = True
        frames = build(self._transcript)
        for at in range(0, len(frames), self._max_frames):
            yield self._block(frames[at : at + self._max_frames])

    def close(self) -> None:
        """Nothing is open; ``blocks`` gives nothing after it."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _block(self, frames: list[Frame]) -> FrameBlock:
        """Counts the frames in the capture and makes a block of them."""
        lengths = np.array([len(frame.data) for frame in frames], np.int64)
        times = np.array([frame.time for frame in frames], np.int64)
        first_number = self.capture.packets + 1
        self._count(lengths.tolist(), times.tolist())
        return FrameBlock(
            capture=self._index,
            first_number=first_number,
            buffer=np.frombuffer(b"".join(frame.data for frame in frames) + bytes(SLACK), np.uint8),
            offsets=np.cumsum(lengths) - lengths,
            captured=lengths,
            original=lengths.copy(),
            times=times,
            link_types=np.full(len(frames), _ETHERNET, np.uint16),
        )

    def _count(self, lengths: list[int], times: list[int]) -> None:
        capture = self.capture
        capture.link_types = ["EN10MB"]
        capture.packets += len(lengths)
        capture.bytes += sum(lengths)
        capture.first = times[0] if capture.first is None else capture.first
        capture.last = times[-1]
