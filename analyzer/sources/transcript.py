"""Packets that are written down as text, in packetdrill's notation, become frames.

One packet a line; `#` begins a comment, what is in brackets may be left out:

    [+SECONDS] SENDER > RECEIVER FLAGS SEQ:END(LEN) [ack N] [win N] [ttl N] [id N] [<OPTIONS>]
    [+SECONDS] SENDER > RECEIVER icmp TYPE CODE [mtu N] [ttl N] [id N] [SEQ:END(LEN)]
    [+SECONDS] end

The brackets around the last SEQ:END(LEN) are to be written: this is the packet of RECEIVER that is quoted.
SENDER is `client`, `server` or, for icmp, `router`. FLAGS are S F R P . U E W, where `.` is ACK. Numbers
count from the sender's initial sequence number, those of `ack` and `sack` from the receiver's; SYN and FIN
are not counted in LEN. `+0.2` is the time since the line before. `end` says when the capture stops. A first
line `ipv6` makes all of it IPv6.
"""

from __future__ import annotations

import logging
import re
import struct
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import TracebackType
from typing import Any, Self

import numpy as np

from analyzer.errors import UserError
from analyzer.model.blocks import MAX_FRAMES, SLACK, FrameBlock
from analyzer.model.capture import Capture
from analyzer.model.columns import TCP, Flag

START = 1_700_000_000 * 10**9
"""Time of a transcript's beginning, in nanoseconds since the epoch."""

STEP = 10_000_000
"""Nanoseconds that pass between two lines where the second does not begin with a time."""

INITIAL = (1_000_000_000, 3_000_000_000)
"""Initial sequence numbers of client and server, unless others are asked for."""

ADDRESSES = {
    4: {"client": "192.0.2.1", "server": "192.0.2.2", "router": "192.0.2.254"},
    6: {"client": "2001:db8::1", "server": "2001:db8::2", "router": "2001:db8::fe"},
}
PORTS = {"client": 40001, "server": 80}

_OTHER = {"client": "server", "server": "client"}
_MACS = {"client": "02:00:00:00:00:01", "server": "02:00:00:00:00:02", "router": "02:00:00:00:00:fe"}
_FIRST_IDS = {"client": 10_000, "server": 20_000, "router": 30_000}
_TTL, _WINDOW, _MTU = 64, 65_535, 1280
_LONGEST = 10**9 * 10**9  # nanoseconds of a transcript: far below what an int64 holds
_MODULUS = 1 << 32
_ETHERNET = 1
_ICMP = {4: 1, 6: 58}
_QUOTED = {4: 576 - 20 - 8, 6: 1280 - 40 - 8}  # bytes quoted at most: RFC 1812 section 4.3.2.3, RFC 4443

_FLAGS = {
    "S": Flag.SYN,
    "F": Flag.FIN,
    "R": Flag.RST,
    "P": Flag.PSH,
    ".": Flag.ACK,
    "U": Flag.URG,
    "E": Flag.ECE,
    "W": Flag.CWR,
}

# Words of type and code by IP version; packetdrill's where it has them.
_ICMP_CODES: dict[int, dict[str, dict[str, tuple[int, int]]]] = {
    4: {
        "unreachable": {
            "net_unreachable": (3, 0),
            "host_unreachable": (3, 1),
            "protocol_unreachable": (3, 2),
            "port_unreachable": (3, 3),
            "frag_needed": (3, 4),
            "source_route_failed": (3, 5),
            "net_unknown": (3, 6),
            "host_unknown": (3, 7),
            "source_host_isolated": (3, 8),
            "net_prohibited": (3, 9),
            "host_prohibited": (3, 10),
            "net_unreachable_for_tos": (3, 11),
            "host_unreachable_for_tos": (3, 12),
            "admin_prohibited": (3, 13),
            "packet_filtered": (3, 13),
            "precedence_violation": (3, 14),
            "precedence_cutoff": (3, 15),
        },
        "source_quench": {"source_quench": (4, 0)},
        "redirect": {"net_redirect": (5, 0), "host_redirect": (5, 1)},
        "time_exceeded": {"ttl_exceeded": (11, 0), "reassembly_timeout": (11, 1)},
        "parameter_problem": {"parameter_problem": (12, 0)},
    },
    6: {
        "unreachable": {
            "no_route": (1, 0),
            "admin_prohibited": (1, 1),
            "beyond_scope": (1, 2),
            "address_unreachable": (1, 3),
            "port_unreachable": (1, 4),
            "source_policy_failed": (1, 5),
            "reject_route": (1, 6),
        },
        "packet_too_big": {"packet_too_big": (2, 0)},
        "time_exceeded": {
            "hop_limit": (3, 0),
            "exceeded_hop_limit": (3, 0),
            "exceeded_frag_time": (3, 1),
        },
        "parameter_problem": {
            "header_field": (4, 0),
            "unknown_next_header": (4, 1),
            "unknown_option": (4, 2),
        },
    },
}
_ICMP_ERRORS = {4: (3, 4, 5, 11, 12), 6: (1, 2, 3, 4)}
_HAS_MTU = {4: (3, 4), 6: (2, 0)}

