"""How the process of a command uses memory."""

from __future__ import annotations

import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's mallopt(3)."""
_KEPT = 256 << 20
_AT_ONCE = 16 << 20
_LARGEST = 32 << 20  # glibc refuses more on 64 bits (HEAP_MAX_SIZE / 2)


def keep_freed() -> None:
    """Have the C library keep what is freed for the next batch, whose arrays are as large.

    Otherwise it returns the memory of most arrays to the system, which gives it back page by page, all zeros:
    a twentieth of all the processor time of a large capture. Nothing is done where there is no glibc.
    """
    import ctypes  # NumPy has imported it where there are arrays

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        for parameter, size in ((_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _AT_ONCE), (_MMAP_THRESHOLD, _LARGEST)):
            mallopt(parameter, size)
