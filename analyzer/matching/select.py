"""Which rules are meant by names, ids and their beginnings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analyzer.errors import UserError
from analyzer.matching.diagnostics import did_you_mean
from analyzer.model.rule import Rule


def select_rules(rules: Sequence[Rule], select: Iterable[str] = (), ignore: Iterable[str] = ()) -> list[Rule]:
    """The rules that one of the patterns ``select`` fits (none given: all), without those of ``ignore``.

    A pattern is a rule's name or id, or how one begins (``ES3``, ``reset-``), in any case; a whole name or id
    means that rule only. Raises UserError where one fits no rule, or no rule is left.
    """
    wanted = [name for pattern in select for name in _fitting(rules, pattern)] or [
        rule.name for rule in rules
    ]
    unwanted = {name for pattern in ignore for name in _fitting(rules, pattern)}
    chosen = [rule for rule in rules if rule.name in wanted and rule.name not in unwanted]
    if not chosen:
        raise UserError("no-rules", "", "no rule is left of those selected", "`errnoscope rules` lists them")
    return chosen


def _fitting(rules: Sequence[Rule], pattern: str) -> list[str]:
    """Names of the rules that a pattern fits."""
    folded = pattern.casefold()
    exact = [rule.name for rule in rules if folded in (rule.name, rule.id.casefold())]
    begins = [rule.name for rule in rules if folded and _begins(rule, folded)]
    if not (exact or begins):
        known = [name for rule in rules for name in (rule.name, rule.id)]
        hint = did_you_mean(pattern, known) or "`errnoscope rules` lists them"
        raise UserError("unknown-rule", pattern, "no rule has a name or id that begins like this", hint)
    return exact or begins


def _begins(rule: Rule, folded: str) -> bool:
    return rule.name.startswith(folded) or rule.id.casefold().startswith(folded)
