"""A flow packet by packet, as the pictures of it show it."""

from __future__ import annotations

from typing import NamedTuple


class Seen(NamedTuple):
    """A packet of a flow; ICMP messages that quote one are among them.

    ``number`` is that of the frame in the capture with index ``capture``, ``time`` in nanoseconds since the
    epoch. ``side`` is the index of the end that the arrow comes from; for ICMP, whose sender is ``reporter``
    (else empty), that of the end that it does not go to. ``kinds`` are Kind bits, ``flags`` those of TCP.
    ``seq`` and ``ack`` count from each end's first number, None where that is not known or means nothing;
    ``payload`` in bytes. ``window`` in bytes, None where its scale is not known. ``states`` are the TCP
    states of client and server after it, empty for an end that was not heard yet and for UDP. ``skipped``
    packets of the flow before it are not shown.
    """

    number: int
    capture: int
    time: int
    side: int
    kinds: int
    flags: int
    seq: int | None
    ack: int | None
    payload: int
    window: int | None
    label: str
    reporter: str
    states: tuple[str, str]
    skipped: int


Picture = tuple[Seen, ...]
"""In the order of the capture."""
