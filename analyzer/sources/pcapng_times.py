"""Time stamps of a pcapng file, in any resolution, become nanoseconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_TIME = 2**62
"""Nanoseconds since the epoch (in the year 2116) beyond which a time stamp is taken for this one."""

SECOND = 1_000_000_000
MICROSECONDS = 6


def nanoseconds(ticks: NDArray[np.uint64], resolution: int) -> NDArray[np.int64]:
    """Time stamps in nanoseconds: int64 (n,) from uint64 (n,) units of if_tsresol, capped at MAX_TIME.

    resolution: the option's byte: 10 to the power of minus that, or, with the highest bit set, 2 to the power
    of minus the other seven (section "Interface Description Block"). Parts of a nanosecond are cut off.
    """
    exponent = resolution & 0x7F
    if resolution & 0x80:
        return _from_binary(ticks, exponent)
    if exponent <= 9:
        factor = 10 ** (9 - exponent)
        scaled = np.minimum(ticks, np.uint64(MAX_TIME // factor)) * np.uint64(factor)
    elif exponent <= 28:
        scaled = np.minimum(ticks // np.uint64(10 ** (exponent - 9)), np.uint64(MAX_TIME))
    else:  # more than 2**64 units are less than a nanosecond
        scaled = np.zeros_like(ticks)
    return scaled.astype(np.int64)


def _from_binary(ticks: NDArray[np.uint64], exponent: int) -> NDArray[np.int64]:
    """Nanoseconds from units of 2 to the power of minus ``exponent`` seconds."""
    if exponent >= 64:  # the whole field is less than a second: 64 fraction bits and leading zeros
        seconds = np.zeros_like(ticks)
        fraction = ticks >> np.uint64(min(exponent - 34, 63))
    else:
        seconds = ticks >> np.uint64(exponent)
        fraction = ticks & np.uint64((1 << exponent) - 1)
        fraction >>= np.uint64(max(exponent - 34, 0))
    # 34 bits of fraction are less than a tenth of a nanosecond each, and times 10**9 they fit 64 bits.
    fraction = (fraction * np.uint64(SECOND)) >> np.uint64(min(exponent, 34))
    scaled = np.minimum(seconds, np.uint64(MAX_TIME // SECOND)) * np.uint64(SECOND) + fraction
    return np.minimum(scaled, np.uint64(MAX_TIME)).astype(np.int64)
