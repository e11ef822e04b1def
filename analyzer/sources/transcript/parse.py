"""The text of a transcript becomes values; every wrong line is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.errors import UserError
from analyzer.model.columns import Flag
from analyzer.sources.transcript.grammar import (
    COMMENT,
    DATAGRAM_HINT,
    ESCAPE,
    FLAGS,
    HAS_MTU,
    ICMP_CODES,
    ICMP_ERRORS,
    LENGTH,
    LONGEST,
    LONGEST_DATAGRAM,
    NUMBER,
    OPTIONS,
    OPTIONS_HINT,
    SEGMENT_HINT,
    SPAN,
    TIME,
    UNPRINTABLE,
    WORD,
)
from analyzer.sources.transcript.steps import (
    ADDRESSES,
    INITIAL,
    MODULUS,
    MTU,
    OTHER,
    PORTS,
    STEP,
    TTL,
    WINDOW,
    Datagram,
    End,
    IcmpError,
    Segment,
    Span,
    Step,
    TcpOption,
    Transcript,
)


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
        mistakes.append(Mistake(1, 1, 1, "there is no packet in it", SEGMENT_HINT))
    if mistakes:
        raise TranscriptError(name, mistakes)
    return Transcript(name, reader.version, tuple(reader.steps), initial, reader.port)


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a line, or what is in one pair of brackets; ``column`` counts from 1."""

    text: str
    column: int

    def __str__(self) -> str:
        shown = UNPRINTABLE.sub("?", self.text)
        return f"`{shown[:37]}...`" if len(shown) > 40 else f"`{shown}`"


