"""``--rule-dir``, ``--select`` and ``--ignore``: which rules there are, and which are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from analyzer.model.rule import Rule


class Chosen(NamedTuple):
    """All rules that are loaded, and those that are told of.

    All of them are matched: what is told of the others must not depend on which are told.
    """

    rules: list[Rule]
    told: list[Rule]

    @property
    def names(self) -> frozenset[str] | None:
        """The names of those that are told of; None if that is all of them."""
        return None if len(self.told) == len(self.rules) else frozenset(rule.name for rule in self.told)


class RuleOptions(NamedTuple):
    """What the options say; nothing is read before it is wanted."""

    folders: Sequence[Path]
    select: Sequence[str]
    ignore: Sequence[str]

    def load(self, patterns: Sequence[str] = ()) -> Chosen:
        """Read the catalogue and the user's rules; ``patterns`` are further ones to select."""
        from analyzer.matching.load import load_rules, rules_folder
        from analyzer.matching.select import select_rules

        rules = load_rules(rules_folder(), self.folders)
        return Chosen(rules, select_rules(rules, [*self.select, *patterns], self.ignore))


rule_dir_option = click.option(
    "--rule-dir",
    "folders",
    multiple=True,
    metavar="DIR",
    type=click.Path(readable=False, path_type=Path),
    help="Load your own rules from here as well; may be given several times.",
)
"""The first of the options alone, as a command's parameter ``folders``."""


def rule_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the three options, as its parameter ``chosen``."""

    @rule_dir_option
    @click.option(
        "--select",
        multiple=True,
        metavar="RULE",
        help="Tell of these rules only: names, ids, or how they begin (reset-, ES3); may be repeated.",
    )
    @click.option("--ignore", multiple=True, metavar="RULE", help="Do not tell of these rules.")
    @wraps(command)
    def with_rules(
        *arguments: Any,
        folders: Sequence[Path],
        select: Sequence[str],
        ignore: Sequence[str],
        **others: Any,
    ) -> Any:
        return command(*arguments, chosen=RuleOptions(folders, _split(select), _split(ignore)), **others)

    return with_rules


def _split(patterns: Sequence[str]) -> list[str]:
    """``a,b`` stands for both."""
    return [part.strip() for pattern in patterns for part in pattern.split(",")]
