"""Opens a capture file by what is in it, whatever its name says."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

from analyzer.errors import UserError
from analyzer.model.blocks import MAX_FRAMES
from analyzer.model.capture import Capture
from analyzer.sources.compressed import Decompressed, compression_of
from analyzer.sources.mapped import MappedWindow
from analyzer.sources.pcap_file import PcapSource, is_pcap
from analyzer.sources.pcapng_blocks import is_pcapng
from analyzer.sources.pcapng_file import PcapngSource
from analyzer.sources.pipe import NAME, PATH, Pipe, standard_input
from analyzer.sources.reading import PIECE, CaptureSource, Stream, Window
from analyzer.sources.remote import is_url, opened

__all__ = ["CaptureSource", "open_capture", "open_stream"]

_SUPPORTED = "pcap and pcapng files can be read, also compressed with gzip, xz, zstd or lz4."
_ONCE = "decompress it first: only one compression is undone."

# First bytes, what such a file is, what to do.
_COMPRESSED = (
    (b"BZh", "bzip2", "bzip2 -dc"),
    (b"PK\x03\x04", "zip", "unzip -p"),
)
_FOREIGN = (
    (b"snoop\x00\x00\x00", "a snoop capture"),
    (b"GMBU", "a Network Monitor capture"),
    (b"RTSS", "a Network Monitor capture"),
    (b"TRSNIFF", "a Sniffer capture"),
    (b"XCP\x00", "a NetXRay capture"),
)

_LOOK = 512
"""Bytes by which is said what a file is that is no capture."""

_HEADER = 28
"""Bytes that the header of a capture has, whatever its format."""

_OPEN_ERRORS = {
    errno.ENOENT: ("no-such-file", "there is no such file", "look for a typing error in the path."),
    errno.ENOTDIR: ("no-such-file", "a part of the path is no directory", "look for a typing error in it."),
    errno.EISDIR: ("not-a-file", "this is a directory", "name the capture files that are in it."),
    errno.EACCES: (
        "no-permission",
        "reading it is not permitted",
        "run as its owner, or have it made readable.",
    ),
    errno.EPERM: (
        "no-permission",
        "reading it is not permitted",
        "run as its owner, or have it made readable.",
    ),
}


def open_capture(
    path: str, index: int, *, max_frames: int = MAX_FRAMES, piece: int = PIECE, mapped: bool = False
) -> CaptureSource:
    """Opens the capture file ``path``, pcap or pcapng by its first bytes, and reads its header.

    ``-`` is standard input; a URL is read by fsspec. The file may be compressed with gzip, xz, zstd or lz4.
    index: what FrameBlock.capture is to be; max_frames: frames of a block at most; piece: bytes read at once;
    mapped: map it, where that can be: only for a process that may die of it, see ``sources.mapped``.
    Raises UserError where the file cannot be opened, is empty, no capture, or ends inside its header.
    """
    try:
        stream = standard_input() if path == PATH else _file(path)
    except OSError as error:
        raise _cannot_open(NAME if path == PATH else path, error) from None
    except ValueError:
        hint = "a path cannot contain a zero byte."
        raise UserError("no-such-file", repr(path), "this cannot be the name of a file", hint) from None
    return open_stream(stream, path, index, max_frames=max_frames, piece=piece, mapped=mapped)


def _file(path: str) -> Stream:
    """The file, the named pipe, or what is behind the URL."""
    if is_url(path):
        return opened(path)
    file = Path(path).open("rb", buffering=0)  # noqa: SIM115  (the source closes it)
    return file if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else Pipe(file)


def open_stream(
    stream: Stream,
    path: str,
    index: int,
    *,
    max_frames: int = MAX_FRAMES,
    piece: int = PIECE,
    live: bool = False,
    mapped: bool = False,
) -> CaptureSource:
    """As open_capture, of an open stream that is read from here on; ``path`` is its name in messages.

    ``live``: it goes on until somebody ends it, wherever that is; ``mapped``: as for open_capture.

    The stream belongs to the source, and is closed when UserError is raised.
    """
    name = NAME if path == PATH else path
    try:
        window = _window(stream, piece, name, mapped=mapped)
        window.live = live
        return _maybe_compressed(window, Capture(path, ""), index, max_frames, piece)
    except OSError as error:
        stream.close()
        raise _cannot_open(name, error) from None
    except UserError as error:
        stream.close()
        where = name if error.where == path else error.where
        raise UserError(error.reference, where, error.what, error.hint) from None


def _window(stream: Stream, piece: int, name: str, *, mapped: bool) -> Window:
    if mapped and isinstance(stream, io.FileIO):
        return MappedWindow(stream, piece, name)
    return Window(stream, piece, name)


def _maybe_compressed(
    window: Window, capture: Capture, index: int, max_frames: int, piece: int
) -> CaptureSource:
    """The source for the window, or for what is compressed in it: of one compression, not of two."""
    window.fill_to(6)
    compression = compression_of(_start(window))
    if compression is None:
        return _source(window, capture, index, max_frames)
    stream = Decompressed(window, compression)
    inside = Window(stream, piece, window.name, stream)
    try:
        return _source(inside, capture, index, max_frames)
    except UserError as error:
        raise _said_of_inside(error, inside, stream) from None


def _source(window: Window, capture: Capture, index: int, max_frames: int) -> CaptureSource:
    """The source for what the first bytes in the window say that this is."""
    window.fill_to(4)
    start = _start(window)
    if len(start) >= 4 and is_pcap(start):
        capture.format = "pcap"
        return PcapSource(capture, window, index, max_frames)
    if len(start) >= 4 and is_pcapng(start):
        capture.format = "pcapng"
        return PcapngSource(capture, window, index, max_frames)
    window.fill_to(_LOOK)
    raise _no_capture(capture.path, _start(window), inside=window.compressed is not None)


def _start(window: Window) -> bytes:
    """What of the beginning is in the window."""
    return bytes(window.buffer[: min(window.end, _LOOK)])


def _said_of_inside(error: UserError, window: Window, stream: Decompressed) -> UserError:
    """What the message is to be where the file was compressed."""
    if error is stream.failure:
        hint = "copy or record it again." if error.reference == "damaged-capture" else error.hint
        return UserError(error.reference, error.where, error.what, hint)
    if stream.cut_short and window.end < _HEADER:
        what = f"the {stream.kind} data ends early, at byte {stream.offset}, inside the header of a capture"
        hint = "whoever wrote it was stopped too early: record it again."
        return UserError("capture-cut-short", window.name, what, hint)
    what = f"decompressed ({stream.kind}), {error.what}"
    return UserError(error.reference, window.name, what, error.hint)


def _no_capture(path: str, start: bytes, *, inside: bool) -> UserError:
    """Says what the file seems to be instead; inside: it was decompressed."""
    if not start:
        hint = "whoever was to write it wrote nothing: record it again."
        return UserError("empty-file", path, "the file is empty", hint)
    again = compression_of(start) if inside else None
    if again:
        return UserError("not-a-capture", path, f"the file is compressed once more ({again.name})", _ONCE)
    for magic, name, command in _COMPRESSED:
        if start.startswith(magic):
            hint = _ONCE if inside else f"decompress it first: {command} {Path(path).name} > capture.pcap"
            return UserError("compressed-capture", path, f"the file is compressed ({name})", hint)
    for magic, name in _FOREIGN:
        if start.startswith(magic):
            hint = f"convert it first: editcap -F pcapng {Path(path).name} capture.pcapng"
            return UserError("unsupported-capture", path, f"the file is {name}", hint)
    if len(start) < 4:
        return UserError("not-a-capture", path, f"the file has only {len(start)} bytes", _SUPPORTED)
    what = "the file is text, not a capture" if _is_text(start) else "the file is not a capture"
    return UserError("not-a-capture", path, f"{what} (it begins with {start[:8].hex(' ')})", _SUPPORTED)


def _is_text(start: bytes) -> bool:
    """Whether nothing in the first bytes is a control character that text does not have."""
    return not any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in start)


def _cannot_open(path: str, error: OSError) -> UserError:
    """The message for an error of open() or of the first read()."""
    unknown = ("unreadable-file", f"it cannot be read: {error.strerror or os.strerror(error.errno or 0)}", "")
    reference, what, hint = _OPEN_ERRORS.get(error.errno or 0, unknown)
    return UserError(reference, path, what, hint)
