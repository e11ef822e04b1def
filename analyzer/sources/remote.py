"""Captures behind a URL, in object storage, on a web server or another machine: by fsspec and its drivers.

They are imported when a URL is read, and never beside scapy (see ``apart``). Credentials are found where each
driver looks for them.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from analyzer.errors import UserError
from analyzer.sources.apart import use_without_scapy

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_MAGIC = re.compile(r"[*?\[]")
_WEB_MAGIC = re.compile(r"[*\[]")
"""In the address of a web page a question mark begins its query."""

_WEB = ("http", "https")
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "abfs": "az",
    "abfss": "az",
    "adl": "az",
    "http": "http",
    "https": "http",
    "sftp": "sftp",
    "ssh": "sftp",
}
"""The extra of this project that installs the driver of a protocol."""

_SMALL = 1 << 20
"""Up to so many bytes somebody wants the beginning only: nothing is read ahead."""
_LEAST = 64 << 10
_BLOCK = 8 << 20
"""Bytes of a request: the time until an answer comes is spread over many of them."""
_AHEAD = 4
"""Blocks that wait to be taken at most."""

_PAUSES = (0.5, 2.0)
"""Seconds before a block is asked for once more: storage fails now and then."""
_SILENCE = 60.0
"""Seconds without a byte after which a web server has failed."""

_OBJECTS = ("s3", "gs", "az")

_NO_PERMISSION = (401, 403)
_MISSING = (404, 410)


def is_url(name: str) -> bool:
    """Whether this names something that fsspec reads, not a path of this machine."""
    return bool(_URL.match(name))


def is_whole(url: str) -> bool:
    """Whether a file of that storage is there whole or not at all: objects are, files that grow are not."""
    return _EXTRAS.get(_scheme(url)) in _OBJECTS


def has_magic(url: str) -> bool:
    """Whether this is a pattern."""
    return bool((_WEB_MAGIC if _scheme(url) in _WEB else _MAGIC).search(url))


def without_password(url: str) -> str:
    """The same with *** in the place of a password, if there is one."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that are no address: the driver says so
        return url
    name, mark, _ = parts.netloc.rpartition("@")[0].partition(":")
    if not mark:
        return url
    return urlunsplit(parts._replace(netloc=f"{name}:***@{parts.netloc.rpartition('@')[2]}"))


class Place:
    """A URL and the file system that it is of. Raises UserError where that cannot be had."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, self._path = _filesystem(url)

    def is_directory(self) -> bool:
        """Whether it stands for what is below it; on the web that is told by its end. Raises UserError."""
        if _scheme(self.url) in _WEB or self.url.endswith("/"):
            return self.url.endswith("/")
        return bool(self._told(self._files.info, self._path).get("type") == "directory")

    def size(self) -> int:
        """Bytes of the file, 0 where nobody says. Raises UserError."""
        return int(self._told(self._files.info, self._path).get("size") or 0)

    def version(self) -> str:
        """Another one where the file has changed, as far as the storage tells. Raises UserError."""
        return str(self._told(self._files.ukey, self._path))

    def below(self) -> list[tuple[str, int]]:
        """URLs and sizes of all files in and below the directory, by name. Raises UserError."""
        self._files.invalidate_cache()
        return self._listed(self._told(self._files.find, self._path, detail=True))

    def matching(self) -> tuple[list[tuple[str, int]], list[str]]:
        """Files that match the pattern, with sizes, and the directories that do. Raises UserError."""
        self._files.invalidate_cache()
        found = self._told(self._files.glob, self._path, detail=True)
        folders = [name for name, about in found.items() if about.get("type") == "directory"]
        return self._listed(found), sorted(f"{self._url(name).rstrip('/')}/" for name in folders)

    @property
    def gives_parts(self) -> bool:
        """Whether the file can be read from anywhere in it: not every web server does that."""
        return _scheme(self.url) not in _WEB

    def part(self, begin: int, end: int) -> bytes:
        """Some bytes of the file. Raises UserError."""
        return bytes(self._told(self._files.cat_file, self._path, start=begin, end=end))

    def open(self, begin: int = 0) -> Ahead:
        """Opens the file, to be read from there on. Raises UserError."""
        options: dict[str, Any] = {"block_size": _BLOCK, "cache_type": "none"}
        if _scheme(self.url) in _WEB:
            options["block_size"] = 0  # one answer that is read as it comes: not every server gives parts
        return Ahead(self._told(self._files.open, self._path, "rb", **options), begin)

    def _listed(self, found: dict[str, Any]) -> list[tuple[str, int]]:
        files = {name: about for name, about in found.items() if about.get("type") != "directory"}
        return [(self._url(name), int(files[name].get("size") or 0)) for name in sorted(files)]

    def _url(self, name: str) -> str:
        return str(self._files.unstrip_protocol(name))

    def _told(self, call: Any, *arguments: Any, **options: Any) -> Any:
        """What the driver gives; what it raises, said as a person can use it."""
        try:
            return call(*arguments, **options)
        except Exception as error:  # each driver has its own
            raise _said(self.url, error) from None


class Ahead:
    """A file whose blocks a thread asks for before they are wanted: see Stream.

    Small reads at its beginning ask for as much as they want, as who only looks what it is does.
    """

    def __init__(self, file: Any, begin: int = 0) -> None:
        if begin:
            file.seek(begin)
        self._file = file
        self._size = getattr(file, "size", None)
        self._taken = begin
        self._left = memoryview(b"")
        self._blocks: queue.Queue[bytes] = queue.Queue(_AHEAD)
        self._thread: threading.Thread | None = None
        self._over = False
        self._ended = False
        self._failure: OSError | None = None

    def readinto(self, buffer: memoryview, /) -> int:
        """Fills the buffer, or as much of it as there is. Raises OSError, once what came before is taken."""
        count = 0
        while count < len(buffer):
            if not self._left:
                self._left = memoryview(self._next(len(buffer) - count))
                if not self._left:
                    break
            part = self._left[: len(buffer) - count]
            buffer[count : count + len(part)] = part
            self._left = self._left[len(part) :]
            count += len(part)
        if self._failure and not count:
            raise self._failure
        return count

    def close(self) -> None:
        """Gives the file back; a request that is under way is not waited for."""
        self._over = True
        with suppress(queue.Empty):
            while True:
                self._blocks.get_nowait()
        if self._thread is None:
            self._close()

    def _next(self, wanted: int) -> bytes:
        """The next bytes, none at the end, or where there is a failure."""
        if self._ended:
            return b""
        if self._thread is None and wanted > _SMALL:
            self._thread = threading.Thread(target=self._run, name="read ahead", daemon=True)
            self._thread.start()
        block = self._blocks.get() if self._thread else self._block(max(wanted, _LEAST))
        self._ended = not block
        return block

    def _run(self) -> None:
        """What the thread does."""
        block = b"-"
        while block and not self._over:
            block = self._block(_BLOCK)
            self._blocks.put(block)
        self._close()

    def _block(self, wanted: int) -> bytes:
        """So many bytes, or fewer; none at the end, and where they cannot be had: then with ``_failure``."""
        try:
            return self._asked(wanted)
        except OSError as error:
            self._failure = error
            return b""

    def _asked(self, wanted: int) -> bytes:
        """Asks for so many bytes, more than once where that helps. Raises OSError."""
        for pause in (*_PAUSES, None):
            try:
                block: bytes = self._file.read(wanted)
                break
            except (FileNotFoundError, PermissionError) as error:
                raise OSError(error.errno or 0, _text(error)) from None
            except Exception as error:  # each driver has its own
                if pause is None or not self._size:  # where the size is not known it is a stream that is over
                    raise OSError(0, _text(error)) from None
                time.sleep(pause)
        self._taken += len(block)
        if not block and self._size and self._taken < self._size:
            raise OSError(0, f"the file has {self._size:,} bytes, and no more than {self._taken:,} came")
        return block

    def _close(self) -> None:
        with suppress(Exception):
            self._file.close()


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def _filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path on it. Raises UserError."""
    use_without_scapy(url)
    try:
        import fsspec.core  # type: ignore[import-untyped]  # it ships no type hints

        return fsspec.core.url_to_fs(url, **_options(url))  # type: ignore[no-any-return]
    except ImportError:
        raise UserError("no-driver", url, _no_driver(url), _how_to_install(url)) from None
    except Exception as error:  # each driver has its own
        raise _said(url, error) from None


