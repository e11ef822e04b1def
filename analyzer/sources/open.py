"""Opens a capture file by what is in it, whatever its name says."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from analyzer.errors import UserError
from analyzer.model.blocks import MAX_FRAMES
from analyzer.model.capture import Capture
from analyzer.sources.pcap_file import PcapSource, is_pcap
from analyzer.sources.pcapng_file import PcapngSource, is_pcapng
from analyzer.sources.reading import PIECE, CaptureSource, Stream, Window

__all__ = ["CaptureSource", "open_capture", "open_stream"]

_SUPPORTED = "pcap and pcapng files can be read."

# First bytes, what such a file is, what to do.
_COMPRESSED = (
    (b"\x1f\x8b", "gzip", "gzip -dc"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
    (b"\xfd7zXZ\x00", "xz", "xz -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc"),
    (b"PK\x03\x04", "zip", "unzip -p"),
)
_FOREIGN = (
    (b"snoop\x00\x00\x00", "a snoop capture"),
    (b"GMBU", "a Network Monitor capture"),
    (b"RTSS", "a Network Monitor capture"),
    (b"TRSNIFF", "a Sniffer capture"),
    (b"XCP\x00", "a NetXRay capture"),
)

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


def open_capture(path: str, index: int, *, max_frames: int = MAX_FRAMES, piece: int = PIECE) -> CaptureSource:
    """Opens the capture file ``path``, pcap or pcapng by its first bytes, and reads its header.

    index: what FrameBlock.capture is to be; max_frames: frames of a block at most; piece: bytes read at once.
    Raises UserError where the file cannot be opened, is empty, no capture, or ends inside its header.
    """
    try:
        stream = Path(path).open("rb", buffering=0)  # noqa: SIM115  (the source closes it)
    except OSError as error:
        raise _cannot_open(path, error) from None
    except ValueError:
        hint = "a path cannot contain a zero byte."
        raise UserError("no-such-file", repr(path), "this cannot be the name of a file", hint) from None
    return open_stream(stream, path, index, max_frames=max_frames, piece=piece)


def open_stream(
    stream: Stream, path: str, index: int, *, max_frames: int = MAX_FRAMES, piece: int = PIECE
) -> CaptureSource:
    """As open_capture, of an open stream that is read from here on; ``path`` is its name in messages.

    The stream belongs to the source, and is closed when UserError is raised.
    """
    try:
        return _source(Window(stream, piece), path, index, max_frames)
    except OSError as error:
        stream.close()
        raise _cannot_open(path, error) from None
    except UserError:
        stream.close()
        raise


def _source(window: Window, path: str, index: int, max_frames: int) -> CaptureSource:
    """The source for what the first bytes in the window say that this is."""
    window.fill_to(4)
    start = bytes(window.buffer[: window.end])
    if len(start) >= 4 and is_pcap(start):
        return PcapSource(Capture(path, "pcap"), window, index, max_frames)
    if len(start) >= 4 and is_pcapng(start):
        return PcapngSource(Capture(path, "pcapng"), window, index, max_frames)
    raise _no_capture(path, start)


def _no_capture(path: str, start: bytes) -> UserError:
    """Says what the file seems to be instead."""
    if not start:
        hint = "whoever was to write it wrote nothing: record it again."
        return UserError("empty-file", path, "the file is empty", hint)
    for magic, name, command in _COMPRESSED:
        if start.startswith(magic):
            hint = f"decompress it first: {command} {Path(path).name} > capture.pcap"
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
    return not any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in start[:512])


def _cannot_open(path: str, error: OSError) -> UserError:
    """The message for an error of open() or of the first read()."""
    unknown = ("unreadable-file", f"it cannot be read: {error.strerror or os.strerror(error.errno or 0)}", "")
    reference, what, hint = _OPEN_ERRORS.get(error.errno or 0, unknown)
    return UserError(reference, path, what, hint)
