"""What is said on stderr."""

from __future__ import annotations

import click

from analyzer.reports.printable import printable


def complain(message: object) -> None:
    """One message of the command; a UserError's hint stays on a line of its own."""
    for number, line in enumerate(str(message).split("\n")):
        click.echo(f"{'' if number else 'errnoscope: '}{printable(line)}", err=True)