def _options(url: str) -> dict[str, Any]:
    """What the driver is to do unlike its habit."""
    if _scheme(url) not in _WEB:
        return {}
    import aiohttp

    # Its habit is to give up after five minutes, whatever came in them.
    return {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=None, sock_read=_SILENCE)}}


def _no_driver(url: str) -> str:
    return f"what reads {_scheme(url)}:// is not installed"


def _how_to_install(url: str) -> str:
    extra = _EXTRAS.get(_scheme(url))
    if extra:
        return f"pip install 'errnoscope[{extra}]'"
    return f"install fsspec (pip install fsspec) and its driver for {_scheme(url)}://."


def _said(url: str, error: Exception) -> UserError:
    """The message for what a driver raised before there was anything to read."""
    error = _behind(error)
    text, status = _text(error), getattr(error, "status", None)
    if isinstance(error, ImportError):
        return UserError("no-driver", url, _no_driver(url), _how_to_install(url))
    if isinstance(error, ValueError) and "rotocol" in text:
        known = ", ".join(sorted(f"{name}://" for name in _EXTRAS))
        return UserError(
            "no-driver", url, f"nothing reads {_scheme(url)}://", f"there are {known} and others."
        )
    if isinstance(error, FileNotFoundError) or status in _MISSING:
        what = "there is no such file, directory or bucket"
        return UserError("no-such-file", url, what, "look for a typing error in the URL.")
    if isinstance(error, PermissionError) or status in _NO_PERMISSION or "redentials" in text:
        hint = "credentials are looked for where the storage's own tools look: environment, profile, key."
        return UserError("no-permission", url, f"reading it is not permitted ({text})", hint)
    hint = "see whether the address is right and the network in order."
    return UserError("unreadable-file", url, f"it cannot be read: {text}", hint)


def _behind(error: Exception) -> Exception:
    """What went wrong on the web, of which its driver says that there is no such file, whatever it is."""
    cause = error.__cause__
    if isinstance(cause, OSError) or (isinstance(cause, Exception) and hasattr(cause, "status")):
        return cause
    return error


def _text(error: BaseException) -> str:
    """What an exception says, in one short line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = (error.strerror if isinstance(error, OSError) else None) or (lines[0] if lines else "")
    return text[:200] or type(error).__name__


def opened(url: str, begin: int = 0) -> Ahead:
    """The file behind the URL, to be read from there on. Raises UserError."""
    return Place(url).open(begin)


def hidden(url: str, below: str) -> bool:
    """Whether a file is hidden, or in a hidden directory below this one."""
    return "/." in f"/{url.removeprefix(below.rstrip('/')).lstrip('/')}"
