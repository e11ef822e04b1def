"""Finds slots by the keys of flows: a hash table in arrays, for many keys at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Places = NDArray[np.int64]

_EMPTY, _DELETED = -1, -2
_LEAST = 1 << 12


class KeyIndex:
    """The newest slot of each key: open addressing with linear probing (Knuth, TAOCP volume 3, section 6.4).

    Keys are mixed already, so that their lowest bits say where the search begins. At least half of the places
    are empty, and no key can be chosen by who made the capture (see keys.flow_keys): searches stay short.
    """

    def __init__(self) -> None:
        self._keys: Keys = np.zeros(_LEAST, np.uint64)
        self._slots: NDArray[np.int32] = np.full(_LEAST, _EMPTY, np.int32)
        self._taken = 0
        """Places that are not empty: of keys, and of deleted ones."""

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """The slot of each key, -1 where there is none: int64 (n,)."""
        found = self._places(keys)
        return np.where(found >= 0, self._slots[found], -1).astype(np.int64)

    def add(self, keys: Keys, slots: NDArray[np.int64]) -> None:
        """Let these slots be found by these keys (ascending), of equal ones the last; int64 (n,)."""
        if not len(keys):
            return
        last = np.flatnonzero(np.append(keys[1:] != keys[:-1], np.True_))
        distinct, slots = keys[last], slots[last]
        self._make_room(len(distinct))
        self._insert(distinct, slots)

    def remove(self, keys: Keys, slots: NDArray[np.int64]) -> None:
        """Forget these keys where they lead to these slots and not to newer ones."""
        places = self._places(keys)
        known = places >= 0
        places, slots = places.compress(known), slots.compress(known)
        self._slots[places.compress(self._slots.take(places) == slots)] = _DELETED

    def _places(self, keys: Keys) -> Places:
        """Where each key stands, -1 where it does not: int64 (n,)."""
        found = np.full(len(keys), -1, np.int64)
        rows, at = np.arange(len(keys)), self._homes(keys)
        while len(rows):
            slots = self._slots.take(at)
            hit = (slots >= 0) & (self._keys.take(at) == keys)
            found[rows.compress(hit)] = at.compress(hit)
            on = np.flatnonzero((slots != _EMPTY) & ~hit)
            rows, keys, at = rows.take(on), keys.take(on), self._next(at.take(on))
        return found

    def _insert(self, keys: Keys, slots: NDArray[np.int64]) -> None:
        """Put distinct keys where they are, or else into places that are empty."""
        at = self._homes(keys)
        while len(keys):
            there = self._slots.take(at)
            empty = there == _EMPTY
            free = np.flatnonzero(empty)
            self._keys[at.take(free)] = keys.take(free)
            # of several in one place one is written last
            won = (self._keys.take(at) == keys) & (there != _DELETED)
            self._slots[at.compress(won)] = slots.compress(won)
            self._taken += int(np.count_nonzero(won & empty))
            on = np.flatnonzero(~won)
            keys, slots, at = keys.take(on), slots.take(on), self._next(at.take(on))

    def _make_room(self, more: int) -> None:
        """Keep half of the places empty; what is deleted counts until everything is put in anew."""
        if 2 * (self._taken + more) <= len(self._slots):
            return
        live = np.flatnonzero(self._slots >= 0)
        keys, slots = self._keys[live], self._slots[live].astype(np.int64)
        size = max(_LEAST, 1 << int(4 * (len(live) + more) - 1).bit_length())
        self._keys, self._slots = np.zeros(size, np.uint64), np.full(size, _EMPTY, np.int32)
        self._taken = 0
        self._insert(keys, slots)

    def _homes(self, keys: Keys) -> Places:
        return (keys & np.uint64(len(self._slots) - 1)).astype(np.int64)

    def _next(self, at: Places) -> Places:
        return (at + 1) & (len(self._slots) - 1)
