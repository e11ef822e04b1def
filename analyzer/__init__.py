"""errnoscope: which errno did the application at each end of a captured connection get, and why.

``analyze`` is imported on first use, so that ``import analyzer`` costs nothing.
"""

from __future__ import annotations

from analyzer.errors import UserError

__version__ = "0.1.0"
__all__ = ["UserError", "__version__", "analyze"]

TYPE_CHECKING = False  # that of `typing`, whose import is most of the time that this module would take
if TYPE_CHECKING:
    from typing import Any

    from analyzer.pipeline.files import analyze


def __getattr__(name: str) -> Any:
    """Import the engine when somebody asks for it (PEP 562)."""
    if name == "analyze":
        from analyzer.pipeline.files import analyze

        return analyze
    raise AttributeError(f"module 'analyzer' has no attribute {name!r}")
