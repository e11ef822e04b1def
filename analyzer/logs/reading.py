"""Logs: their lines, which of them were understood, and which belong together."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from analyzer.logs.endpoints import endpoints_in, loose_ports_in
from analyzer.logs.recognise import MAX_LENGTH, recognise
from analyzer.logs.times import time_of
from analyzer.model.log_line import Log, LogEvent, LogLine, LogTime

MAX_EVENTS = 100_000
"""Events of a log that are kept."""
_TRACE = 200
"""Lines for which a time holds: stack traces of Java are long."""
_HEADS = 4
"""Lines that a message and its exception may begin with: java.util.logging writes two before it."""
_GOES_ON = re.compile(
    r"\s|[})\]]|Caused by|Suppressed:|During handling of|The above exception|Traceback \(most recent|--- "
)
"""How a line begins that belongs to the one before it."""
_TRACEBACK = "Traceback (most recent"


def read_log(name: str, lines: Iterable[str], near: int, platform: str = "") -> Log:
    """Read a log. ``near``: a time close to its own (see time_of); ``platform``: see recognise."""
    reader = _Reader(near, platform)
    for line in lines:
        reader.take(line.rstrip("\r\n"))
    reader.finish()
    return Log(name, reader.number, tuple(reader.events), reader.left_out)


class _Reader:
    """Goes through a log, with the lines of what may become an event."""

    def __init__(self, near: int, platform: str) -> None:
        self.number = 0
        self.events: list[LogEvent] = []
        self.left_out = 0
        self._near = near
        self._platform = platform
        self._understood: list[tuple[int, LogLine]] = []
        self._in_traceback = False
        self._heads: deque[str] = deque(maxlen=_HEADS)
        self._time: LogTime | None = None
        self._unsearched: deque[str] = deque(maxlen=_TRACE)
        """Lines in which nobody has looked for a time yet: most are of no interest."""

    def take(self, line: str) -> None:
        """The next line."""
        self.number += 1
        if self._begins(line):
            self.finish()
            self._heads.append(line)
        self._unsearched.append(line)
        if reading := recognise(line, self._platform):
            self._understood.append((self.number, reading))

    def finish(self) -> None:
        """What the lines since the last beginning say, if anything, is an event."""
        if not self._understood:
            return
        number, reading = next((pair for pair in self._understood if pair[1].trap), self._understood[0])
        if len(self.events) < MAX_EVENTS:
            time = self._latest()
            if not reading.endpoints and not reading.loose_ports:
                reading = self._with_ends(reading, timed=time is not None)
            self.events.append(LogEvent(number, reading, time, len(self._understood) - 1))
        else:
            self.left_out += 1
        self._understood = []

    def _with_ends(self, reading: LogLine, *, timed: bool) -> LogLine:
        """The line with the addresses of the message before it, if it has the time of that."""
        for head in reversed(self._heads):
            text = head[:MAX_LENGTH]
            ends, ports = endpoints_in(text), loose_ports_in(text)
            if ends or ports:
                return replace(reading, endpoints=ends, loose_ports=ports)
            if not timed or time_of(head, self._near):
                break
        return reading

    def _begins(self, line: str) -> bool:
        """Whether a line stands by itself."""
        if not line or _GOES_ON.match(line):
            self._in_traceback |= line.startswith(_TRACEBACK)
            return False
        ends_traceback, self._in_traceback = self._in_traceback, False
        return not ends_traceback

    def _latest(self) -> LogTime | None:
        """The time of the last line that has one, if that is not too far back."""
        if len(self._unsearched) == _TRACE:
            self._time = None
        found = (time_of(line, self._near) for line in reversed(self._unsearched))
        self._time = next((time for time in found if time), self._time)
        self._unsearched.clear()
        return self._time
