"""What the programs at both ends said, as far as their protocol is known."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One message. ``number`` of the frame that ends it, ``capture`` its index in the report.

    ``side`` is the sender's, ``layer`` tshark's name of the protocol, ``kind`` ``request``, ``response`` or
    ``note`` (what explains an end, such as a TLS alert). ``text`` is one line from a hostile source.
    """

    capture: int
    number: int
    side: int
    layer: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Dissection:
    """How messages are looked for. ``keylog``: file of TLS secrets; ``secrets``: passwords are shown."""

    keylog: str = ""
    secrets: bool = False
