"""What is counted while a capture file is read, or a piece of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from analyzer.model.capture import Capture
from analyzer.sources.clock import Clock
from analyzer.sources.pcapng_comments import Comments
from analyzer.sources.pcapng_drops import Drops


@dataclass(slots=True)
class Tally:
    """Plain values that can be handed to another process, and put together with those of the next piece.

    untimed: packets without a time stamp; odd_fractions: with a fraction of a second that is none;
    described: blocks that begin a section or describe an interface; end: the offset in the file behind the
    last whole record.
    """

    capture: Capture
    clock: Clock = field(default_factory=Clock)
    untimed: int = 0
    odd_fractions: int = 0
    described: int = 0
    drops: Drops = field(default_factory=Drops)
    comments: Comments = field(default_factory=Comments)
    end: int = 0

    def take(self, later: Tally, before: int) -> bool:
        """Add what was counted in the next piece, which was read as if ``before`` frames stood before it.

        False where it cannot be told what the file as a whole would have given: it has to be read as one.
        """
        if later.untimed or later.comments.left_out or not self.clock.take(later.clock):
            return False
        mine, other = self.capture, later.capture
        self.comments.take(later.comments, mine.packets - before)
        self.drops.take(later.drops)
        self.odd_fractions += later.odd_fractions
        self.end = later.end
        mine.packets += other.packets - before
        mine.bytes += other.bytes
        mine.first, mine.last = self.clock.first, self.clock.last
        mine.link_types.extend(name for name in other.link_types if name not in mine.link_types)
        mine.problems.extend(other.problems)
        mine.damage = other.damage
        return True

    def close(self) -> None:
        """The file is read: what was counted goes into its capture."""
        self.capture.comments = self.comments.kept
        self.capture.comments_left_out = self.comments.left_out
        self.capture.problems.extend(self._problems())

    def _problems(self) -> Iterator[str]:
        yield from self.drops.problems()
        if self.untimed:
            yield (
                f"{self.untimed:,} packets have no time stamp (simple packet blocks); each was given the "
                "time of the packet before it, so delays and deadlines around them are not known."
            )
        if self.odd_fractions:
            yield (
                f"{self.odd_fractions:,} packets have a fraction of a second of one second or more: their "
                "times are doubtful, and with them every delay that is reported."
            )
        yield from self.clock.problems(self.untimed)
