"""Which files are meant: paths, globs that the shell left alone, directories; and when each file begins."""

from __future__ import annotations

import errno
import glob
import io
import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from analyzer.errors import UserError
from analyzer.model.blocks import MAX_FRAMES, FrameBlock
from analyzer.model.capture import INDEX_SCHEMA
from analyzer.sources.open import CaptureSource, open_capture, open_stream
from analyzer.sources.pipe import PATH
from analyzer.sources.reading import PIECE
from analyzer.sources.remote import Place, has_magic, hidden, is_url, without_password

if TYPE_CHECKING:
    from analyzer.sources.scapy_packets import ScapySource
    from analyzer.sources.tshark_source import TsharkSource

_PEEK = 65_536
"""Bytes read at once of a file of which only the first time stamp is wanted."""

_BEGINNING, _BEGINNING_BYTES = 4096, 1 << 20
"""Frames of a file by which is told whether it carries on another, and bytes read for them."""

_NO_CAPTURE = ("not-a-capture", "empty-file", "compressed-capture")
"""What a file in a directory may be without being missed."""

_NAMED = 5
"""Skipped files that are named."""

_LOOKS = 8
"""Remote files whose beginnings are asked for at a time."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file to be read, or a URL. ``first``: the time of its first frame in nanoseconds, None if not known.

    ``error`` is why it cannot be read; ``size`` in bytes, 0 where it is no file; ``given`` the open binary
    file or the iterable of packets that was given instead of a path, for which ``path`` is a name.
    ``decoder``: ``tshark`` where that reads it.
    """

    path: str
    first: int | None = None
    size: int = 0
    error: UserError | None = None
    given: Any = None
    decoder: str = ""


Named: TypeAlias = str | PathLike[str] | IO[bytes] | Iterable[Any]
"""What a capture is given as: a path, an open binary file, packets of scapy."""


def inputs(names: Sequence[Named], decoder: str = "") -> tuple[list[Input], list[str]]:
    """The files that the names mean, in their order, and sentences about what was left out.

    A directory means every capture below it, told by content; hidden files and directories and what is no
    file are left alone. A name that is no file may be a glob. Only if there are several files is the
    beginning of each read, so that ``first`` is known; never that of a pipe, which can be read but once.
    A file that is given twice, by whatever name, is there once. With ``decoder`` it is for that to say what
    is no capture, and no file is known to carry on another.
    Raises UserError for nothing: what is wrong with a name stands in its Input.
    """
    found: list[Input] = []
    notes: list[str] = []
    for number, given in enumerate(names, 1):
        if not isinstance(given, (str, PathLike)):
            found.append(_given(given, f" {number}" if len(names) > 1 else ""))
            continue
        name = fspath(given)
        if not name:
            found.append(Input(name, error=_NAMELESS))
        elif is_url(name):
            found.extend(_remote(name, notes))
        elif name != PATH and _is_directory(name):
            found.extend(_in_directory(name, notes))
        else:
            found.extend(_matching(name, notes))
    found = _once(found, notes)
    found = [one for one in found if not _is_own_index(one)] or found
    if decoder:
        return [_for_decoder(one, decoder) for one in found], notes
    return (_all_begun(found) if len(found) > 1 else found), notes


def _for_decoder(one: Input, decoder: str) -> Input:
    """The file, to be read by that."""
    if is_url(one.path) and not one.error:
        what, hint = f"{decoder} reads files of this machine only", "copy it here first."
        return replace(one, error=UserError("remote-file", one.path, what, hint))
    return replace(one, decoder="" if one.given is not None else decoder)


def _once(found: Sequence[Input], notes: list[str]) -> list[Input]:
    """Each file once, where it was given first; says in ``notes`` which were given again."""
    kept: dict[object, Input] = {}
    again: dict[str, None] = {}
    for number, one in enumerate(found):
        key: object = number
        if one.given is None and (is_url(one.path) or _size(one.path) is not None):
            key = one.path if is_url(one.path) else Path(one.path).resolve()
        if kept.setdefault(key, one) is not one:
            again[one.path] = None
    if again:
        more = f" and {len(again) - _NAMED:,} more" if len(again) > _NAMED else ""
        notes.append(f"Given more than once, read once: {', '.join(list(again)[:_NAMED])}{more}.")
    return list(kept.values())


