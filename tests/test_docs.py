"""What the documents say exists, and what exists is in the documents."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from analyzer.cli.main import cli, run
from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.event import EVENTS
from analyzer.model.rule import Rule

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(cli.list_commands(None))  # type: ignore[arg-type]  # the context is not looked at


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"`errnoscope {name}" in README
    assert run([name, "--help"]) == 0
    assert "Usage: errnoscope" in capsys.readouterr().out


@pytest.mark.parametrize("rule", load_rules(rules_folder()), ids=lambda rule: rule.name)
def test_every_rule_is_in_the_readme(rule: Rule) -> None:
    assert f"`{rule.name}`" in README


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_in_the_guide_to_rules(event: str) -> None:
    assert f"`{event}`" in (ROOT / "CONTRIBUTING.md").read_text()


def test_the_first_command_of_the_readme_analyzes_a_sample_that_exists(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    first = re.findall(r"```sh\n(.*?)\n```", README)[0]
    arguments = shlex.split(first.rpartition("errnoscope ")[2])
    assert run(arguments) == 0
    assert "send() failed with EPIPE" in capsys.readouterr().out


def test_the_readme_shows_what_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    run(["analyze", "samples/rst-after-fin-send-first/client.pcap"])
    printed = capsys.readouterr().out
    shown = re.findall(r"```text\n(1 of .*?)\n```", README, flags=re.S)[0]
    lines = [line for line in shown.splitlines() if "[...]" not in line]
    assert [line for line in lines if line not in printed] == []


def test_the_second_command_of_the_readme_is_what_ci_runs() -> None:
    second = re.findall(r"```sh\n(.*?)\n```", README)[1]
    assert f'exec {second} "$@"' in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_files_that_documents_name_exist(document: Path) -> None:
    named = re.findall(r"`((?:analyzer|rules|samples|tests)/[\w/.-]*)`", document.read_text())
    links = re.findall(r"\]\(([\w/.-]+)\)", document.read_text())
    missing = [name for name in [*named, *links] if not (ROOT / name).exists()]
    assert missing == []


def test_tests_that_the_architecture_names_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "ARCHITECTURE.md").read_text()))
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert named
    assert named - defined == set()