_SPAN = re.compile(r"(-?[0-9]{1,10}):(-?[0-9]{1,10})\(([0-9]{1,10})\)")
_WORD = re.compile(r"<[^>]*>?|\[[^\]]*\]?|[^\s<>\[\]]+|\S")
_TIME = re.compile(r"\+(?=\.?[0-9])([0-9]{0,10})(?:\.([0-9]{0,9}))?")
_NUMBER = re.compile(r"-?[0-9]{1,10}")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")

# How an option is written, and how many bytes it takes.
_OPTIONS = {
    "mss": (re.compile(r"mss ([0-9]{1,10})"), 4, 0xFFFF),
    "sackOK": (re.compile(r"sackOK"), 2, 0),
    "TS": (re.compile(r"TS val ([0-9]{1,10}) ecr ([0-9]{1,10})"), 10, _MODULUS - 1),
    "nop": (re.compile(r"nop"), 1, 0),
    "wscale": (re.compile(r"wscale ([0-9]{1,10})"), 3, 0xFF),
    "sack": (re.compile(r"sack((?: [0-9]{1,10}:[0-9]{1,10}){1,4})"), 2, _MODULUS - 1),
    "eol": (re.compile(r"eol"), 1, 0),
}
_OPTIONS_HINT = "write <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>; sack 1:11 and eol are possible too."
_SEGMENT_HINT = "a segment is written as: client > server  P.  1:11(10) ack 1"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One error in a transcript; lines and columns count from 1, ``width`` is the number of characters."""

    line: int
    column: int
    width: int
    what: str
    hint: str = ""


class TranscriptError(UserError):
    """One or more mistakes in one transcript, all of which are told."""

    def __init__(self, name: str, mistakes: Sequence[Mistake]) -> None:
        first = mistakes[0]
        super().__init__("bad-transcript", f"{name}: line {first.line}", first.what, first.hint)
        self.args = (name, mistakes)
        self.name = name
        self.mistakes = tuple(mistakes)

    def __str__(self) -> str:
        return "\n".join(
            str(UserError(self.reference, f"{self.name}: line {mistake.line}", mistake.what, mistake.hint))
            for mistake in self.mistakes
        )


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a sender: ``length`` from ``begin`` on, relative to its initial sequence number."""

    begin: int
    length: int


@dataclass(frozen=True, slots=True)
class TcpOption:
    """An option as it is written (``mss``, ``TS`` ...); ``sack`` has relative begins and ends."""

    kind: str
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """A line with a TCP segment; ``time`` in nanoseconds since the transcript's beginning."""

    line: int
    time: int
    sender: str
    receiver: str
    flags: int
    span: Span
    ack: int | None = None
    window: int = _WINDOW
    ttl: int = _TTL
    ip_id: int | None = None
    options: tuple[TcpOption, ...] = ()


