"""The command ``errnoscope``: reads the arguments, shows errors as a person can use them."""

from __future__ import annotations

import gc
import io
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from analyzer import __version__
from analyzer.cli.messages import complain, drop_output
from analyzer.errors import UserError, no_room

EXIT_BAD = 2
"""Bad use, or an input that could not be read."""

_TRACEBACK = "ERRNOSCOPE_TRACEBACK"

_COMMANDS = {
    "analyze": "Say which errno each end of a captured connection got, and why.",
    "live": "Say what fails on an interface while it happens.",
    "export": "Write every segment, flow and verdict as a row of a table.",
    "view": "Browse what failed in a capture, in the terminal.",
    "check": "Fail if something failed in captures: for builds and tests.",
    "explain": "Explain a rule, an errno, or a line of a log.",
    "rules": "List the rules, or test them against their samples.",
}


class _LazyGroup(click.Group):
    """Imports a command's module when it is used, so that ``--version`` and ``--help`` stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"analyzer.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches  # for mistakes only

            near = get_close_matches(name, _COMMANDS, n=1)
            hint = f"did you mean `errnoscope {near[0]}`?" if near else "`errnoscope --help` lists them."
            if Path(name).exists():
                hint = f"to read a capture: errnoscope analyze {shlex.quote(name)}"
            raise UserError("unknown-command", name, "there is no command of this name", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="Start with: errnoscope analyze CAPTURE.pcap",
)
@click.version_option(__version__, "-V", "--version", prog_name="errnoscope", message="%(prog)s %(version)s")
def cli() -> None:
    """Which errno did the application at each end get? Answers from packet captures."""


def run(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status. Raises neither for a user's mistake nor for a full disk."""
    # One thread is enough for what NumPy does here, and its import is twice as fast.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        result = cli.main(arguments, prog_name="errnoscope", standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        complain(error)
        return EXIT_BAD
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_BAD
    except click.ClickException as error:
        complain(_usage(error, sys.argv[1:] if arguments is None else arguments))
        return EXIT_BAD
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        return 130
    except (BrokenPipeError, SystemExit):  # click turns the one into the other, and raises no other
        drop_output()  # its reader has seen enough
        return 0
    except OSError as error:
        complain(f"{error.filename or 'stdout'}: {error.strerror or error}{_hint(error)}")
        if not error.filename:
            drop_output()
        return EXIT_BAD
    except Exception as error:  # whatever it is, a user gets a sentence and not a traceback
        if os.environ.get(_TRACEBACK):
            raise
        complain(
            f"internal error: {type(error).__name__}: {error}\n"
            f"hint: this is a bug of errnoscope; {_TRACEBACK}=1 shows where. Please report that."
        )
        return EXIT_BAD
    return result if isinstance(result, int) else 0


def _usage(error: click.ClickException, arguments: Sequence[str]) -> str:
    """What click has to say of the arguments, as all else is said."""
    names = [name for name in arguments[:1] if name in _COMMANDS]
    said = " ".join(error.format_message().split()).removesuffix(".")
    command = " ".join(["errnoscope", *names])
    return f"{': '.join([*names, said])}\nhint: `{command} --help` says how it is used."


def _hint(error: OSError) -> str:
    """What to do where something is not permitted or there is no room; empty for what is plain."""
    if hint := no_room(error):
        return f"\nhint: {hint}"
    if not isinstance(error, PermissionError):
        return ""
    return "\nhint: run as whoever may use it and the directories above, or have them made accessible."


def main() -> None:
    """Entry point of the command."""
    if sys.stdout is None:
        complain("stdout: it is closed")
        sys.exit(EXIT_BAD)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a sign is no reason to stop
    status = run()
    gc.freeze()  # else the interpreter's end looks for circles among all objects that are left
    sys.exit(status)
