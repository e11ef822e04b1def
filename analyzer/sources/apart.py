"""What must not share a process, for its licence: see ARCHITECTURE.md, "Licences and their boundaries".

scapy is GPL-2.0-only. Drivers of remote storage, and the libraries of a cluster, are partly under Apache-2.0,
which GPL-2.0 does not allow beside it. Neither is imported for the other's work; this makes sure of it.
"""

from __future__ import annotations

import sys

from analyzer.errors import UserError

_used: dict[str, None] = {}
"""What such libraries were used for by us; what else a process has loaded is its owner's affair."""


def use_without_scapy(where: str) -> None:
    """Before a library is imported that scapy must not be beside; ``where`` names what needs it.

    Raises UserError where scapy is there already.
    """
    if "scapy" in sys.modules:
        what = "scapy is loaded in this process, and its licence forbids the libraries that this needs"
        raise UserError("not-together", where, what, "do the two in processes of their own.")
    _used[where] = None


def use_scapy() -> None:
    """Before scapy is imported. Raises UserError where libraries are in use that it must not be beside."""
    if _used:
        what = "scapy's licence forbids the libraries that are in use in this process"
        raise UserError("not-together", next(iter(_used)), what, "do the two in processes of their own.")