@dataclass(frozen=True, slots=True)
class IcmpError:
    """A line with an ICMP error that quotes ``quoted``, a segment of its receiver; ``time`` as in Segment."""

    line: int
    time: int
    sender: str
    receiver: str
    type: int
    code: int
    quoted: Span
    mtu: int = 0
    ttl: int = _TTL
    ip_id: int | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The line that says when the capture stops; ``time`` as in Segment."""

    line: int
    time: int


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame, the line that it comes from, and its time in nanoseconds since the epoch."""

    line: int
    time: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a transcript says: one value a packet, in the order of the lines."""

    name: str
    version: int
    steps: tuple[Segment | IcmpError | End, ...]
    initial: tuple[int, int] = INITIAL

    def frames(self) -> list[Frame]:
        """One frame for each step, ``end`` too. Imports scapy."""
        with _quiet():
            builder = _Builder(self)
            return [Frame(step.line, START + step.time, builder.frame(step)) for step in self.steps]


def parse(
    text: str, name: str = "transcript", *, version: int = 4, initial: tuple[int, int] = INITIAL
) -> Transcript:
    """Reads a transcript; ``name`` is what errors call it.

    version: 6 makes it IPv6 without the line that says so. initial: initial sequence numbers of client and
    server. Raises TranscriptError with all lines that are wrong.
    """
    reader, mistakes = _Reader(version), []
    for number, line in enumerate(text.split("\n"), 1):
        words = _words(line)
        if words:
            try:
                reader.read(_Line(number, words))
            except _WrongError as error:
                mistakes.append(error.at(number))
    if not mistakes and all(isinstance(step, End) for step in reader.steps):
        mistakes.append(Mistake(1, 1, 1, "there is no packet in it", _SEGMENT_HINT))
    if mistakes:
        raise TranscriptError(name, mistakes)
    return Transcript(name, reader.version, tuple(reader.steps), initial)


class TranscriptSource:
    """The frames of a transcript as a source like those of the capture files.

    ``blocks`` can be iterated once; ``capture`` is filled in meanwhile.
    """

    def __init__(self, transcript: Transcript, index: int = 0, *, max_frames: int = MAX_FRAMES) -> None:
        self.capture = Capture(transcript.name, "transcript")
        self._transcript = transcript
        self._index = index
        self._max_frames = max(max_frames, 1)
        self._closed = False

    def blocks(self) -> Iterator[FrameBlock]:
        """The frames in the order of the lines, at most ``max_frames`` a block."""
        if self._closed:
            return
        self._closed = True
        frames = self._transcript.frames()
        for at in range(0, len(frames), self._max_frames):
            yield self._block(frames[at : at + self._max_frames])

    def close(self) -> None:
        """Nothing is open; ``blocks`` gives nothing after it."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _block(self, frames: list[Frame]) -> FrameBlock:
        """Counts the frames in the capture and makes a block of them."""
        lengths = np.array([len(frame.data) for frame in frames], np.int64)
        times = np.array([frame.time for frame in frames], np.int64)
        first_number = self.capture.packets + 1
        self._count(lengths.tolist(), times.tolist())
        return FrameBlock(
            capture=self._index,
            first_number=first_number,
            buffer=np.frombuffer(b"".join(frame.data for frame in frames) + bytes(SLACK), np.uint8),
            offsets=np.cumsum(lengths) - lengths,
            captured=lengths,
            original=lengths.copy(),
            times=times,
            link_types=np.full(len(frames), _ETHERNET, np.uint16),
        )

    def _count(self, lengths: list[int], times: list[int]) -> None:
        capture = self.capture
        capture.link_types = ["EN10MB"]
        capture.packets += len(lengths)
        capture.bytes += sum(lengths)
        capture.first = times[0] if capture.first is None else capture.first
        capture.last = times[-1]


# Reading the text.


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a line, or what is in one pair of brackets; ``column`` counts from 1."""

    text: str
    column: int

    def __str__(self) -> str:
        shown = _UNPRINTABLE.sub("?", self.text)
        return f"`{shown[:37]}...`" if len(shown) > 40 else f"`{shown}`"


def _words(line: str) -> list[_Word]:
    """The words of a line without its comment."""
    return [_Word(found[0], found.start() + 1) for found in _WORD.finditer(line.partition("#")[0])]


class _WrongError(Exception):
    """Something is wrong with a word."""

    def __init__(self, word: _Word, what: str, hint: str = "") -> None:
        super().__init__(word, what, hint)
        self.word = word
        self.what = what
        self.hint = hint

    def at(self, line: int) -> Mistake:
        return Mistake(line, self.word.column, max(len(self.word.text), 1), self.what, self.hint)


class _Line:
    """The words of one line, taken one after the other."""

    def __init__(self, number: int, words: list[_Word]) -> None:
        self.number = number
        self._words = words
        self._at = 0

    def peek(self) -> str:
        """The next word's text; empty at the end."""
        return self._words[self._at].text if self._at < len(self._words) else ""

    def take(self, expected: str, hint: str = "") -> _Word:
        """The next word, which is to be what ``expected`` says."""
        if self._at == len(self._words):
            last = self._words[-1]
            end = _Word("", last.column + len(last.text))
            raise _WrongError(end, f"the line ends where {expected} should be", hint)
        self._at += 1
        return self._words[self._at - 1]

    def rest(self) -> Iterator[_Word]:
        """The words that are left."""
        while self.peek():
            yield self.take("")

    def finish(self, hint: str = "") -> None:
        """Nothing may follow."""
        for word in self.rest():
            raise _WrongError(word, f"{word} is too much", hint)


