"""Facts about systems and programs, as YAML with their sources: errno numbers, profiles, log texts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parent
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is twenty times faster


@cache
def load(name: str) -> Any:
    """Return the content of a data file: ``load("errno")``, ``load("profiles/linux")``.

    It is read once and shared by all callers, who must not change it.
    """
    text = (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - either loader is a safe one