def _words(line: str) -> list[_Word]:
    """The words of a line without its comment."""
    said = COMMENT.match(line)
    return [_Word(found[0], found.start() + 1) for found in WORD.finditer(said[0] if said else "")]


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
        self.port = PORTS["server"]
        self.steps: list[Step] = []
        self._clock: int | None = None
        self._begun = False

    def read(self, line: _Line) -> None:
        """Raises _WrongError where the line makes no sense."""
        first, self._begun = not self._begun, True
        if line.peek() == "ipv6":
            self._read_version(line, first)
            return
        if line.peek() == "port":
            self._read_port(line)
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

    def _read_port(self, line: _Line) -> None:
        word = line.take("")
        if self.steps:
            raise _WrongError(word, "`port` must stand before the first packet: it is meant for all of them")
        number = line.take("the server's port")
        line.finish()
        if not NUMBER.fullmatch(number.text) or not 0 < int(number.text) <= 0xFFFF:
            raise _WrongError(number, f"{number} is no port", "write for example: port 53")
        self.port = int(number.text)

    def _read_time(self, line: _Line) -> int:
        """The time of this line, from that of the line before."""
        if line.peek().startswith("+"):
            word = line.take("")
            found = TIME.fullmatch(word.text)
            if found is None:
                raise _WrongError(word, f"{word} is not a time", "write seconds after the line before: +0.2")
            passed = int(found[1] or 0) * 10**9 + int((found[2] or "").ljust(9, "0"))
            self._clock = (self._clock or 0) + passed
            if self._clock > LONGEST:
                raise _WrongError(word, "that is more than 1,000,000,000 seconds after the beginning")
        else:
            self._clock = 0 if self._clock is None else self._clock + STEP
        return self._clock

    def _read_packet(self, line: _Line, time: int) -> Segment | Datagram | IcmpError:
        sender = line.take("a sender", SEGMENT_HINT)
        if sender.text not in ADDRESSES[4]:
            hint = "one of client, server and router; a line may also be `end` or, as the first one, `ipv6`."
            raise _WrongError(sender, f"{sender} is nobody who sends", hint)
        arrow = line.take("`>`", SEGMENT_HINT)
        if arrow.text != ">":
            hint = "it stands between sender and receiver: client > server"
            raise _WrongError(arrow, f"{arrow} stands where `>` should be", hint)
        receiver = line.take("a receiver", SEGMENT_HINT)
        if receiver.text not in OTHER or receiver.text == sender.text:
            hint = "packets go to client or server, and not to their own sender."
            raise _WrongError(receiver, f"{receiver} cannot be the receiver here", hint)
        if line.peek() == "icmp":
            line.take("")
            return self._read_icmp(line, time, sender.text, receiver.text)
        if sender.text == "router":
            raise _WrongError(sender, "a router sends nothing but icmp", _ICMP_HINT)
        if line.peek() == "udp":
            line.take("")
            return self._read_datagram(line, time, sender.text, receiver.text)
        return self._read_segment(line, time, sender.text, receiver.text)

    def _read_datagram(self, line: _Line, time: int, sender: str, receiver: str) -> Datagram:
        word = line.take("(LEN)", DATAGRAM_HINT)
        length = _length(word, word.text)
        values, brackets = self._read_fields(line, ("ttl", "id"), '"')
        text = _text(brackets.get('"'), length)
        ttl, ip_id = values.get("ttl", TTL), values.get("id")
        return Datagram(line.number, time, sender, receiver, length, ttl, ip_id, text)

    def _read_segment(self, line: _Line, time: int, sender: str, receiver: str) -> Segment:
        flags_word = line.take("flags", SEGMENT_HINT)
        flags = _flags(flags_word)
        span_word = line.take("SEQ:END(LEN)", SEGMENT_HINT)
        span = _span(span_word, span_word.text, SEGMENT_HINT)
        values, brackets = self._read_fields(line, ("ack", "win", "ttl", "id"), '<"')
        ack = values.get("ack")
        if (ack is not None) != bool(flags & Flag.ACK):
            what = "there is `ack`, but not the flag `.`" if ack is not None else "the flag `.` needs `ack`"
            raise _WrongError(flags_word, what, "ACK is written as flag and as number: S. 0:0(0) ack 1")
        options = _options(brackets["<"]) if "<" in brackets else ()
        _check_size(span_word, self.version, span, options)
        return Segment(
            line.number,
            time,
            sender,
            receiver,
            flags,
            span,
            ack,
            window=values.get("win", WINDOW),
            ttl=values.get("ttl", TTL),
            ip_id=values.get("id"),
            options=options,
            text=_text(brackets.get('"'), span.length),
        )

    def _read_icmp(self, line: _Line, time: int, sender: str, receiver: str) -> IcmpError:
        kind = line.take("a type of icmp", _ICMP_HINT)
        type_, code = self._type_and_code(line, kind)
        values, brackets = self._read_fields(line, ("mtu", "ttl", "id"), "[")
        if "[" not in brackets:
            raise _WrongError(kind, "the quoted [SEQ:END(LEN)] is missing", _ICMP_HINT)
        has_mtu = (type_, code) == HAS_MTU[self.version]
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
            _quoted(brackets["["]),
            mtu=values.get("mtu", MTU if has_mtu else 0),
            ttl=values.get("ttl", TTL),
            ip_id=values.get("id"),
        )

    def _type_and_code(self, line: _Line, word: _Word) -> tuple[int, int]:
        """From `3/1`, from the words of type and code, or from one of them if that says it all."""
        if "/" in word.text:
            return _numeric_type(word, self.version)
        types = ICMP_CODES[self.version]
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
        self, line: _Line, names: tuple[str, ...], kinds: str
    ) -> tuple[dict[str, int], dict[str, _Word]]:
        """What follows in any order: names with their numbers, at most one pair of brackets of each kind."""
        values: dict[str, int] = {}
        brackets: dict[str, _Word] = {}
        for word in line.rest():
            kind = word.text[0]
            if kind in kinds:
                if kind in brackets:
                    raise _WrongError(word, f"{word} is the second one")
                if len(word.text) < 2 or word.text[-1] != _CLOSING[kind]:
                    raise _WrongError(word, f"the `{kind}` is never closed")
                brackets[kind] = word
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
        largest = {"ttl": 0xFF, "ack": MODULUS - 1}.get(name.text, 0xFFFF)
        if name.text == "mtu" and self.version == 6:
            largest = MODULUS - 1
        smallest = -largest if name.text == "ack" else 0
        if not NUMBER.fullmatch(number.text) or not smallest <= int(number.text) <= largest:
            what = f"{number} is not a number from {smallest} to {largest}"
            raise _WrongError(number, f"{what}, as `{name.text}` needs it")
        return int(number.text)


_ICMP_HINT = "an ICMP error is written as: router > client  icmp unreachable host_unreachable [0:0(0)]"


_CLOSING = {"<": ">", "[": "]", '"': '"'}
_ESCAPED = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\", '"': b'"'}