class _Reader:
    """Reads line by line: ``steps`` grows."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.steps: list[Segment | IcmpError | End] = []
        self._clock: int | None = None
        self._begun = False

    def read(self, line: _Line) -> None:
        """Raises _WrongError where the line makes no sense."""
        first, self._begun = not self._begun, True
        if line.peek() == "ipv6":
            self._read_version(line, first)
            return
        if self.steps and isinstance(self.steps[-1], End):
            raise _WrongError(line.take(""), "nothing may follow the line `end`")
        time = self._read_time(line)
        if line.peek() == "end":
            line.take("")
            line.finish("`end` has nothing but a time: +5 end")
            self.steps.append(End(line.number, time))
        else:
            self.steps.append(self._read_packet(line, time))

    def _read_version(self, line: _Line, first: bool) -> None:
        word = line.take("")
        if not first:
            raise _WrongError(word, "`ipv6` must be the first line: it is meant for all packets")
        line.finish()
        self.version = 6

    def _read_time(self, line: _Line) -> int:
        """The time of this line, from that of the line before."""
        if line.peek().startswith("+"):
            word = line.take("")
            found = _TIME.fullmatch(word.text)
            if found is None:
                raise _WrongError(word, f"{word} is not a time", "write seconds after the line before: +0.2")
            passed = int(found[1] or 0) * 10**9 + int((found[2] or "").ljust(9, "0"))
            self._clock = (self._clock or 0) + passed
            if self._clock > _LONGEST:
                raise _WrongError(word, "that is more than 1,000,000,000 seconds after the beginning")
        else:
            self._clock = 0 if self._clock is None else self._clock + STEP
        return self._clock

    def _read_packet(self, line: _Line, time: int) -> Segment | IcmpError:
        sender = line.take("a sender", _SEGMENT_HINT)
        if sender.text not in _MACS:
            hint = "one of client, server and router; a line may also be `end` or, as the first one, `ipv6`."
            raise _WrongError(sender, f"{sender} is nobody who sends", hint)
        arrow = line.take("`>`", _SEGMENT_HINT)
        if arrow.text != ">":
            hint = "it stands between sender and receiver: client > server"
            raise _WrongError(arrow, f"{arrow} stands where `>` should be", hint)
        receiver = line.take("a receiver", _SEGMENT_HINT)
        if receiver.text not in _OTHER or receiver.text == sender.text:
            hint = "packets go to client or server, and not to their own sender."
            raise _WrongError(receiver, f"{receiver} cannot be the receiver here", hint)
        if line.peek() == "icmp":
            line.take("")
            return self._read_icmp(line, time, sender.text, receiver.text)
        if sender.text == "router":
            raise _WrongError(sender, "a router sends nothing but icmp", _ICMP_HINT)
        return self._read_segment(line, time, sender.text, receiver.text)

    def _read_segment(self, line: _Line, time: int, sender: str, receiver: str) -> Segment:
        flags_word = line.take("flags", _SEGMENT_HINT)
        flags = _flags(flags_word)
        span_word = line.take("SEQ:END(LEN)", _SEGMENT_HINT)
        span = _span(span_word, span_word.text, _SEGMENT_HINT)
        values, brackets = self._read_fields(line, ("ack", "win", "ttl", "id"), "<")
        ack = values.get("ack")
        if (ack is not None) != bool(flags & Flag.ACK):
            what = "there is `ack`, but not the flag `.`" if ack is not None else "the flag `.` needs `ack`"
            raise _WrongError(flags_word, what, "ACK is written as flag and as number: S. 0:0(0) ack 1")
        options = _options(brackets) if brackets else ()
        _check_size(span_word, self.version, span, options)
        return Segment(
            line.number,
            time,
            sender,
            receiver,
            flags,
            span,
            ack,
            window=values.get("win", _WINDOW),
            ttl=values.get("ttl", _TTL),
            ip_id=values.get("id"),
            options=options,
        )

    def _read_icmp(self, line: _Line, time: int, sender: str, receiver: str) -> IcmpError:
        kind = line.take("a type of icmp", _ICMP_HINT)
        type_, code = self._type_and_code(line, kind)
        values, brackets = self._read_fields(line, ("mtu", "ttl", "id"), "[")
        if brackets is None:
            raise _WrongError(kind, "the quoted [SEQ:END(LEN)] is missing", _ICMP_HINT)
        has_mtu = (type_, code) == _HAS_MTU[self.version]
        if "mtu" in values and not has_mtu:
            raise _WrongError(
                kind, "this message has no mtu", "only frag_needed and packet_too_big have one."
            )
        return IcmpError(
            line.number,
            time,
            sender,
            receiver,
            type_,
            code,
            _span(brackets, brackets.text[1:-1], _ICMP_HINT),
            mtu=values.get("mtu", _MTU if has_mtu else 0),
            ttl=values.get("ttl", _TTL),
            ip_id=values.get("id"),
        )

    def _type_and_code(self, line: _Line, word: _Word) -> tuple[int, int]:
        """From `3/1`, from the words of type and code, or from one of them if that says it all."""
        if "/" in word.text:
            return _numeric_type(word, self.version)
        types = _ICMP_CODES[self.version]
        if word.text in types:
            codes = types[word.text]
            following = line.peek()
            if following in codes:
                line.take("")
            elif len(codes) == 1:
                following = next(iter(codes))
            if following not in codes:
                wrong = line.take(f"a code of `{word.text}`", _one_of(codes))
                raise _WrongError(wrong, f"{wrong} is no code of `{word.text}`", _one_of(codes))
            return codes[following]
        every = {name: value for codes in types.values() for name, value in codes.items()}
        if word.text not in every:
            what = f"{word} is no type of icmp that IPv{self.version} has"
            raise _WrongError(word, what, _one_of(types) + " Numbers are possible too: 3/1")
        return every[word.text]

    def _read_fields(
        self, line: _Line, names: tuple[str, ...], bracket: str
    ) -> tuple[dict[str, int], _Word | None]:
        """What follows in any order: names with their numbers, and at most one pair of brackets."""
        values: dict[str, int] = {}
        brackets: _Word | None = None
        for word in line.rest():
            if word.text.startswith(bracket):
                if brackets is not None:
                    raise _WrongError(word, f"{word} is the second one")
                if len(word.text) < 2 or word.text[-1] != {"<": ">", "[": "]"}[bracket]:
                    raise _WrongError(word, f"the `{bracket}` is never closed")
                brackets = word
            elif word.text not in names:
                raise _WrongError(word, f"{word} means nothing here", _one_of(names))
            elif word.text in values:
                raise _WrongError(word, f"{word} is given twice")
            else:
                values[word.text] = self._field(word, line.take(f"the number of `{word.text}`"))
        return values, brackets

    def _field(self, name: _Word, number: _Word) -> int:
        """The number of one field, in its bounds."""
        if name.text == "id" and self.version == 6:
            raise _WrongError(name, "an IPv6 packet has no id", "leave it out.")
        largest = {"ttl": 0xFF, "ack": _MODULUS - 1}.get(name.text, 0xFFFF)
        if name.text == "mtu" and self.version == 6:
            largest = _MODULUS - 1
        smallest = -largest if name.text == "ack" else 0
        if not _NUMBER.fullmatch(number.text) or not smallest <= int(number.text) <= largest:
            what = f"{number} is not a number from {smallest} to {largest}"
            raise _WrongError(number, f"{what}, as `{name.text}` needs it")
        return int(number.text)


_ICMP_HINT = "an ICMP error is written as: router > client  icmp unreachable host_unreachable [0:0(0)]"


def _one_of(names: Sequence[str] | dict[str, Any]) -> str:
    return f"possible: {', '.join(names)}."


def _flags(word: _Word) -> int:
    """The flags, each at most once."""
    flags = 0
    for letter in word.text:
        if letter not in _FLAGS:
            hint = f"S SYN, F FIN, R RST, P PSH, . ACK, U URG, E ECE, W CWR. {_SEGMENT_HINT}"
            raise _WrongError(word, f"{word} are no flags", hint)
        if flags & _FLAGS[letter]:
            raise _WrongError(word, f"{word} has the flag `{letter}` twice")
        flags |= _FLAGS[letter]
    return flags


def _span(word: _Word, text: str, hint: str) -> Span:
    """SEQ:END(LEN), whose numbers must agree."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise _WrongError(word, f"{word} is not SEQ:END(LEN)", hint)
    begin, end, length = map(int, found.groups())
    if begin + length != end:
        what = f"{begin} and {length} bytes make {begin + length}, not {end}"
        raise _WrongError(word, what, "SYN and FIN are not counted in it.")
    if abs(begin) >= _MODULUS or length >= _MODULUS:
        raise _WrongError(word, f"{word} is beyond what 32 bits can count")
    return Span(begin, length)


