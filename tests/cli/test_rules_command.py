"""``errnoscope rules``, and the options that choose rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.matching.load import load_rule, load_rules, rules_folder
from analyzer.matching.template import template
from analyzer.model.event import EVENTS
from tests.captures import sample
from tests.cli.test_cli import Capsys, told

RULES = load_rules(rules_folder())


def names(out: str) -> list[str]:
    return [line.split()[2] for line in out.splitlines() if not line.startswith(" ")]


def test_rules_are_chosen_by_how_they_begin(capsys: Capsys) -> None:
    begins = [rule.name for rule in RULES if rule.name.startswith("reset-")]
    assert sorted(names(told(capsys, "rules", "reset-")[1])) == sorted(begins)
    assert told(capsys, "rules", "--select", "reset-")[1] == told(capsys, "rules", "reset-")[1]
    by_id = [rule.name for rule in sorted(RULES, key=lambda rule: rule.id) if rule.id.startswith("ES1")]
    assert names(told(capsys, "rules", "es1")[1]) == by_id


def test_a_whole_name_means_that_rule_only(capsys: Capsys) -> None:
    assert names(told(capsys, "rules", "connect-timeout")[1]) == ["connect-timeout"]


def test_ignored_rules_are_not_told(capsys: Capsys) -> None:
    out = told(capsys, "rules", "--select", "reset-,ES101", "--ignore", "reset-by-peer")[1]
    assert "connection-refused" in names(out)
    assert "reset-from-between" in names(out)
    assert "reset-by-peer" not in names(out)


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["--select", "reset-by-pier"], "reset-by-pier: no rule has a name", "did you mean `reset-by-peer`?"),
        (["--ignore", "zzz"], "zzz: no rule has a name", "`errnoscope rules` lists them"),
        (["--ignore", ""], "no rule has a name", "lists them"),
        (["--select", "ES101", "--ignore", "ES1"], "no rule is left", "lists them"),
        (
            ["--rule-dir", "nowhere"],
            "nowhere: there is no such folder",
            "--new NAME --event EVENT --rule-dir",
        ),
        (["--test", "--fields"], "--test --fields: these are different things", "one of them at a time"),
        (["--new", "a", "--event", "x", "--test"], "--test --new: these are different", "one of them"),
        (["--fields", "reset_received", "ES101"], "--fields takes no rules", "leave them out"),
        (["--new", "a"], "--event EVENT: is missing", "--fields` lists the events"),
        (["--event", "reset_received"], "--new NAME: is missing", "--new NAME --event EVENT"),
        (
            ["--new", "a", "--event", "reset_recieved"],
            "reset_recieved: there is no event",
            "`reset_received`?",
        ),
        (["--new", "A b", "--event", "reset_received"], "A b: this cannot be the name", "small letters"),
        (["--new", "../a", "--event", "reset_received"], "../a: this cannot be the name", "small letters"),
        (["--new", "reset-by-peer", "--event", "reset_received"], "a rule of this name already", "explain"),
    ],
)
def test_bad_use(capsys: Capsys, arguments: list[str], what: str, hint: str) -> None:
    status, out, err = told(capsys, "rules", *arguments)
    assert (status, out) == (2, "")
    assert what in err
    assert hint in err


@pytest.mark.parametrize("event", EVENTS)
def test_a_new_rule_passes_its_own_samples(capsys: Capsys, tmp_path: Path, event: str) -> None:
    folder = tmp_path / "mine"
    status, out, err = told(capsys, "rules", "--new", "my-rule", "--event", event, "--rule-dir", folder)
    assert (status, err) == (0, "")
    assert f"errnoscope rules --test my-rule --rule-dir {folder}" in out
    rule = load_rule(folder / "my-rule.yaml")
    assert (rule.id, rule.event) == ("ES900", event)
    status, out, err = told(capsys, "rules", "--test", "my-rule", "--rule-dir", folder)
    assert (status, out, err) == (0, "2 samples passed, 0 failed\n", "")
    status, out, err = told(capsys, "rules", "--new", "my-rule", "--event", event, "--rule-dir", folder)
    assert status == 2
    assert "there is a rule of this name already" in err


def test_a_new_rule_of_the_catalogue_gets_a_free_id_next_to_its_like() -> None:
    text = template("new-rule", "reset_received", RULES, own=False)
    assert text.split()[1] not in {rule.id for rule in RULES}
    assert text.split()[1][:3] in {rule.id[:3] for rule in RULES if rule.event == "reset_received"}


def test_a_new_rule_names_every_key() -> None:
    text = template("new-rule", "reset_received", RULES, own=False)
    keys = ["id", "name", "title", "severity", "event", "condition", "summary", "refines", "outcomes"]
    keys += ["evidence", "call", "calls", "later", "signal", "explanation", "fix", "references", "samples"]
    for key in keys:
        line = next(line for line in text.splitlines() if line.strip(" #").startswith(f"{key}:"))
        assert "# " in line.partition(f"{key}:")[2], key


def test_own_rules_are_listed_beside_the_catalogue(capsys: Capsys, tmp_path: Path) -> None:
    told(capsys, "rules", "--new", "my-rule", "--event", "reset_received", "--rule-dir", tmp_path)
    listed = names(told(capsys, "rules", "--rule-dir", tmp_path)[1])
    assert listed == [*names(told(capsys, "rules")[1]), "my-rule"]


def test_an_own_rule_cannot_take_a_name_or_an_id(capsys: Capsys, tmp_path: Path) -> None:
    text = (rules_folder() / "reset-by-peer.yaml").read_text()
    (tmp_path / "reset-by-peer.yaml").write_text(text)
    (tmp_path / "other.yaml").write_text(text.replace("name: reset-by-peer", "name: other"))
    status, out, err = told(capsys, "rules", "--rule-dir", tmp_path)
    assert (status, out) == (2, "")
    assert f"{tmp_path}/reset-by-peer.yaml:2:" in err
    assert "the rule `reset-by-peer` is also in rules/reset-by-peer.yaml" in err
    assert f"{tmp_path}/other.yaml:1:" in err
    assert "is also that of rules/reset-by-peer.yaml" in err


def test_a_file_with_the_wrong_ending_is_told(capsys: Capsys, tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("id: ES900\n")
    status, _, err = told(capsys, "rules", "--rule-dir", tmp_path)
    assert status == 2
    assert "rename mine.yml to mine.yaml" in err


def test_check_and_explain_know_own_rules_and_choices(capsys: Capsys, tmp_path: Path) -> None:
    told(capsys, "rules", "--new", "my-rule", "--event", "reset_received", "--rule-dir", tmp_path)
    status, out, err = told(capsys, "explain", "my-rule", "--rule-dir", tmp_path)
    assert (status, err) == (0, "")
    assert out.startswith("my-rule (ES900, info)")
    failed = sample("rst-after-fin-send-first")
    assert told(capsys, "check", failed)[0] == 1
    assert told(capsys, "check", failed, "--select", "rst-after-fin", "--rule-dir", tmp_path)[0] == 1
    assert told(capsys, "check", failed, "--ignore", "rst-after-fin")[0] == 0
    assert told(capsys, "check", failed, "--client-os", "windows")[0] == 1
