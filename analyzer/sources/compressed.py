"""Captures compressed with gzip, xz, zstd or lz4 (frame format), recognised by their first bytes.

The compressed data is given to the libraries piece by piece. A piece is small enough that its output is
bounded whatever the file claims, and that little is lost where a library raises: it then keeps back what it
had decompressed of that piece.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Generator
from typing import NamedTuple, Protocol

from analyzer.errors import UserError
from analyzer.sources.reading import Window

MAX_WINDOW = 128 << 20
"""Bytes of earlier output that the data may refer to. `zstd -d` has the same limit, `xz -9` needs half."""

_SHARE = 1024
"""A piece is at most one part in so many of the data before it: byte by byte at first, then ever more."""

_DAMAGED = (
    "what could be decompressed before it was read, and some of that may be wrong already. Copy or record it "
    "again."
)
_TOO_LARGE = f"refers back over more than {MAX_WINDOW >> 20} MiB, which is the limit"


_ZEROS = 4096
"""Bytes that are looked at together behind a member: many, but not the whole rest for every member."""


class _BadDataError(Exception):
    """The compressed data is damaged, or asks too much; says how."""


class _Member(Protocol):
    """Decompresses one member (gzip), stream (xz) or frame (zstd, lz4); raises _BadDataError."""

    @property
    def eof(self) -> bool:
        """Whether its end was reached."""

    def wants(self, before: int) -> int:
        """Bytes to be given next, when the file has ``before`` bytes before them; never 0."""

    def decompress(self, data: bytes) -> bytes:
        """The output of that many bytes, or of fewer at the end of the file."""

    def unused(self) -> int:
        """How many of the last bytes given stand behind the end."""


class _Library(Protocol):
    """What zlib, lzma and lz4 have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Plain:
    """A member that takes pieces of any length, up to ``most``."""

    def __init__(self, library: _Library, most: int, error: type[Exception]) -> None:
        self._library = library
        self._most = most
        self._error = error

    @property
    def eof(self) -> bool:
        return self._library.eof

    def wants(self, before: int) -> int:
        """See _Member."""
        return min(1 + before // _SHARE, self._most)

    def decompress(self, data: bytes) -> bytes:
        """See _Member."""
        try:
            return self._library.decompress(data)
        except self._error as error:
            raise _BadDataError(_said(error)) from None

    def unused(self) -> int:
        """See _Member."""
        return len(self._library.unused_data or b"")


class _ZstdFrame:
    """A frame of zstd (RFC 8878, section 3.1), or a skippable one.

    Four bytes can become 128 KiB, and the library has no bound for its output: so it is given block by block.
    """

    def __init__(self) -> None:
        import zstandard

        self.eof = False
        self._zstd = zstandard
        self._library = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()
        self._parts = self._frame()
        self._wanted = next(self._parts)
        self._output = b""

    def wants(self, before: int) -> int:
        """See _Member."""
        return self._wanted

    def decompress(self, data: bytes) -> bytes:
        """See _Member."""
        self._output = b""
        if len(data) == self._wanted:
            try:
                self._wanted = self._parts.send(data)
            except StopIteration:
                self.eof = True
            except self._zstd.ZstdError as error:
                raise _BadDataError(_said(error)) from None
        return self._output

    def unused(self) -> int:
        """See _Member."""
        return 0

    def _frame(self) -> Generator[int, bytes, None]:
        """Asks for the bytes of the frame's next part, again and again, up to its end."""
        start = yield 5
        if start[0] >> 4 == 5 and start[1:4] == _SKIPPABLE:
            left = int.from_bytes(start[4:] + (yield 3), "little")
            while left:
                left -= len((yield min(left, 65_536)))
            return
        head = start + (yield self._zstd.frame_header_size(start) - 5)
        told = self._zstd.get_frame_parameters(head)
        if told.window_size > MAX_WINDOW:
            raise _BadDataError(_TOO_LARGE)
        self._library.decompress(head)
        last = False
        while not last:
            block = yield 3
            header = int.from_bytes(block, "little")
            last, repeated, size = bool(header & 1), header >> 1 & 3 == 1, header >> 3
            self._output = self._library.decompress(block)
            if size:
                self._output += self._library.decompress((yield 1 if repeated else size))
        if told.has_checksum:
            self._library.decompress((yield 4))


def _said(error: Exception) -> str:
    """What a library says is wrong, without the name of the function."""
    text = str(error).rpartition(": ")[2]
    return _TOO_LARGE if text == "Memory usage limit exceeded" else text


_SKIPPABLE = b"\x2a\x4d\x18"
"""Behind a byte 50 to 5F (hexadecimal): a frame to be skipped, as pzstd writes it first."""


def _gzip() -> _Member:
    return _Plain(zlib.decompressobj(31), 8192, zlib.error)  # 31: gzip with its header and check sum


def _xz() -> _Member:
    library = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_WINDOW + (1 << 20))
    return _Plain(library, 1024, lzma.LZMAError)


