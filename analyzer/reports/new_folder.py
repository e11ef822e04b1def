"""A directory for what is written, made before any work is done."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from analyzer.errors import UserError, unwritable


class NewFolder:
    """A directory that is empty and can be written; made, with those above it, where there is none.

    ``where`` is the option that names it. Raises UserError where there is something else, or it cannot be.
    """

    def __init__(self, path: Path, where: str) -> None:
        self._made: list[Path] = []
        try:
            self._made = [folder for folder in (path, *path.parents) if not folder.exists()]
            if not self._made and not path.is_dir():
                hint = "name a new one, or an empty one."
                raise UserError("not-a-directory", where, "this is no directory", hint)
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise UserError("not-empty", where, "there is something in this directory", "name a new one.")
            with TemporaryFile(dir=path):  # what is permitted, only an attempt tells
                pass
        except OSError as error:
            self.give_up()
            raise unwritable(where, error) from error

    def give_up(self) -> None:
        """Remove what was made where nothing was written into it."""
        with suppress(OSError):
            for folder in self._made:
                folder.rmdir()
