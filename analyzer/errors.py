"""What a user is told when an input or an option is wrong. Imports nothing of the project."""

from __future__ import annotations

import errno
import shlex
from pathlib import Path


class UserError(Exception):
    """Something that the user can mend; never shown as a traceback.

    ``reference`` is a stable kebab-case name of the kind of error, ``where`` the file, option or
    ``file:line:column``, ``what`` says what is wrong there, ``hint`` what to do about it.
    """

    def __init__(self, reference: str, where: str, what: str, hint: str = "") -> None:
        super().__init__(reference, where, what, hint)
        self.reference = reference
        self.where = where
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        message = f"{self.where}: {self.what}" if self.where else self.what
        return f"{message}\nhint: {self.hint}" if self.hint else message


def unwritable(where: str, error: OSError) -> UserError:
    """What is said where something cannot be written; ``where`` is the option or file that names it."""
    return UserError("unwritable", where, f"cannot be written: {error.strerror or error}", _mended(error))


def no_room(error: OSError) -> str:
    """What to do where a disk, or a user's share of it, is full; empty for all else."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "there is no room left: make some, or choose another place." if full else ""


def _mended(error: OSError) -> str:
    """What to do about it, by the name that the system refused; empty where nothing is known to help."""
    if hint := no_room(error):
        return hint
    if not isinstance(error.filename, str):
        return ""
    path = Path(error.filename)
    folders = list(path.parents)[::-1]
    if isinstance(error, FileNotFoundError):
        missing = next((folder for folder in folders if not folder.exists()), None)
        if missing:
            return f"there is no directory {missing}: mkdir -p {shlex.quote(str(path.parent))}"
        return f"no file can be made in {path.parent}: choose another place."
    if isinstance(error, NotADirectoryError):
        other = next((folder for folder in folders if not folder.is_dir()), path)
        return f"{other} is no directory: choose another place."
    if isinstance(error, IsADirectoryError):
        return "that is a directory: name a file in it."
    if isinstance(error, PermissionError):
        return "choose a place where you may write, or have this one made writable."
    return ""