def _text(word: _Word | None, length: int) -> bytes:
    """What a payload begins with, as it is written between quotation marks; what is left of it are `x`."""
    if not word:
        return b""
    parts = ESCAPE.split(word.text[1:-1])
    for plain in parts[::2]:
        if "\\" in plain or not plain.isascii():
            raise _WrongError(word, f"{word} has a character that is not written so", _TEXT_HINT)
    data = b"".join(
        part.encode() if not index % 2 else _ESCAPED.get(part) or bytes.fromhex(part[1:])
        for index, part in enumerate(parts)
    )
    if len(data) > length:
        raise _WrongError(word, f"the text has {len(data)} bytes, the packet {length}", _TEXT_HINT)
    return data


_TEXT_HINT = r'a text is written as: "GET / HTTP/1.1\r\n\x00", in ASCII, with \r \n \t \0 \\ \" and \xNN.'


def _one_of(names: Sequence[str] | dict[str, Any]) -> str:
    return f"possible: {', '.join(names)}."


def _flags(word: _Word) -> int:
    """The flags, each at most once."""
    flags = 0
    for letter in word.text:
        if letter not in FLAGS:
            hint = f"S SYN, F FIN, R RST, P PSH, . ACK, U URG, E ECE, W CWR. {SEGMENT_HINT}"
            raise _WrongError(word, f"{word} are no flags", hint)
        if flags & FLAGS[letter]:
            raise _WrongError(word, f"{word} has the flag `{letter}` twice")
        flags |= FLAGS[letter]
    return flags


def _span(word: _Word, text: str, hint: str) -> Span:
    """SEQ:END(LEN), whose numbers must agree."""
    found = SPAN.fullmatch(text.strip())
    if found is None:
        raise _WrongError(word, f"{word} is not SEQ:END(LEN)", hint)
    begin, end, length = map(int, found.groups())
    if begin + length != end:
        what = f"{begin} and {length} bytes make {begin + length}, not {end}"
        raise _WrongError(word, what, "SYN and FIN are not counted in it.")
    if abs(begin) >= MODULUS or length >= MODULUS:
        raise _WrongError(word, f"{word} is beyond what 32 bits can count")
    return Span(begin, length)


def _quoted(word: _Word) -> Span | int:
    """What stands between [ and ]: a segment, or a datagram."""
    text = word.text[1:-1].strip()
    if text.startswith("udp"):
        return _length(word, text.removeprefix("udp").strip())
    return _span(word, text, _ICMP_HINT)


def _length(word: _Word, text: str) -> int:
    """(LEN) of a datagram."""
    found = LENGTH.fullmatch(text)
    if found is None:
        raise _WrongError(word, f"{word} is not (LEN)", DATAGRAM_HINT)
    if int(found[1]) > LONGEST_DATAGRAM:
        raise _WrongError(word, f"a datagram has at most {LONGEST_DATAGRAM} bytes")
    return int(found[1])


def _numeric_type(word: _Word, version: int) -> tuple[int, int]:
    """`3/1`: type and code in numbers."""
    left, _, right = word.text.partition("/")
    if not (NUMBER.fullmatch(left) and NUMBER.fullmatch(right) and 0 <= int(right) <= 0xFF):
        raise _WrongError(word, f"{word} is not type/code in numbers", "write for example 3/1")
    if int(left) not in ICMP_ERRORS[version]:
        types = ", ".join(map(str, ICMP_ERRORS[version]))
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
    form = OPTIONS.get(text.partition(" ")[0])
    found = form and form[0].fullmatch(text)
    if not form or not found:
        shown = _Word(text, word.column)
        what = f"{shown} is no TCP option" if text else "an option is missing"
        raise _WrongError(word, what, OPTIONS_HINT)
    values = tuple(int(number) for number in NUMBER.findall(" ".join(found.groups())))
    for value in values:
        if value > form[2]:
            raise _WrongError(word, f"{value} in `{text}` is more than {form[2]}")
    return TcpOption(text.partition(" ")[0], values)


def _option_size(option: TcpOption) -> int:
    return OPTIONS[option.kind][1] + (4 * len(option.values) if option.kind == "sack" else 0)


def _check_size(word: _Word, version: int, span: Span, options: tuple[TcpOption, ...]) -> None:
    """An IP packet has at most 65,535 bytes; the header of IPv6 does not count."""
    headers = (20 if version == 4 else 0) + 20 + -(-sum(map(_option_size, options)) // 4) * 4
    if headers + span.length > 0xFFFF:
        raise _WrongError(word, f"{span.length} bytes do not fit: there is room for {0xFFFF - headers}")
