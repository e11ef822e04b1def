"""What the programs at both ends said, as far as their protocol is known."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One message. ``number`` of the frame that ends it, ``capture`` its index in the report.

    ``side`` is the sender's, ``layer`` tshark's name of the protocol, ``kind`` ``request``, ``response`` or
    ``note`` (what explains an end, such as a TLS alert). ``text`` is one line from a hostile source; ``cut``:
    the capture kept the begin of the frame only, so that something may be missing.
    """

    capture: int
    number: int
    side: int
    layer: str
    kind: str
    text: str
    cut: bool = False

    @property
    def words(self) -> str:
        """The text, and whether it may lack something."""
        return f"{self.text} [cut short by the capture]" if self.cut else self.text


@dataclass(frozen=True, slots=True)
class Dissection:
    """How messages are looked for. ``keylog``: file of TLS secrets; ``secrets``: passwords are shown."""

    keylog: str = ""
    secrets: bool = False
