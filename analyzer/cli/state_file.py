"""``--state FILE``: where a run that was stopped, or killed, goes on.

What is to be said is in the file before it is said, with the place in stdout where it will stand; so a run
that takes up the file knows what of it was said. The file is replaced as a whole. It is a pickle: whoever may
write it may have anything done.
"""

from __future__ import annotations

import json
import os
import pickle
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from analyzer import __version__
from analyzer.errors import UserError, unwritable

_MAGIC = "errnoscope.follow/1"
_PRIVATE = 0o600
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class Saved(NamedTuple):
    """What stood in the file: the state, and what is still to be said."""

    state: Any
    unsaid: bytes


class StateFile:
    """For one process at a time; ``settings`` are those with which alone a state can be gone on with."""

    def __init__(self, path: str, settings: Mapping[str, object]) -> None:
        self._path = Path(path)
        self._where = f"--state {path}"
        self._settings = {name: str(value) for name, value in settings.items()}
        self._serial = 0
        self._lock = self._locked()

    def load(self) -> Saved | None:
        """What is in the file, None where there is none yet."""
        try:
            with self._path.open("rb") as file:
                self._refuse_others(file)
                header = json.loads(file.readline())
                self._refuse_another(header)
                state = pickle.load(file)  # noqa: S301  (of this user, who alone may write it)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror}", "see whose it is.") from error
        except (ValueError, KeyError, EOFError, pickle.UnpicklingError, AttributeError, ImportError) as error:
            raise self._unusable("this is no state that can be gone on with", _ANEW) from error
        self._serial = header["serial"]
        unsaid = b"" if self._told() == self._serial else header["say"].encode("utf-8", "surrogateescape")
        return Saved(state, _unsaid(unsaid, header["place"]))

    def save(self, state: object, say: bytes) -> None:
        """The state by now, and what will be said then. The file is replaced."""
        self._serial += 1
        header = {
            "magic": _MAGIC,
            "version": __version__,
            "settings": self._settings,
            "serial": self._serial,
            "say": say.decode("utf-8", "surrogateescape"),
            "place": _place(),
        }
        line = json.dumps(header).encode() + b"\n"
        self._replace(self._path, line + pickle.dumps(state))

    def said(self) -> None:
        """What was to be said was said."""
        self._replace(self._marker, str(self._serial).encode(), sync=False)

    def close(self) -> None:
        """Let others use it."""
        self._lock.close()

    @property
    def _marker(self) -> Path:
        return self._path.with_name(f"{self._path.name}.said")

    def _told(self) -> int:
        try:
            return int(self._marker.read_text())
        except (OSError, ValueError):
            return 0

    def _replace(self, path: Path, data: bytes, *, sync: bool = True) -> None:
        part = path.with_name(f".{path.name}.part")
        try:
            part.unlink(missing_ok=True)  # left by a run that was killed, or laid there by somebody else
            with open(part, "xb", opener=lambda name, flags: os.open(name, flags, _PRIVATE)) as file:
                file.write(data)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise unwritable(self._where, error) from error

    def _locked(self) -> BinaryIO:
        path = self._path.with_name(f"{self._path.name}.lock")
        try:
            lock = path.open("ab")
        except OSError as error:
            raise unwritable(self._where, error) from error
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                what, hint = "another process uses it", "give each of them a file of its own."
                raise UserError("in-use", self._where, what, hint) from None
        return lock

    def _refuse_others(self, file: BinaryIO) -> None:
        """A pickle is as good as a program: others must not have written it."""
        if not hasattr(os, "getuid"):
            return
        about = os.fstat(file.fileno())
        if about.st_uid != os.getuid():
            raise self._unusable("it belongs to somebody else, and may have anything done", _ANEW)
        if about.st_mode & _OTHERS:
            hint = f"if nobody did: chmod 600 {self._path}"
            raise self._unusable("others may have written it, and what they like is done then", hint)

    def _refuse_another(self, header: Mapping[str, Any]) -> None:
        if header["magic"] != _MAGIC or header["version"] != __version__:
            raise self._unusable(f"errnoscope {header['version']} wrote it, this is {__version__}", _ANEW)
        for name, value in self._settings.items():
            if header["settings"].get(name) != value:
                hint = f"use the same options as before; {_ANEW}"
                raise self._unusable(f"it was begun with another {name}", hint)

    def _unusable(self, what: str, hint: str) -> UserError:
        return UserError("bad-state", self._where, what, hint)


_ANEW = "remove the file to begin anew, with all captures that are there."


def _place() -> list[int] | None:
    """Where stdout stands, if that is a file: device, inode, and its length."""
    try:
        about = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return None
    return [about.st_dev, about.st_ino, about.st_size] if stat.S_ISREG(about.st_mode) else None


def _unsaid(say: bytes, place: list[int] | None) -> bytes:
    """What of that does not stand in stdout yet; all of it where stdout cannot be looked into."""
    now = _place()
    if not say or place is None or now is None or place[:2] != now[:2] or now[2] < place[2]:
        return say
    try:
        with Path(f"/dev/fd/{sys.stdout.fileno()}").open("rb") as file:
            file.seek(place[2])
            there = file.read(len(say))
    except OSError:
        return say
    return say[len(there) :] if say.startswith(there) else say
