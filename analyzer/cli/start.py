"""Entry point of the command. Ctrl-C ends it quietly from the beginning, also while modules are imported.

What ends it otherwise (SIGTERM, a terminal that is closed) lets it remove what it has not finished.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

SELDOM = (1_000_000, 20, 10)
"""Objects between two looks for circles that nobody needs any more. There are few, and with Python's own
numbers looking for them took half of the time where many flows fail, as what is found of them stays; with
50,000 still a quarter. A million objects that nobody needs take some 100 MB."""

_QUIT = b"errnoscope: interrupted\n", 130
"""What ``main.run`` says and returns."""


def main() -> None:
    """Run the command, and end the process with its exit status."""
    gc.set_threshold(*SELDOM)  # importing makes many objects as well
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else the caller has it ignored
    if is_ours:
        signal.signal(signal.SIGINT, _quit)
    from analyzer.cli.main import main as command

    sys.unraisablehook = _cannot_be_raised
    if is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) is signal.SIG_DFL:  # else the caller has it ignored
            signal.signal(number, _leave)
    try:
        command()
    except _Ended as error:
        sys.exit(error.status)
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, _quit)


def _quit(*_: object) -> None:
    os.write(2, _QUIT[0])
    os._exit(_QUIT[1])


class _Ended(BaseException):
    """A signal ended the command; ``status`` is that of a shell whose program was ended by it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


def _leave(number: int, _: object) -> None:
    raise _Ended(number)


def _cannot_be_raised(what: sys.UnraisableHookArgs) -> None:
    """Ctrl-C in the middle of an import or a finalizer would be shown as a traceback, and then forgotten."""
    if issubclass(what.exc_type, KeyboardInterrupt):
        _quit()
    sys.__unraisablehook__(what)
