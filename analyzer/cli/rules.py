"""``errnoscope rules``: list the catalogue, or test it against its own samples."""

from __future__ import annotations

import click

from analyzer.errors import UserError
from analyzer.model.rule import Rule

_ALL = "*"


@click.command("rules", context_settings={"max_content_width": 80})
@click.option("--test", "test", is_flag=True, help="Run the samples of the rules, by default of all.")
@click.option(
    "--fields",
    "event",
    is_flag=False,
    flag_value=_ALL,
    metavar="[EVENT]",
    help="What the conditions of rules on an event may use, by default of all events.",
)
@click.argument("names", nargs=-1, metavar="[NAME...]")
def command(names: tuple[str, ...], *, test: bool, event: str | None) -> int:
    """List the rules, or test them against their samples (exit status 1 if one fails)."""
    if event is not None:
        return _fields(event)
    from analyzer.matching.load import load_rules, rules_folder
    from analyzer.reports.rule_text import write_list

    rules = load_rules(rules_folder())
    chosen = _chosen(rules, names)
    if test:
        return _test(chosen, rules)
    write_list(chosen)
    return 0


def _fields(event: str) -> int:
    from analyzer.matching.diagnostics import did_you_mean
    from analyzer.matching.load import schema
    from analyzer.model.event import EVENTS
    from analyzer.reports.rule_text import write_fields

    if event not in (_ALL, *EVENTS):
        hint = did_you_mean(event, EVENTS) or f"events: {', '.join(EVENTS)}"
        raise UserError("unknown-event", event, "there is no event of this name", hint)
    for name, kind in EVENTS.items():
        if event in (_ALL, name):
            write_fields(kind, schema(kind))
    return 0


def _chosen(rules: list[Rule], names: tuple[str, ...]) -> list[Rule]:
    from analyzer.matching.diagnostics import did_you_mean

    known = {rule.name: rule for rule in rules} | {rule.id: rule for rule in rules}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or "`errnoscope rules` lists them"
            raise UserError("unknown-rule", name, "there is no rule of this name or id", hint)
    return [known[name] for name in names] or rules


def _test(chosen: list[Rule], rules: list[Rule]) -> int:
    from analyzer.cli.rule_samples import run_sample
    from analyzer.matching.load import rules_folder

    samples = rules_folder().parent / "samples"
    failed = passed = left_out = 0
    for rule in chosen:
        for sample in rule.samples:
            if sample.capture and not samples.is_dir():
                left_out += 1
                continue
            complaint = run_sample(rule, sample, rules, samples)
            failed += bool(complaint)
            passed += not complaint
            if complaint:
                click.echo(f"{rule.path}: {sample.name}\n{complaint}\n")
    click.echo(f"{passed} samples passed, {failed} failed")
    if left_out:
        click.echo(f"{left_out} left out: their captures are not installed, only in a checkout", err=True)
    return 1 if failed else 0