def _numeric_type(word: _Word, version: int) -> tuple[int, int]:
    """`3/1`: type and code in numbers."""
    left, _, right = word.text.partition("/")
    if not (_NUMBER.fullmatch(left) and _NUMBER.fullmatch(right) and 0 <= int(right) <= 0xFF):
        raise _WrongError(word, f"{word} is not type/code in numbers", "write for example 3/1")
    if int(left) not in _ICMP_ERRORS[version]:
        types = ", ".join(map(str, _ICMP_ERRORS[version]))
        what = f"{word} is no ICMP error of IPv{version}: it quotes no packet"
        raise _WrongError(word, what, f"types that do: {types}.")
    return int(left), int(right)


def _options(word: _Word) -> tuple[TcpOption, ...]:
    """What stands between < and >."""
    options = tuple(_option(word, " ".join(part.split())) for part in word.text[1:-1].split(","))
    size = sum(map(_option_size, options))
    if size > 40:
        raise _WrongError(word, f"the options take {size} bytes, a TCP header has room for 40")
    return options


def _option(word: _Word, text: str) -> TcpOption:
    form = _OPTIONS.get(text.partition(" ")[0])
    found = form and form[0].fullmatch(text)
    if not form or not found:
        shown = _Word(text, word.column)
        what = f"{shown} is no TCP option" if text else "an option is missing"
        raise _WrongError(word, what, _OPTIONS_HINT)
    values = tuple(int(number) for number in _NUMBER.findall(" ".join(found.groups())))
    for value in values:
        if value > form[2]:
            raise _WrongError(word, f"{value} in `{text}` is more than {form[2]}")
    return TcpOption(text.partition(" ")[0], values)


