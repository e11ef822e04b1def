"""What is refused before any work is done: options that would do nothing, files that cannot be read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from analyzer.errors import UserError


def without_effect(option: str, needs: str) -> UserError:
    """What is said of an option that does nothing without another one."""
    return UserError("no-effect", option, f"does nothing without {needs}", f"add {needs}, or leave it out.")


def refuse_what_is_no_file(where: str, path: str, hint: str) -> None:
    """Raises UserError where ``path`` is no file, or pipe, that can be read; ``hint``: whence to get one."""
    try:
        mode = Path(path).stat().st_mode
        is_file = stat.S_ISREG(mode) or stat.S_ISFIFO(mode)
        is_closed = not os.access(path, os.R_OK)
    except PermissionError:
        is_file = is_closed = True
    except (OSError, ValueError):
        raise UserError("no-such-file", where, "there is no such file", hint) from None
    if not is_file:
        raise UserError("no-such-file", where, "this is no file", hint)
    if is_closed:
        hint = "run as its owner, or have it made readable."
        raise UserError("no-permission", where, "reading it is not permitted", hint)