def _given(given: Any, number: str) -> Input:
    """The Input for what is no path; ``number`` tells it from others without a name."""
    if isinstance(given, io.TextIOBase):
        what, hint = "this file is open as text", "open it as bytes: open(path, 'rb')."
        return Input(
            "text", error=UserError("not-a-capture", str(getattr(given, "name", "text")), what, hint)
        )
    if hasattr(given, "read"):
        name = getattr(given, "name", None)
        return Input(name if isinstance(name, str) else f"stream{number}", given=given)
    if hasattr(given, "results") and hasattr(given, "stop"):
        return _sniffed(given, number)
    if isinstance(given, Iterable):
        return Input(f"packets{number}", given=given)
    what, hint = f"this is of type {type(given).__name__}", "give a path, a binary file or packets of scapy."
    return Input("input", error=UserError("not-a-capture", f"capture{number}", what, hint))


def _sniffed(sniffer: Any, number: str) -> Input:
    """The packets that an AsyncSniffer of scapy has kept."""
    if sniffer.results is None:
        what, hint = "this sniffer has no results yet", "stop() or join() it, and have it store its packets."
        return Input("sniffer", error=UserError("not-a-capture", f"sniffer{number}", what, hint))
    return Input(f"packets{number}", given=sniffer.results)


def open_input(
    one: Input, index: int, *, max_frames: int = MAX_FRAMES, piece: int = PIECE, mapped: bool = False
) -> CaptureSource | ScapySource | TsharkSource:
    """Its source; ``index`` is what FrameBlock.capture is to be, ``mapped`` as for open_capture.

    Raises UserError.
    """
    if one.error:
        raise one.error
    if one.decoder:
        from analyzer.sources.tshark_source import TsharkSource  # starts processes, which few inputs need

        return TsharkSource(one.path, index, max_frames=max_frames)
    if hasattr(one.given, "read"):
        return open_stream(_Lent(one.given), one.path, index, max_frames=max_frames, piece=piece)
    if one.given is not None:
        from analyzer.sources.scapy_packets import ScapySource

        return ScapySource(one.given, one.path, index, max_frames=max_frames)
    return open_capture(one.path, index, max_frames=max_frames, piece=piece, mapped=mapped)


