"""Where a run keeps what its tasks hand to each other: a directory, or a URL that fsspec can write to.

A name stands for all of its bytes or is not there: they are written under another name first. So whoever is
killed in the middle leaves nothing that could be taken for a result.
"""

from __future__ import annotations

import errno
import os
import pickle
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from analyzer.errors import UserError
from analyzer.sources.apart import use_without_scapy
from analyzer.sources.remote import is_url

Given = TypeVar("Given")

_PAUSES = (0.2, 1.0, 3.0)
"""Seconds before something is tried once more: storage fails now and then."""
_FOR_EVER = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT)
"""Failures that no waiting mends."""


@dataclass(frozen=True, slots=True)
class Store:
    """Named bytes at ``place``, a directory or a URL. All methods raise UserError where that fails."""

    place: str

    def write(self, name: str, data: bytes) -> None:
        """Keep these bytes."""
        self._tried(lambda: self._write(name, data), name)

    def read(self, name: str) -> bytes:
        """The bytes of that name."""
        return self._tried(lambda: self._read(name), name)

    def has(self, name: str) -> bool:
        """Whether there is something of that name."""
        if is_url(self.place):
            return self._tried(lambda: bool(self._remote()[0].exists(self._at(name))), name)
        return Path(self._at(name)).exists()

    def put(self, name: str, value: Any) -> None:
        """Keep a Python value."""
        self.write(name, pickle.dumps(value, pickle.HIGHEST_PROTOCOL))

    def get(self, name: str) -> Any:
        """The value of that name. It was written by ourselves: who can write here can run code as we do."""
        return pickle.loads(self.read(name))  # noqa: S301  (as said)

    def remove(self, name: str) -> None:
        """Forget it; nothing happens where it is gone already."""
        try:
            if is_url(self.place):
                self._remote()[0].rm_file(self._at(name))
            else:
                Path(self._at(name)).unlink(missing_ok=True)
        except Exception:  # each driver has its own
            return

    def _at(self, name: str) -> str:
        return f"{self.place.rstrip('/')}/{name}"

    def _write(self, name: str, data: bytes) -> None:
        if is_url(self.place):
            self._remote()[0].pipe_file(self._at(name), data)  # of an object all bytes appear at once
            return
        path = Path(self._at(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with aside.open("wb") as file:
                file.write(data)
            os.replace(aside, path)  # noqa: PTH105  (it replaces on every system)
        finally:
            aside.unlink(missing_ok=True)

    def _read(self, name: str) -> bytes:
        if is_url(self.place):
            return bytes(self._remote()[0].cat_file(self._at(name)))
        return Path(self._at(name)).read_bytes()

    def _remote(self) -> tuple[Any, str]:
        use_without_scapy(self.place)
        import fsspec.core  # type: ignore[import-untyped]  # it ships no type hints

        found: tuple[Any, str] = fsspec.core.url_to_fs(self.place)
        return found

    def _tried(self, call: Callable[[], Given], name: str) -> Given:
        for pause in (*_PAUSES, None):
            try:
                return call()
            except Exception as error:  # each driver has its own
                if pause is None or getattr(error, "errno", None) in _FOR_EVER:
                    raise self._said(name, error) from None
                time.sleep(pause)
        raise AssertionError

    def _said(self, name: str, error: Exception) -> UserError:
        where = self._at(name)
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            hint = "make room, or name another place with --work; with --resume what is done is kept."
            return UserError("work-full", where, "no room is left where the run keeps its columns", hint)
        text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        hint = "see whether all workers can read and write there; with --resume what is done is kept."
        return UserError("work-failed", where, f"it cannot be read or written: {text}", hint)
