"""``errnoscope explain NAME``: a rule as its file tells it."""

from __future__ import annotations

import click

from analyzer.errors import UserError


@click.command("explain", context_settings={"max_content_width": 80})
@click.argument("name")
def command(name: str) -> None:
    """Explain a rule, by its name or id: what it means, how it is known, what to do.

    For an errno's name it lists the rules by which a program gets it on Linux.
    """
    from analyzer.matching.diagnostics import did_you_mean
    from analyzer.matching.load import load_rules, rules_folder
    from analyzer.reports.rule_text import write_list, write_rule

    rules = load_rules(rules_folder())
    for rule in rules:
        if name.casefold() in (rule.name, rule.id.casefold()):
            write_rule(rule)
            return
    giving = [rule for rule in rules if name.upper() in rule.outcomes["linux"].calls.values()]
    if giving:
        write_list(giving)
        return
    hint = did_you_mean(name, [rule.name for rule in rules]) or "`errnoscope rules` lists them"
    raise UserError("unknown-rule", name, "there is no rule of this name or id", hint)
