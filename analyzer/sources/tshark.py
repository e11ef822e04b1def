"""Where tshark is."""

from __future__ import annotations

import shutil

from analyzer.errors import UserError


def tshark(option: str) -> str:
    """The path of tshark. Raises UserError, naming the option that needs it, where it is missing."""
    program = shutil.which("tshark")
    if program is None:
        hint = "install tshark (Debian: apt-get install tshark)"
        raise UserError("no-tshark", option, "tshark is not installed", hint)
    return program
