"""What a reset says of its reason in its payload: draft-ietf-tcpm-rst-diagnostic-payload, section 4.1.

Its forerunner (draft-boucadair-tcpm-rst-diagnostic-payload) said the same in CBOR: the number 12345, and a
map with the reason's code, the enterprise whose code it is, or a description.
"""

from __future__ import annotations

import struct

from analyzer.data import load
from analyzer.messages.facts import printable

_COMPACT = struct.Struct(">HHI")
_MAGIC, _CBOR_MAGIC = 0x33AA, b"\x19\x30\x39"
_CODE, _ENTERPRISE, _DESCRIPTION = 1, 2, 3
_MAP, _TEXT = 5, 3


def reset_says(payload: bytes) -> str:
    """The reason in words; empty where the payload is none of that, or is damaged."""
    if len(payload) == _COMPACT.size:
        magic, code, enterprise = _COMPACT.unpack(payload)
        if magic == _MAGIC and code:
            return _words(code, enterprise)
    if payload.startswith(_CBOR_MAGIC):
        return _of_map(payload[len(_CBOR_MAGIC) :])
    return ""


def _words(code: int, enterprise: int) -> str:
    if enterprise:
        return f"code {code} of enterprise {enterprise}"
    return str(load("reset_codes")["codes"].get(code, f"code {code}"))


def _of_map(data: bytes) -> str:
    """RFC 8949 section 3, as much of it as is needed."""
    head = _item(data)
    if not head or head[0] != _MAP or head[1] > _DESCRIPTION:
        return ""
    found: dict[int, int | bytes] = {}
    data = data[head[2] :]
    for _ in range(head[1]):
        key = _item(data)
        value = _item(data[key[2] :]) if key else None
        if not key or not value or key[0] or value[0] not in (0, _TEXT):
            return ""
        end = key[2] + value[2]
        text = data[end : end + value[1]]
        found[key[1]] = text if value[0] else value[1]
        data = data[end + (len(text) if value[0] else 0) :]
    code, enterprise, said = (found.get(name) for name in (_CODE, _ENTERPRISE, _DESCRIPTION))
    if isinstance(code, int) and code:
        return _words(code, enterprise if isinstance(enterprise, int) else 0)
    return f'"{printable(said, 255)}"' if isinstance(said, bytes) and said else ""


def _item(data: bytes) -> tuple[int, int, int] | None:
    """Major type and argument of the item at the begin, and how many bytes that takes."""
    if not data:
        return None
    major, short = data[0] >> 5, data[0] & 31
    if short < 24:
        return major, short, 1
    size = {24: 1, 25: 2, 26: 4}.get(short, 0)
    return (major, int.from_bytes(data[1 : 1 + size]), 1 + size) if size and len(data) > size else None
