"""What the tables hold. A change of names or meanings changes the version, new columns do not."""

from __future__ import annotations

VERSION = "errnoscope.tables/1"

TIME, BOOL, TEXT, WHOLE, TEXTS, NUMBERS = "time", "bool", "text", "whole", "texts", "numbers"
"""Kinds of columns beside the unsigned numbers, which are named by their bits."""

_BETWEEN = {
    "protocol": TEXT,
    "client": TEXT,
    "client_port": "u16",
    "server": TEXT,
    "server_port": "u16",
    "tunnel": TEXT,
}

CAPTURES = {
    "capture": "u32",
    "path": TEXT,
    "packets": WHOLE,
    "first": TIME,
    "last": TIME,
    "problems": TEXTS,
    "damage": TEXT,
}

SEGMENTS = {
    "capture": "u32",
    "frame": WHOLE,
    "time": TIME,
    "flow": WHOLE,
    "from_client": BOOL,
    "flags": "u8",
    "seq": "u32",
    "ack": "u32",
    "payload": "u32",
    "window": "u16",
    "ttl": "u8",
    "icmp": BOOL,
    "icmp_type": "u8",
    "icmp_code": "u8",
    "kinds": "u16",
}

FLOWS = {
    "flow": WHOLE,
    "capture": "u32",
    "frame": WHOLE,
    **_BETWEEN,
    "client_guessed": BOOL,
    "start": TIME,
    "end": TIME,
    "state": TEXT,
    "answered": TIME,
    "client_packets": WHOLE,
    "server_packets": WHOLE,
    "client_bytes": WHOLE,
    "server_bytes": WHOLE,
    "same_as": WHOLE,
    "failed": BOOL,
    "endpoint": TEXT,
    "errno": TEXT,
    "call": TEXT,
    "rule": TEXT,
    "confidence": TEXT,
}

VERDICTS = {
    "flow": WHOLE,
    "capture": "u32",
    **_BETWEEN,
    "start": TIME,
    "end": TIME,
    "time": TIME,
    "endpoint": TEXT,
    "errno": TEXT,
    "number": WHOLE,
    "platform": TEXT,
    "platform_name": TEXT,
    "call": TEXT,
    "signal": TEXT,
    "confidence": TEXT,
    "rule": TEXT,
    "title": TEXT,
    "summary": TEXT,
    "recovered": BOOL,
    "recovered_at": TIME,
    "recovered_by": TEXT,
    "frames": NUMBERS,
    "frame_captures": NUMBERS,
    "doubts": TEXTS,
}

ONLY_WHERE = {"icmp_type": "icmp", "icmp_code": "icmp"}
"""Columns that are null where another one, of truth, is false."""

BETWEEN = {NUMBERS: ";", TEXTS: " | "}
"""What stands between the items of a list in CSV, which has none. A text may contain a semicolon."""

TABLES = {"captures": CAPTURES, "segments": SEGMENTS, "flows": FLOWS, "verdicts": VERDICTS}