def _option_size(option: TcpOption) -> int:
    return _OPTIONS[option.kind][1] + (4 * len(option.values) if option.kind == "sack" else 0)


def _check_size(word: _Word, version: int, span: Span, options: tuple[TcpOption, ...]) -> None:
    """An IP packet has at most 65,535 bytes; the header of IPv6 does not count."""
    headers = (20 if version == 4 else 0) + 20 + -(-sum(map(_option_size, options)) // 4) * 4
    if headers + span.length > 0xFFFF:
        raise _WrongError(word, f"{span.length} bytes do not fit: there is room for {0xFFFF - headers}")


# Building frames.


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that scapy has to say, when it is imported too, reaches the user."""
    logger = logging.getLogger("scapy")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class _Builder:
    """Builds frames one after the other, and remembers the segments that an ICMP error may quote."""

    def __init__(self, transcript: Transcript) -> None:
        self._version = transcript.version
        self._addresses = ADDRESSES[transcript.version]
        self._initial = dict(zip(PORTS, transcript.initial, strict=True))
        self._counts: Counter[str] = Counter()
        self._sent: dict[tuple[str, Span], bytes] = {}
        # Any: not every scapy says what its types are.
        self._inet: Any = import_module("scapy.layers.inet")
        self._inet6: Any = import_module("scapy.layers.inet6")
        self._l2: Any = import_module("scapy.layers.l2")

    def frame(self, step: Segment | IcmpError | End) -> bytes:
        """The Ethernet frame of a step."""
        if isinstance(step, End):
            return self._arp()
        packet = self._segment(step) if isinstance(step, Segment) else self._icmp(step)
        kind = 0x0800 if self._version == 4 else 0x86DD
        return bytes(self._l2.Ether(src=_MACS[step.sender], dst=_MACS[step.receiver], type=kind)) + packet

    def _arp(self) -> bytes:
        """A frame that belongs to no flow: the client asks for the router."""
        mac, addresses = _MACS["client"], ADDRESSES[4]
        ethernet = self._l2.Ether(src=mac, dst="ff:ff:ff:ff:ff:ff", type=0x0806)
        ends = {"psrc": addresses["client"], "pdst": addresses["router"]}
        return bytes(ethernet / self._l2.ARP(op=1, hwsrc=mac, hwdst="00:00:00:00:00:00", **ends))

    def _segment(self, step: Segment) -> bytes:
        """The IP packet of a segment, which can be quoted from now on."""
        header = self._ip(step.sender, step.receiver, TCP, step.ttl, self._id_of(step))
        packet = bytes(header / self._tcp(step))
        self._sent[step.sender, step.span] = packet
        return packet

    def _tcp(self, step: Segment) -> Any:
        """The TCP header and payload of a segment."""
        header = self._inet.TCP(
            sport=PORTS[step.sender],
            dport=PORTS[step.receiver],
            seq=self._number(step.sender, step.span.begin),
            ack=0 if step.ack is None else self._number(step.receiver, step.ack),
            flags=step.flags,
            window=step.window,
            options=[self._option(step.receiver, option) for option in step.options],
        )
        return header / (b"x" * step.span.length) if step.span.length else header

    def _icmp(self, step: IcmpError) -> bytes:
        """The IP packet of an ICMP error: 8 bytes of header, and the quote."""
        protocol = _ICMP[self._version]
        header = self._ip(step.sender, step.receiver, protocol, step.ttl, self._id_of(step))
        quote = self._quote(step.receiver, step.quoted)
        message = struct.pack("!BBHI", step.type, step.code, 0, step.mtu) + quote
        if self._version == 4:
            checksum = self._inet.checksum(message)
        else:
            checksum = self._inet6.in6_chksum(protocol, header / message, message)
        return bytes(header / (message[:2] + struct.pack("!H", checksum) + message[4:]))

    def _quote(self, sender: str, span: Span) -> bytes:
        """The last packet of this sender with these bytes, or one that was never sent."""
        packet = self._sent.get((sender, span))
        if packet is None:
            flags = Flag.SYN if span == Span(0, 0) else Flag.ACK
            invented = Segment(0, 0, sender, _OTHER[sender], flags, Span(span.begin, min(span.length, 1400)))
            packet = bytes(self._ip(sender, invented.receiver, TCP, _TTL, 0) / self._tcp(invented))
        return packet[: _QUOTED[self._version]]

    def _ip(self, sender: str, receiver: str, protocol: int, ttl: int, ip_id: int) -> Any:
        """The IP header; scapy fills in lengths and checksums."""
        ends = {"src": self._addresses[sender], "dst": self._addresses[receiver]}
        if self._version == 6:
            return self._inet6.IPv6(**ends, nh=protocol, hlim=ttl)
        flags = "DF" if protocol == TCP else 0
        return self._inet.IP(**ends, proto=protocol, ttl=ttl, id=ip_id, flags=flags)

    def _id_of(self, step: Segment | IcmpError) -> int:
        """The IP ID: given, or the next one of this sender, never 0."""
        if step.ip_id is not None:
            return step.ip_id
        self._counts[step.sender] += 1
        return (_FIRST_IDS[step.sender] + self._counts[step.sender] - 2) % 0xFFFF + 1

    def _number(self, sender: str, relative: int) -> int:
        """A sequence number of ``sender`` as it is on the wire."""
        return (self._initial[sender] + relative) % _MODULUS

    def _option(self, receiver: str, option: TcpOption) -> tuple[str, Any]:
        """An option as scapy wants it."""
        match option.kind:
            case "nop" | "eol":
                return option.kind.upper(), None
            case "sackOK":
                return "SAckOK", b""
            case "TS":
                return "Timestamp", option.values
            case "sack":
                return "SAck", tuple(self._number(receiver, value) for value in option.values)
            case "mss":
                return "MSS", option.values[0]
        return "WScale", option.values[0]
