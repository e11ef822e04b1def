"""32-bit sequence number arithmetic (RFC 9293 section 3.4), for plain integers."""

from __future__ import annotations

MODULUS = 1 << 32
HALF = 1 << 31


def distance(start: int, end: int) -> int:
    """How far ``end`` lies ahead of ``start`` on the circle: -2**31 <= result < 2**31."""
    return ((end - start + HALF) % MODULUS) - HALF


def add(number: int, length: int) -> int:
    """The sequence number ``length`` bytes after ``number``."""
    return (number + length) % MODULUS
