"""``errnoscope explain WORD...``: a rule, an errno, or what a log line means."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli.messages import complain
from analyzer.cli.rule_options import rule_dir_option
from analyzer.errors import UserError

if TYPE_CHECKING:
    from analyzer.model.log_line import LogLine
    from analyzer.model.rule import Rule

_MOST = 10
"""Different meanings of piped lines that are told in full."""


@click.command("explain", context_settings={"max_content_width": 80})
@click.argument("words", nargs=-1, required=True, metavar="WORD...")
@click.option(
    "--platform",
    default="",
    metavar="NAME",
    help="Where numbers are looked up: linux, linux/mips, freebsd, macos, windows; by default where they fit",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
@rule_dir_option
def command(words: tuple[str, ...], *, platform: str, output: str, folders: Sequence[Path]) -> int:
    """Explain a rule, an errno, or a line of a log.

    WORD is a rule's name or id, an errno's name or number (several: each is explained), or a whole line in
    quotation marks; - reads lines from standard input. Exit status 2 if a name or the line is not understood.

    \b
    Examples:
      errnoscope explain ECONNRESET
      errnoscope explain EPIPE ECONNRESET
      errnoscope explain 54 --platform macos
      errnoscope explain "curl: (52) Empty reply from server"
      journalctl -u nginx | errnoscope explain -
    """
    from analyzer.data import load
    from analyzer.matching.load import load_rules, rules_folder

    known = load("errno")["platforms"]
    if platform and platform not in known:
        from analyzer.matching.diagnostics import did_you_mean

        hint = did_you_mean(platform, known) or f"one of {', '.join(known)}"
        raise UserError("unknown-platform", f"--platform {platform}", "there is no such platform", hint)
    text = " ".join(words).strip()
    if not text:
        hint = "errnoscope explain ECONNRESET; a line of a log goes into quotation marks."
        raise UserError("not-understood", "explain", "there is nothing to explain in it", hint)
    rules = load_rules(rules_folder(), folders)
    if text == "-":
        return _lines(sys.stdin, rules, platform, output)
    told, unknown = _several(text, rules, platform)
    if not told:
        told = [_word(text, rules, platform) or _line(text, rules, platform)]
    if output == "json":
        _print_json([plain for plain, _ in told] if len(told) + len(unknown) > 1 else told[0][0])
    else:
        _print_text(told)
    for word in unknown:
        complain(_not_understood(word, rules))
    return 2 if unknown else 0


Told = tuple[dict[str, Any], Iterable[str]]
"""What is said, as plain values and as lines."""


_NAME = re.compile(r"(?:WSA)?E[A-Z][A-Z0-9]+|[a-z0-9]+(?:-[a-z0-9]+)+", re.ASCII)
"""What an errno's or a rule's name looks like."""


def _several(text: str, rules: Sequence[Rule], platform: str) -> tuple[list[Told], list[str]]:
    """Several words each of which is a rule or an errno, each one once; and those that only look like one.

    Empty if it is anything else, such as a line of a log.
    """
    words = list(dict.fromkeys(text.replace(",", " ").split()))
    if len(words) < 2:
        return [], []
    told = {word: _word(word, rules, platform) for word in words}
    unknown = [word for word, each in told.items() if not each]
    if unknown and not all(map(_NAME.fullmatch, words)):
        return [], []
    return [each for each in told.values() if each], unknown


def _word(text: str, rules: Sequence[Rule], platform: str) -> Told | None:
    """A rule, an errno or another word that is looked up as it is; None if it is something else."""
    from analyzer.data import load
    from analyzer.logs.errnos import by_text, foreign
    from analyzer.reports.log_text import errno_lines, plain_errno, topic_lines
    from analyzer.reports.rule_text import plain_rule, rule_lines

    folded = text.casefold()
    for rule in rules:
        if folded in (rule.name, rule.id.casefold()):
            if platform:
                what, hint = "a rule says what each system does", "leave --platform out."
                raise UserError("no-effect", f"--platform {platform}", what, hint)
            return plain_rule(rule), rule_lines(rule)
    known = load("errno")
    aliases = known["aliases"]["linux"]
    upper = text.upper().removeprefix("WSA")
    name = aliases.get(upper, upper)
    if name not in known["errno"]:
        name = by_text(text)
    if name:
        return plain_errno(name, rules, platform=platform), errno_lines(name, rules, platform)
    number = re.fullmatch(r"(?:os ?|wsa ?)?(?:error|errno)?[:=# ]*(\d{1,5})", folded)
    if number and (told := _number(int(number[1]), rules, platform)):
        return told
    for topic in load("errno_notes")["topics"]:
        if folded in map(str.casefold, topic["names"]):
            return {"topic": topic["title"], "text": topic["text"]}, topic_lines(topic)
    return _foreign(foreign(text))


def _number(number: int, rules: Sequence[Rule], platform: str) -> Told | None:
    """What a number is, on each platform that has it."""
    from analyzer.logs.errnos import by_number, foreign, own_platform, platforms_of
    from analyzer.reports.layout import WIDTH, wrapped
    from analyzer.reports.log_text import elsewhere_line, errno_lines, number_line, plain_errno

    everywhere = platforms_of(number)
    if name := by_number(number, platform) if platform else "":
        everywhere = {platform: name}
    elif platform in ("", own_platform()) and (not everywhere or platform) and (name := foreign(number)):
        return _foreign(name)
    if not everywhere:
        return None
    if platform and not name:
        line = elsewhere_line(number, platform, everywhere)
    else:
        here = {own_platform(): other} if not platform and (other := foreign(number)) else {}
        line = number_line(number, everywhere | here)
    name = next(iter(everywhere.values()))
    plain = plain_errno(name, rules, platform=platform) | {"number": number, "platforms": everywhere}
    return plain, [*wrapped(line, WIDTH), "", *errno_lines(name, rules, platform)]


def _foreign(name: str) -> Told | None:
    """An errno of this machine's that is none of networks'; None if there is none."""
    from analyzer.logs.errnos import own_number, own_platform
    from analyzer.reports.log_text import FOREIGN, foreign_lines, plain_errno

    if not name:
        return None
    number, platform = own_number(name), own_platform()
    text = os.strerror(number)
    plain = plain_errno(name, ()) | {"errno": True, "text": text, "numbers": {platform: number}}
    return plain | {"host": FOREIGN}, foreign_lines(name, number, text, platform)


def _line(text: str, rules: Sequence[Rule], platform: str) -> Told:
    from analyzer.logs.recognise import recognise
    from analyzer.reports.log_text import line_lines, plain_line

    reading = recognise(text, platform)
    if reading is None:
        raise _not_understood(text, rules)
    return plain_line(reading, rules), line_lines(reading, rules)


def _not_understood(text: str, rules: Sequence[Rule]) -> UserError:
    from analyzer.data import load
    from analyzer.logs.errnos import mentioned
    from analyzer.matching.diagnostics import did_you_mean

    names = [*(rule.name for rule in rules), *load("errno")["errno"]]
    hint = "" if " " in text else did_you_mean(text, names)
    if name := mentioned(text):
        hint = f"it speaks of {name}: errnoscope explain {name}"
    shown = text if len(text) <= 200 else f"{text[:200]} ..."
    if text.isdecimal():
        what = "no system that is known has an error of sockets with this number"
        hint = "--platform NAME says where it is from; errnoscope explain ECONNRESET explains a name."
        return UserError("not-understood", shown, what, hint)
    return UserError(
        "not-understood",
        shown,
        "neither a rule, nor an errno, nor a log line that is known",
        hint
        or "quote the whole line; or name the errno in it: errnoscope explain ECONNRESET. "
        "For rules: `errnoscope rules` lists them",
    )


def _lines(stream: Iterable[str], rules: Sequence[Rule], platform: str, output: str) -> int:
    """Lines from a pipe: each meaning once, with how often it was there."""
    from analyzer.logs.recognise import recognise
    from analyzer.reports.log_text import line_lines, plain_line

    meanings: dict[object, tuple[LogLine, int]] = {}
    missed = 0
    for line in stream:
        if not line.strip():
            continue
        reading = recognise(line.rstrip("\n"), platform)
        if reading is None:
            missed += 1
            continue
        key = (reading.program, reading.results, reading.calls, reading.means)
        first, number = meanings.get(key, (reading, 0))
        meanings[key] = (first, number + 1)
    if missed:
        complain(
            f"{missed} of {missed + sum(n for _, n in meanings.values())} lines say nothing that is known"
        )
    if not meanings:
        raise UserError(
            "not-understood", "standard input", "no line that is known", "errnoscope explain --help"
        )
    told = sorted(meanings.values(), key=lambda pair: -pair[1])
    if output == "json":
        _print_json([plain_line(reading, rules) | {"count": number} for reading, number in told])
        return 0
    for index, (reading, number) in enumerate(told[:_MOST]):
        click.echo("\n" if index else "", nl=False)
        click.echo(f"{number} x  " if number > 1 else "", nl=False)
        for line in line_lines(reading, rules):
            click.echo(line.rstrip())
    if len(told) > _MOST:
        click.echo(f"\n{len(told) - _MOST} more meanings; -o json has them all.")
    return 0


def _print_text(told: Iterable[Told]) -> None:
    for index, (_, lines) in enumerate(told):
        click.echo("\n" if index else "", nl=False)
        for line in lines:
            click.echo(line.rstrip())


def _print_json(content: object) -> None:
    click.echo(json.dumps(content, indent=2))
