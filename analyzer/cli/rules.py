"""``errnoscope rules``: list the catalogue, test it against its own samples, begin a new rule."""

from __future__ import annotations

from pathlib import Path

import click

from analyzer.cli.rule_options import Chosen, RuleOptions, rule_options
from analyzer.errors import UserError, unwritable

_ALL = "*"


@click.command("rules", context_settings={"max_content_width": 80})
@click.option("--test", "test", is_flag=True, help="Run the samples of the rules, by default of all.")
@click.option(
    "--fields",
    is_flag=False,
    flag_value=_ALL,
    metavar="[EVENT]",
    help="What the conditions of rules on an event may use, by default of all events.",
)
@click.option("--new", metavar="NAME", help="Write the file of a new rule, to be filled in; needs --event.")
@click.option("--event", metavar="EVENT", help="What the new rule fires on; --fields lists the events.")
@rule_options
@click.argument("patterns", nargs=-1, metavar="[RULE...]")
def command(
    patterns: tuple[str, ...],
    *,
    test: bool,
    fields: str | None,
    new: str | None,
    event: str | None,
    chosen: RuleOptions,
) -> int:
    """List the rules, test them against their samples, or begin a new one.

    RULE is a name or an id, or how several begin. Exit status: 0; 1 if a sample fails; 2 if a rule file is
    wrong or the command was not used rightly.

    \b
    Examples:
      errnoscope rules reset-
      errnoscope rules --test rst-after-fin
      errnoscope rules --new idle --event reset_received --rule-dir my-rules
      errnoscope rules --fields reset_received
      errnoscope rules --test --rule-dir my-rules
    """
    _refuse_mixture(patterns, test=test, fields=fields, new=new, event=event)
    _refuse_choice(chosen, fields=fields, new=new)
    if fields is not None:
        return _fields(fields)
    if new is not None:
        return _new(new, event or "", chosen)
    loaded = chosen.load(patterns)
    if test:
        return _test(loaded)
    from analyzer.reports.rule_text import write_list

    write_list(loaded.told)
    return 0


def _refuse_mixture(patterns: tuple[str, ...], **options: object) -> None:
    """One thing at a time."""
    given = [name for name in ("test", "fields", "new") if options[name] not in (None, False)]
    if len(given) > 1:
        where = " ".join(f"--{name}" for name in given)
        raise UserError("one-at-a-time", where, "these are different things", "give one of them at a time")
    if patterns and given and given[0] != "test":
        where = f"--{given[0]} {' '.join(patterns)}"
        raise UserError("one-at-a-time", where, f"--{given[0]} takes no rules", "leave them out")
    if (options["new"] is None) != (options["event"] is None):
        missing = "--event EVENT" if options["event"] is None else "--new NAME"
        hint = "`errnoscope rules --new NAME --event EVENT`; `errnoscope rules --fields` lists the events"
        raise UserError("missing-option", missing, "is missing", hint)


def _refuse_choice(chosen: RuleOptions, *, fields: str | None, new: str | None) -> None:
    """Where no rule is told of none is to be chosen; fields are the same for all."""
    option = "--fields" if fields is not None else "--new" if new is not None else ""
    given = {"--select": chosen.select, "--ignore": chosen.ignore}
    if option == "--fields":
        given["--rule-dir"] = [str(folder) for folder in chosen.folders]
    for name, values in given.items():
        if option and values:
            raise UserError(
                "one-at-a-time", f"{option} {name}", f"{name} changes nothing there", "leave it out"
            )


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


def _new(name: str, event: str, chosen: RuleOptions) -> int:
    """Write the file of a new rule, into the user's folder or a checkout's catalogue."""
    from analyzer.matching.load import is_installed, load_rules, rules_folder
    from analyzer.matching.template import template

    if len(chosen.folders) > 1:
        raise UserError("two-folders", "--rule-dir", "a new rule goes into one folder", "give it once")
    folder = chosen.folders[0] if chosen.folders else rules_folder()
    if not chosen.folders and is_installed():
        hint = "--rule-dir DIR says where your own rules are kept"
        raise UserError("missing-option", "--rule-dir", "is missing", hint)
    has_rules = folder.is_dir() and any(folder.glob("*.yaml"))
    rules = load_rules(rules_folder(), chosen.folders if has_rules else ())
    text = template(name, event, rules, own=bool(chosen.folders))
    path = folder / f"{name}.yaml"
    try:
        folder.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise unwritable(str(path), error) from error
    where = f" --rule-dir {chosen.folders[0]}" if chosen.folders else ""
    click.echo(f"{path} is written. Then:")
    click.echo(f"  errnoscope rules --fields {event}")
    click.echo(f"  errnoscope rules --test {name}{where}")
    return 0


def _test(chosen: Chosen) -> int:
    from analyzer.cli.rule_samples import run_sample

    captures = _captures()
    failed = passed = left_out = 0
    for rule in chosen.told:
        for sample in rule.samples:
            if sample.capture and not captures:
                left_out += 1
                continue
            complaint = run_sample(rule, sample, chosen.rules, captures or Path())
            failed += bool(complaint)
            passed += not complaint
            if complaint:
                click.echo(f"{rule.path}: {sample.name}\n{complaint}\n")
    click.echo(f"{passed} samples passed, {failed} failed")
    if left_out:
        click.echo(
            f"{left_out} left out: their captures are not installed. "
            "They run in the directory of a clone of the repository."
        )
    return 1 if failed else 0


def _captures() -> Path | None:
    """The captures of samples: beside the rules of a checkout, or of the clone that this is called in."""
    from analyzer.matching.load import rules_folder

    beside = [rules_folder().parent, Path()]
    return next(
        (at / "samples" for at in beside if (at / "samples").is_dir() and (at / "rules").is_dir()), None
    )
