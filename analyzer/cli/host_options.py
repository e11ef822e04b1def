"""``--client-os --server-os --set``: what is known of the machines at the two ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from analyzer.errors import UserError
from analyzer.model.flow import SIDES
from analyzer.model.host import DEFAULT_HOST, Host
from analyzer.model.rule import SYSTEMS


def host_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the three options, as its parameter ``hosts``: client and server."""

    @click.option("--client-os", **_system("client"))
    @click.option("--server-os", **_system("server"))
    @click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="[END:]NAME=VALUE",
        help="A setting of both ends, or of one (client:, server:), that differs from the default: "
        "tcp_retries2=8. May be repeated.",
    )
    @wraps(command)
    def with_hosts(
        *arguments: Any, client_os: str, server_os: str, settings: Sequence[str], **others: Any
    ) -> Any:
        return command(*arguments, hosts=_hosts((client_os, server_os), settings), **others)

    return with_hosts


def _system(side: str) -> dict[str, Any]:
    return {
        "type": click.Choice(SYSTEMS, case_sensitive=False),
        "default": DEFAULT_HOST.system,
        "show_default": True,
        "metavar": "SYSTEM",
        "help": f"The {side}s run {', '.join(SYSTEMS[:-1])} or {SYSTEMS[-1]}.",
    }


def _hosts(systems: tuple[str, str], settings: Sequence[str]) -> tuple[Host, Host]:
    known: tuple[dict[str, float], dict[str, float]] = ({}, {})
    for text in settings:
        ends, name, value = _split(text)
        meant = [_meant(systems[end], name) for end in ends]
        if not any(meant):
            raise _unknown(text, name, [systems[end] for end in ends])
        for end, (full, limits) in ((end, found) for end, found in zip(ends, meant, strict=True) if found):
            known[end][full] = _number(text, value, limits)
    return (
        Host(systems[0], tuple(sorted(known[0].items()))),
        Host(systems[1], tuple(sorted(known[1].items()))),
    )


def _split(text: str) -> tuple[tuple[int, ...], str, str]:
    """The ends that are meant, the name, the value."""
    assigned, sign, value = text.partition("=")
    end, colon, name = assigned.rpartition(":")
    if not sign or not name or (colon and end not in SIDES):
        hint = "tcp_retries2=8, client:tcp_retries2=8 or server:tcp_retries2=8"
        raise UserError("bad-setting", f"--set {text}", "this is no setting", hint)
    return ((SIDES.index(end),) if colon else (0, 1)), name.strip(), value.strip()


def _table(system: str) -> dict[str, Any]:
    from analyzer.data import load

    table: dict[str, Any] = load(f"profiles/{system}")["settings"]
    return table


def _meant(system: str, name: str) -> tuple[str, dict[str, Any]] | None:
    """A setting's own name and its limits, for what somebody wrote."""
    table = _table(system)
    folded = name.casefold().removeprefix(table["prefix"])
    return next((item for item in table["names"].items() if item[0].casefold() == folded), None)


def _unknown(text: str, name: str, systems: Sequence[str]) -> UserError:
    from analyzer.matching.diagnostics import did_you_mean

    names = [known for system in dict.fromkeys(systems) for known in _table(system)["names"]]
    hint = did_you_mean(name, names) or f"known ones: {', '.join(names)}"
    what = f"there is no setting `{name}` on {' or '.join(dict.fromkeys(systems))} that is known here"
    return UserError("unknown-setting", f"--set {text}", what, hint)


def _number(text: str, value: str, limits: dict[str, Any]) -> float:
    least, most = limits["least"], limits["most"]
    if not (_DIGITS.fullmatch(value) and least <= int(value) <= most):
        what = f"its value is a whole number from {least} to {most}"
        unit = _UNITS.get(limits.get("unit_s", 0), "")
        raise UserError("bad-setting", f"--set {text}", f"{what}{unit}")
    return int(value)


_DIGITS = re.compile(r"\d{1,12}", re.ASCII)
_UNITS = {0.001: ", in milliseconds"}
