"""Takes passwords and tokens out of what is shown."""

from __future__ import annotations

import re

HIDDEN = "***"

_NAMES = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|auth(?:orization)?|credentials?"
    r"|signature|sig|session|sid"
)
_PATTERNS = (
    re.compile(rf"(?i)([?&;][^=&\s]*(?:{_NAMES})[^=&\s]*=)[^&\s#]+"),  # of a URL's query
    re.compile(r"(?i)(\w+://[^\s:/@]*:)[^\s@/]+(?=@)"),  # user:password@host
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)\S+"),
    re.compile(r"(?i)(\bauth\s+)\S.*"),  # Redis AUTH [user] password
    re.compile(rf"(?i)(\b(?:{_NAMES})\b\s*(?:=|:|\s)\s*)(?:'[^']*'?|\"[^\"]*\"?)"),  # of SQL and settings
    re.compile(r"(?i)(\bidentified\s+(?:with\s+\S+\s+)?by\s+)(?:'[^']*'?|\"[^\"]*\"?)"),  # MySQL
    re.compile(rf"(?i)(\b(?:{_NAMES})=)[^\s&;,]+"),  # of a connection string
)


def without_secrets(text: str) -> str:
    """The same line with ``***`` in the place of what looks like a secret."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text
