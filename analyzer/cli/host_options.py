"""``--client-os --server-os --set --platform``: what is known of the machines at the two ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import click

from analyzer.errors import UserError
from analyzer.model.flow import SIDES
from analyzer.model.host import AUTO, DEFAULT_HOST, SYSTEMS, Host, Version, system_of


class _Said(NamedTuple):
    """A system, or AUTO, and its version."""

    system: str
    version: Version = ()


_SYSTEM = click.Choice([*SYSTEMS, AUTO], case_sensitive=False)


def _read_system(context: click.Context, parameter: click.Parameter, value: str) -> _Said:
    """The system and version in ``linux``, ``linux/5.10`` or ``auto``."""
    name, slash, version = value.partition("/")
    system = str(_SYSTEM.convert(name, parameter, context))
    if not slash:
        return _Said(system)
    if not re.fullmatch(r"\d{1,4}(\.\d{1,4}){0,2}", version, re.ASCII):
        raise click.BadParameter(f"{version!r} is no version; write linux/5.10")
    if system == AUTO or "versions" not in _profile(system):
        raise click.BadParameter(f"no versions of {system} are told apart here: leave /{version} out")
    return _Said(system, tuple(map(int, version.split("."))))


def host_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the four options, as its parameter ``hosts``: client and server."""

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
    @click.option(
        "--platform",
        "platforms",
        multiple=True,
        metavar="[END:]NAME",
        help="Whose errno numbers are printed, of both ends or of one: linux/mips. May be repeated. "
        "[default: those of the end's system]",
    )
    @wraps(command)
    def with_hosts(
        *arguments: Any,
        client_os: _Said,
        server_os: _Said,
        settings: Sequence[str],
        platforms: Sequence[str],
        **others: Any,
    ) -> Any:
        hosts = _hosts((client_os, server_os), settings, platforms)
        return command(*arguments, hosts=hosts, **others)

    return with_hosts


def _system(side: str) -> dict[str, Any]:
    return {
        "callback": _read_system,
        "default": DEFAULT_HOST.system,
        "show_default": True,
        "metavar": "SYSTEM[/VERSION]",
        "help": f"The {side}s run {', '.join(SYSTEMS[:-1])} or {SYSTEMS[-1]}; {AUTO}: what the SYN of each "
        "looks like, Linux where nothing tells. linux/5.10: its kernel.",
    }


def _hosts(said: tuple[_Said, _Said], settings: Sequence[str], platforms: Sequence[str]) -> tuple[Host, Host]:
    known: tuple[dict[str, float], dict[str, float]] = ({}, {})
    for text in settings:
        ends, name, value = _split_setting(text)
        meant = [_meant(said[end].system, name) for end in ends]
        if not any(meant):
            raise _unknown(text, name, [said[end].system for end in ends])
        for end, (full, limits) in ((end, found) for end, found in zip(ends, meant, strict=True) if found):
            known[end][full] = _number(text, value, limits)
    numbers = _platforms(platforms, said)
    client, server = (
        Host(said[end].system, tuple(sorted(known[end].items())), said[end].version, numbers[end])
        for end in range(len(SIDES))
    )
    return client, server


def _split_setting(text: str) -> tuple[tuple[int, ...], str, str]:
    """The ends that are meant, the name, the value."""
    assigned, sign, value = text.partition("=")
    ends, name = _split(assigned)
    if not sign or not name or not ends:
        hint = "tcp_retries2=8, client:tcp_retries2=8 or server:tcp_retries2=8"
        raise UserError("bad-setting", f"--set {text}", "this is no setting", hint)
    return ends, name, value.strip()


def _split(text: str) -> tuple[tuple[int, ...], str]:
    """The ends that are meant, none where there is no such end, and what is said of them."""
    end, colon, name = text.rpartition(":")
    if not colon:
        return (0, 1), name.strip()
    return ((SIDES.index(end),) if end in SIDES else ()), name.strip()


def _profile(system: str) -> dict[str, Any]:
    from analyzer.data import load

    data: dict[str, Any] = load(f"profiles/{system}")
    return data


def _meant(system: str, name: str) -> tuple[str, dict[str, Any]] | None:
    """A setting's own name and its limits, for what somebody wrote; with AUTO of any system."""
    for one in SYSTEMS if system == AUTO else (system,):
        table = _profile(one)["settings"]
        folded = name.casefold().removeprefix(table["prefix"])
        for item in table["names"].items():
            if item[0].casefold() == folded:
                return item[0], item[1]
    return None


def _unknown(text: str, name: str, systems: Sequence[str]) -> UserError:
    from analyzer.matching.diagnostics import did_you_mean

    told = dict.fromkeys(systems)
    of = [one for system in told for one in (SYSTEMS if system == AUTO else (system,))]
    names = [known for system in dict.fromkeys(of) for known in _profile(system)["settings"]["names"]]
    hint = did_you_mean(name, names) or f"known ones: {', '.join(dict.fromkeys(names))}"
    where = "" if AUTO in told else f" on {' or '.join(told)}"
    what = f"there is no setting `{name}`{where} that is known here"
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


def _platforms(texts: Sequence[str], said: tuple[_Said, _Said]) -> list[str]:
    """The platform of each end, empty where none was named."""
    found = [""] * len(SIDES)
    for text in texts:
        ends, name = _split(text)
        name = _known_platform(name, text)
        fitting = [end for end in ends if said[end].system in (AUTO, system_of(name))]
        if not fitting:
            what = (
                f"the end that is meant runs {' and '.join(dict.fromkeys(said[end].system for end in ends))}"
            )
            hint = "client:NAME and server:NAME name one end"
            raise UserError("bad-platform", f"--platform {text}", what if ends else "no such end", hint)
        for end in fitting:
            found[end] = name
    return found


def _known_platform(name: str, text: str) -> str:
    from analyzer.data import load
    from analyzer.matching.diagnostics import did_you_mean

    known: list[str] = load("errno")["platforms"]
    if name.casefold() in known:
        return name.casefold()
    hint = did_you_mean(name, known) or f"one of {', '.join(known)}"
    raise UserError("unknown-platform", f"--platform {text}", "there is no such platform", hint)
