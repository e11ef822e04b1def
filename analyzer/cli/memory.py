"""How the process of a command uses memory, where the C library is glibc: mallopt(3)."""

from __future__ import annotations

from contextlib import suppress

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # malloc.h
_LARGEST = 32 << 20  # what glibc takes as _MMAP_THRESHOLD at most, on 64 bits
_KEPT = 256 << 20
_AT_ONCE = 16 << 20
_LARGE = 1 << 20


def keep_freed() -> None:
    """Keep what is freed for the next batch, whose arrays are as large.

    Else most arrays' memory goes back to the system, which gives it anew page by page, all zeros: a twentieth
    of all the processor time that a large capture takes.
    """
    _tell({_TRIM_THRESHOLD: _KEPT, _TOP_PAD: _AT_ONCE, _MMAP_THRESHOLD: _LARGEST})


def give_freed_back() -> None:
    """Have large blocks mapped each by itself: freed, they are gone.

    Else they go into the heap once one was freed, and what is free between others stays for days.
    """
    _tell({_MMAP_THRESHOLD: _LARGE})


def _tell(settings: dict[int, int]) -> None:
    import ctypes  # not for commands without arrays; NumPy has imported it for all others

    with suppress(AttributeError, OSError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for setting, value in settings.items():
            mallopt(setting, value)
