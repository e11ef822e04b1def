"""What a protocol's reader says of a connection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """See MessageView, whose fields these become."""

    protocol: str
    answer: str = "unknown"
    because: str = "unknown"
    request: str = ""
    missing: int = 0
    in_record: bool = False
    handshake: str = "none"
    server_name: str = ""
    alert: str = ""
    alert_from: str = ""


def printable(data: bytes, limit: int = 80) -> str:
    """Bytes of a stranger as text that may be shown."""
    text = "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in data[:limit])
    return text + ("..." if len(data) > limit else "")
