"""What is counted while a capture goes on, for a monitoring system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from analyzer.model.finding import Verdict
from analyzer.model.live import Standing
from analyzer.reports.live_changes import Change

_MOST = 1000
"""Combinations of errno, rule and port that are counted each by itself: a scan must not fill a memory."""
_OTHERS = "other"
_NONE = "none"

Labels = tuple[str, str, str]
"""Errno, rule, port of the service."""


class Counted:
    """Verdicts that were told, and those of them that were taken back."""

    def __init__(self) -> None:
        self._told: Counter[Labels] = Counter()
        self._taken_back: Counter[Labels] = Counter()

    def count(self, changes: Iterable[Change]) -> None:
        """A verdict that replaces another one takes that back."""
        for change in changes:
            for said, counter in ((change.before, self._taken_back), (change.now, self._told)):
                if isinstance(said, Verdict):
                    counter[self._labels(said, change.result.flow.server.port)] += 1

    def values(self, standing: Standing) -> dict[str, object]:
        """All of it as plain values; lists of labels and count."""
        return {
            "packets": standing.packets,
            "dropped": standing.dropped,
            "open_flows": standing.open_flows,
            "lag_seconds": round(standing.lag, 3),
            "verdicts": [[*labels, count] for labels, count in self._told.items()],
            "verdicts_taken_back": [[*labels, count] for labels, count in self._taken_back.items()],
        }

    def _labels(self, verdict: Verdict, port: int) -> Labels:
        labels = (verdict.errno or _NONE, verdict.rule, str(port))
        known = labels in self._told or len(self._told) < _MOST
        return labels if known else (labels[0], labels[1], _OTHERS)
