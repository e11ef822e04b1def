"""What a packet travels in, as one number: part of its flow's key, and a word in the report."""

from __future__ import annotations

from enum import IntEnum


class Tunnel(IntEnum):
    """Kinds of tunnel."""

    IPIP = 1  # RFC 2003, RFC 4213, RFC 2473: the packet itself, of either IP version
    GRE = 2  # RFC 2784
    VXLAN = 3  # RFC 7348
    GENEVE = 4  # RFC 8926
    ERSPAN = 5  # a mirrored frame, draft-foschiano-erspan


ID_BITS = 32
"""The low bits hold the id that the tunnel gives: VNI, GRE key, session."""
HAS_ID = 1 << ID_BITS
KIND_SHIFT = ID_BITS + 8
NESTED_SHIFT = 48
"""From here on 16 bits that tell apart the tunnels around this one; 0 where there is none."""

_NAMES = {Tunnel.GENEVE: "Geneve"}


def tunnel_text(value: int) -> str:
    """The innermost tunnel as people name it, such as ``VXLAN 42`` or ``GRE``; nothing for 0."""
    if not value:
        return ""
    kind = Tunnel(value >> KIND_SHIFT & 0xFF)
    name = _NAMES.get(kind, kind.name)
    number = f" {value & (HAS_ID - 1)}" if value & HAS_ID else ""
    return f"{name}{number}{' in another tunnel' if value >> NESTED_SHIFT else ''}"
