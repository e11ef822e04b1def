"""Text from outside that a terminal shows and does not obey."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""The text with what a terminal would act on (escape sequences, bells, bidi marks) as ``\x1b``.

    Line ends too: they could forge a line of a report. Bytes of a file name that are no text: ``\xff``.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


def _escaped(sign: str) -> str:
    """A control character, or a byte as ``os.fsdecode`` keeps it, in ASCII."""
    code = ord(sign)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(sign)[1:-1]
