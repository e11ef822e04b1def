"""WebSocket, once HTTP has switched to it: whether an end closed it by a Close frame. RFC 6455 section 5."""

from __future__ import annotations

from analyzer.model.talk import Said, Talk

_CLOSE = 0x88  # FIN and opcode 8
_MASKED, _LONGEST = 0x80, 125  # RFC 6455 section 5.5: a control frame carries no more
_MASK = 4


def said_goodbye(talk: Talk) -> bool:
    """The last words of one end are a Close frame: nothing is due any more (RFC 6455 section 5.5.1)."""
    return _ends_in_close(talk.client, masked=True) or _ends_in_close(talk.server, masked=False)


def _ends_in_close(said: Said, *, masked: bool) -> bool:
    flag, header = (_MASKED, 2 + _MASK) if masked else (0, 2)
    last = said.last
    return any(
        last[-header - length :][:2] == bytes((_CLOSE, flag | length))
        for length in range(min(_LONGEST, len(last) - header) + 1)
    )