class _Lent:
    """Somebody else's open file: it is read from where it stands, and not closed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readinto(self, buffer: memoryview, /) -> int:
        """See Stream. Raises OSError also where the file is closed or gives text."""
        try:
            data = self._file.read(len(buffer)) or b""
        except ValueError as error:
            raise OSError(errno.EBADF, str(error)) from None
        if isinstance(data, str):
            raise OSError(errno.EINVAL, "it gives text, not bytes")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """It stays open."""


def beginning(one: Input) -> FrameBlock | None:
    """The first frames of a file, as many however it is read later; None where there are none."""
    try:
        with open_input(one, 0, max_frames=_BEGINNING, piece=_BEGINNING_BYTES) as source:
            return next(source.blocks(), None)
    except UserError:
        return None


def _is_directory(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # what it is cannot be seen from here; a zero byte
        return False


def _matching(name: str, notes: list[str]) -> Iterator[Input]:
    """The file of this name; else what it matches as a glob: files, and directories as a shell gives them."""
    if name == PATH or "\0" in name or os.path.lexists(name) or not glob.has_magic(name):
        yield Input(name, size=_size(name) or 0)
        return
    paths = sorted(glob.glob(name, recursive=True))  # noqa: PTH207  (Path's takes no absolute pattern)
    if "**" in name:  # it has matched what is in the directories as well
        paths = [path for path in paths if not Path(path).is_dir()]
    if not paths:
        yield Input(name, error=_no_match(name))
    for path in paths:
        if _is_directory(path):
            yield from _in_directory(path, notes)
        else:
            yield Input(path, size=_size(path) or 0)


_NAMELESS = UserError(
    "no-such-file", '""', "this is no name of a file", "is it a variable of the shell that is not set?"
)


def _no_match(name: str) -> UserError:
    hint = "quote it only if errnoscope is to look for the files itself."
    return UserError("no-such-file", name, "no file matches this pattern", hint)


def _remote(url: str, notes: list[str]) -> list[Input]:
    """The file behind the URL, the captures of the directory, or what the pattern matches."""
    shown = without_password(url)
    if shown != url:
        what = "a password in a URL would stand in every report"
        hint = "leave it out: the storage's own tools take it from variables, ~/.netrc, ~/.aws or a key."
        return [Input(shown, error=UserError("password-in-url", shown, what, hint))]
    try:
        place = Place(url)
        if has_magic(url):
            files, folders = place.matching()
            found = [Input(name, size=size) for name, size in files]
            for folder in [] if "**" in url else folders:
                found += _captures(folder, _below(Place(folder)), notes)
            return found or [Input(url, error=_no_match(url))]
        if place.is_directory():
            return _captures(url, _below(place), notes)
        return [Input(url, size=place.size())]
    except UserError as error:
        return [Input(url, error=error)]


def _below(place: Place) -> list[Input]:
    """Every file in a remote directory that is not hidden."""
    return [Input(name, size=size) for name, size in place.below() if not hidden(name, place.url)]


def _size(name: str) -> int | None:
    """Bytes of a regular file, None for anything else."""
    try:
        status = Path(name).stat()
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _in_directory(name: str, notes: list[str]) -> list[Input]:
    """The captures below a directory; says in ``notes`` which files are none."""
    unread: list[OSError] = []
    files = list(_files_in(name, unread))
    if _is_closed(name, unread):
        return [Input(name, error=_closed(name))]
    if unread:
        closed = ", ".join(str(error.filename) for error in unread[:_NAMED])
        notes.append(f"Directories that could not be opened: {closed}.")
    return _captures(name, files, notes)


def _files_in(name: str, unread: list[OSError]) -> Iterator[Input]:
    """Every file below a directory that is not hidden; ``unread`` gets why a directory cannot be opened."""
    for root, folders, names in os.walk(name, onerror=unread.append):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for file in sorted(names):
            path = str(Path(root, file))
            size = _size(path)
            if not file.startswith(".") and size is not None:
                yield Input(path, size=size)


def listed(name: str) -> list[Input]:
    """The files that a directory has, or that a pattern matches; none of them is looked into.

    Raises UserError where the directory cannot be read.
    """
    if is_url(name):
        place = Place(name)
        if has_magic(name):
            return [Input(path, size=size) for path, size in place.matching()[0]]
        return _below(place)
    if glob.has_magic(name) and not os.path.lexists(name):
        paths = sorted(glob.glob(name, recursive=True))  # noqa: PTH207  (Path's takes no absolute pattern)
        sizes = [(path, _size(path)) for path in paths]
        return [Input(path, size=size) for path, size in sizes if size is not None]
    unread: list[OSError] = []
    files = list(_files_in(name, unread))
    if _size(name) is not None:
        what = "this is a file, and a directory or a pattern (in quotation marks) is followed"
        raise UserError("not-a-directory", name, what, f"to read it: errnoscope analyze {shlex.quote(name)}")
    if _is_closed(name, unread):
        raise _closed(name)
    if not _is_directory(name):
        raise UserError("no-such-file", name, "there is no such directory", "look for a typing error in it.")
    return files


def _is_closed(name: str, unread: Iterable[OSError]) -> bool:
    """Whether this user may not look into that very directory."""
    return any(isinstance(error, PermissionError) and error.filename == name for error in unread)


def _closed(name: str) -> UserError:
    """What is said of a directory that this user may not look into."""
    hint = "run as its owner, or have it made readable."
    return UserError("no-permission", name, "this directory cannot be opened", hint)


def _captures(name: str, files: Sequence[Input], notes: list[str]) -> list[Input]:
    """Those of the files of a directory that are captures; says in ``notes`` which are none."""
    found: list[Input] = []
    skipped: list[str] = []
    for one in _all_begun([one for one in files if not _is_own_index(one)]):
        if one.error and one.error.reference in _NO_CAPTURE:
            skipped.append(one.path)
        else:
            found.append(one)
    if skipped:
        more = f" and {len(skipped) - _NAMED:,} more" if len(skipped) > _NAMED else ""
        notes.append(f"No captures, so skipped: {', '.join(skipped[:_NAMED])}{more}.")
    if not found:
        seen = f"{len(files):,} other files are in it" if files else "it has no files"
        hint = "name the directory that the captures are in."
        what = f"there is no capture in this directory; {seen}"
        return [Input(name, error=UserError("no-captures", name, what, hint))]
    return found


def _is_own_index(one: Input) -> bool:
    """Whether it is the index that --carve has written beside its captures: nobody misses that."""
    if one.given is not None or is_url(one.path) or not one.path.endswith(".json"):
        return False
    try:
        with Path(one.path).open("rb") as file:
            return INDEX_SCHEMA.encode() in file.read(len(INDEX_SCHEMA) + 40)
    except (OSError, ValueError):
        return False  # whoever opens it says so


def _all_begun(files: Sequence[Input]) -> list[Input]:
    """As ``begun`` makes each of them; many remote ones at a time."""
    if sum(is_url(one.path) for one in files) < 2:
        return [begun(one) for one in files]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_LOOKS) as threads:
        return list(threads.map(begun, files))


def begun(one: Input) -> Input:
    """With the time of its first frame, or with why it cannot be read."""
    known = one.error or one.given is not None or one.first is not None
    if known or one.path == PATH or (not is_url(one.path) and _size(one.path) is None):
        return one
    try:
        with open_capture(one.path, 0, max_frames=1, piece=_PEEK) as source:
            block = next(source.blocks(), None)
    except UserError as error:
        return Input(one.path, size=one.size, error=error)
    return Input(one.path, int(block.times[0]) or None if block else None, one.size)
