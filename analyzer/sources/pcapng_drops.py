"""What the interfaces of a pcapng file say that they lost."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.sources.pcapng_blocks import IF_DROP, SECTION


class Drops:
    """Packets that the capturing machine lost, by what the file says.

    What a batch's blocks say is kept aside until it is known which of them stand before a damaged one.
    """

    def __init__(self) -> None:
        self.interface = 0
        self.system = 0
        self._latest: dict[tuple[int, int], int] = {}
        self._aside: list[tuple[int, int, int, int]] = []

    def note(self, row: int, code: int, interface: int, count: int) -> None:
        """The block ``row`` has a total of ``interface``, which replaces an earlier one; ``code``: option."""
        self._aside.append((row, code, interface, count))

    def end_section(self, row: int) -> None:
        """The block ``row`` begins a section, which numbers its interfaces anew."""
        self._aside.append((row, SECTION, 0, 0))

    def settle(self, rows: int) -> None:
        """Counts what the batch's first ``rows`` blocks say, forgets the rest."""
        for row, code, interface, count in self._aside:
            if row < rows and code == SECTION:
                self._add_up()
            elif row < rows:
                self._latest[code, interface] = count
        self._aside.clear()

    def take(self, later: Drops) -> None:
        """Add what the next piece of the same section says."""
        self.interface += later.interface
        self.system += later.system
        self._latest.update(later._latest)

    def _add_up(self) -> None:
        for (code, _), count in self._latest.items():
            if code == IF_DROP:
                self.interface += count
            else:
                self.system += count
        self._latest.clear()

    def problems(self) -> Iterator[str]:
        """A sentence for each kind of loss, at the end of the file."""
        self._add_up()
        meaning = "they are not in the file, so a segment that is missing here may well have arrived"
        for who, count in (("interface", self.interface), ("system", self.system)):
            if count:
                yield f"By the file's own count the capturing {who} dropped {count:,} packets: {meaning}."
