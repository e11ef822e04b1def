"""Hosts whose hardware address was asked for in vain, so that what was to be sent to them never was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from analyzer.data import load
from analyzer.model.flow import address_text
from analyzer.model.records import Records

_KEPT = 4096
"""Pairs of who asks and for whom, at most: a scan of a network asks for every address in it."""
_TOLD = 3
_RULES = load("profiles/linux")["neighbour"]
_TRIES: int = _RULES["tries"]
_APART_NS = round(_RULES["interval_s"] * 2.5 * 10**9)
"""What comes later is another attempt."""

Address = tuple[int, int, int]
"""IP version and both halves."""


@dataclass(slots=True)
class _Asked:
    """Questions in a row of one host for another; ``most`` in any row so far. Times in nanoseconds."""

    count: int = 0
    last: int = 0
    most: int = 0


class Neighbours:
    """Counts the questions that nobody answered, over all blocks of a capture."""

    def __init__(self) -> None:
        self._asked: dict[Address, dict[Address, _Asked]] = {}
        self._pairs = 0

    def add(self, rows: Records) -> None:
        """The next ones, NEIGHBOUR rows (k,)."""
        for _, time, version, asks, asker_hi, asker_lo, target_hi, target_lo in rows.tolist():
            target = (version, target_hi, target_lo)
            if asks:
                self._asks((version, asker_hi, asker_lo), target, time)
            else:
                for asked in self._asked.get(target, {}).values():
                    asked.count = 0

    def _asks(self, asker: Address, target: Address, time: int) -> None:
        askers = self._asked.setdefault(target, {})
        if asker not in askers:
            if self._pairs >= _KEPT:
                return
            self._pairs += 1
            askers[asker] = _Asked()
        asked = askers[asker]
        asked.count = asked.count + 1 if time - asked.last <= _APART_NS else 1
        asked.last = time
        asked.most = max(asked.most, asked.count)

    def problems(self) -> Iterator[str]:
        """Whom nobody could reach, as sentences."""
        silent = [
            (target, asker, asked.most)
            for target, askers in self._asked.items()
            for asker, asked in askers.items()
            if asked.most >= _TRIES
        ]
        for target, asker, most in silent[:_TOLD]:
            what = "ARP" if target[0] == 4 else "neighbour discovery"
            yield (
                f"{address_text(*target)} did not answer {what}, which {address_text(*asker)} tried {most} "
                f"times in a row: a connect() from there to it, or through it as a router, fails with "
                f"{_RULES['errno']} on Linux, before or after a SYN"
            )
        if len(silent) > _TOLD:
            yield f"{len(silent) - _TOLD} more addresses did not answer ARP or neighbour discovery either"