def _lz4() -> _Member:
    import lz4.frame  # type: ignore[import-untyped]  # it ships no type hints

    return _Plain(lz4.frame.LZ4FrameDecompressor(), 65_536, RuntimeError)


class Compression(NamedTuple):
    """A way to compress: its name, and what begins a member."""

    name: str
    begin: Callable[[], _Member]


_COMPRESSIONS = (
    (b"\x1f\x8b", Compression("gzip", _gzip)),
    (b"\xfd7zXZ\x00", Compression("xz", _xz)),
    (b"\x28\xb5\x2f\xfd", Compression("zstd", _ZstdFrame)),
    (b"\x04\x22\x4d\x18", Compression("lz4", _lz4)),
    *((bytes([first]) + _SKIPPABLE, Compression("zstd", _ZstdFrame)) for first in range(0x50, 0x60)),
)


def compression_of(start: bytes) -> Compression | None:
    """How a file is compressed that starts with these bytes, six if it has so many; None if it is not."""
    return next((found for magic, found in _COMPRESSIONS if start.startswith(magic)), None)


class Decompressed:
    """The stream of what a compressed file holds (see reading.Compressed); the file is read to its end.

    ``failure`` is what it raised, or will raise once all that was decompressed before has been taken.
    """

    def __init__(self, window: Window, compression: Compression) -> None:
        self.kind = compression.name
        self.cut_short = False
        self.failure: Exception | None = None
        self._window = window
        self._begin = compression.begin
        self._member: _Member | None = compression.begin()
        self._output = memoryview(b"")
        self._ended = False

    @property
    def offset(self) -> int:
        """Bytes of the compressed file that were taken."""
        return self._window.position + self._window.begin

    def readinto(self, buffer: memoryview, /) -> int:
        """Fills the buffer, or as much of it as there is. Raises OSError, and UserError for damaged data."""
        count = 0
        while count < len(buffer) and (self._output or self._more()):
            part = self._output[: len(buffer) - count]
            buffer[count : count + len(part)] = part
            self._output = self._output[len(part) :]
            count += len(part)
        if self.failure and not count:
            raise self.failure
        return count

    def close(self) -> None:
        """Closes the compressed file."""
        self._window.stream.close()

    def _more(self) -> bool:
        """Decompresses until there is output; False where there will be none."""
        try:
            while not (self._output or self._ended or self.failure):
                self._step()
        except OSError as error:
            self.failure = error
            self._window.begin = self._window.end  # what is left is less than a piece; ``offset`` tells where
        return bool(self._output)

    def _step(self) -> None:
        """Decompresses one piece."""
        if self._member is None:
            self._skip_zeros()
            if self._ended:
                return
            self._member = self._begin()
        at = self.offset
        piece = self._take(self._member.wants(at))
        if not piece:
            self._ended = self.cut_short = True
            return
        try:
            self._output = memoryview(self._member.decompress(piece))
        except _BadDataError as error:
            self.failure = self._damage(at, str(error))
            return
        if self._member.eof:
            self._window.begin -= self._member.unused()
            self._member = None

    def _take(self, count: int) -> bytes:
        """The next bytes of the file, fewer at its end."""
        window = self._window
        while window.end - window.begin < count and window.fill(count):
            pass
        piece = window.buffer[window.begin : min(window.begin + count, window.end)].tobytes()
        window.begin += len(piece)
        return piece

    def _skip_zeros(self) -> None:
        """Skips what some media fill a file up with; notes where it ends."""
        window = self._window
        while window.begin < window.end or window.fill():
            others = window.buffer[window.begin : min(window.begin + _ZEROS, window.end)] != 0
            if others.any():
                window.begin += int(others.argmax())
                return
            window.begin += len(others)
        self._ended = True

    def _damage(self, at: int, what: str) -> UserError:
        """The message for what is wrong with the piece at ``at``."""
        where = f"{self._window.name}: byte {at}"
        if what == _TOO_LARGE:
            hint = f"decompress it first, with the program {self.kind} and a higher limit."
            return UserError("unsupported-capture", where, f"the {self.kind} data {what}", hint)
        return UserError("damaged-capture", where, f"the {self.kind} data is damaged ({what})", _DAMAGED)
