"""The formats of `check` against the published schemas and other people's parsers."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import pytest
import xmlschema
from markdown_it import MarkdownIt

from tests.captures import sample
from tests.cli.test_cli import Capsys, told

SCHEMAS = Path(__file__).resolve().parent / "schemas"
HOSTILE = "x`|<img src=x>@all ::error::%0A\n[a](b) &amp; \x1b[31m\x01.pcap"
"""A file name that tries to be a tag, a mention, a command, a link, an escape sequence."""


@pytest.fixture(autouse=True)
def _outside_of_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Failures, a clean capture, one that is no capture, expectations not met, a hostile name."""
    shutil.copy(sample("rst-after-fin-send-first"), tmp_path / HOSTILE)
    shutil.copy(sample("retransmission-storm-cut"), tmp_path / "storm.pcap")
    shutil.copy(sample("icmp-host-unreachable-connect"), tmp_path / "icmp.pcapng")
    shutil.copy(sample("reset-after-half-close"), tmp_path / "info.pcap")
    shutil.copy(sample("clean-request-response"), tmp_path / "clean.pcap")
    (tmp_path / "text.pcap").write_text("no capture\x1b[31m")
    (tmp_path / "clean.expect.yaml").write_text(
        "must:\n  - {errno: ECONNRESET, why: '<b>@all</b> ]]> ::error::'}\nmust_not: [{errno: EPIPE}]\n"
    )
    (tmp_path / "quiet.yaml").write_text(
        "suppress:\n"
        "  - {rule: retransmission-storm, reason: 'a | b', until: 9999-12-31}\n"
        "  - {rule: connect-timeout, reason: none, until: 2020-01-01}\n"
    )
    return tmp_path


def report(capsys: Capsys, folder: Path, name: str) -> str:
    status, out, _ = told(capsys, "check", folder, "-o", name, "--suppress", folder / "quiet.yaml")
    assert status == 2  # one is no capture
    return out


def test_sarif_is_valid(capsys: Capsys, folder: Path) -> None:
    log = json.loads(report(capsys, folder, "sarif"))
    schema = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text())
    validator = jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())
    assert [error.message for error in validator.iter_errors(log)] == []
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert all(rule["help"]["text"] for rule in rules)
    assert not run["invocations"][0]["executionSuccessful"]
    suppressed = [result for result in run["results"] if result.get("suppressions")]
    assert {rules[result["ruleIndex"]]["name"] for result in suppressed} >= {"retransmission-storm"}


def test_sarif_knows_the_baseline(capsys: Capsys, folder: Path) -> None:
    (folder / "text.pcap").unlink()
    told(capsys, "check", folder, "--write-baseline", folder / "baseline.json")
    status, out, _ = told(
        capsys, "check", folder / "icmp.pcapng", "-o", "sarif", "--baseline", folder / "baseline.json"
    )
    assert status == 0
    assert {result.get("baselineState") for result in json.loads(out)["runs"][0]["results"]} == {"unchanged"}


def test_junit_is_valid(capsys: Capsys, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    file.write_text(report(capsys, folder, "junit"))
    xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd")).validate(str(file))
    suites = junitparser.JUnitXml.fromfile(str(file))
    by_name = {Path(suite.name).name: suite for suite in suites}
    assert {name: suite.failures for name, suite in by_name.items() if name[0] != "x"} == {
        "clean.pcap": 1,
        "icmp.pcapng": 1,
        "info.pcap": 0,
        "storm.pcap": 0,
        "text.pcap": 0,
    }
    assert by_name["text.pcap"].errors == 1
    assert by_name["clean.pcap"].tests == 3  # nothing unexpected, and two expectations
    for suite in suites:
        cases = list(suite)
        failed = [case for case in cases if any(isinstance(r, junitparser.Failure) for r in case.result)]
        assert (len(cases), len(failed)) == (suite.tests, suite.failures)


def test_gitlab_has_what_its_documentation_demands(capsys: Capsys, folder: Path) -> None:
    issues = json.loads(report(capsys, folder, "gitlab"))
    for issue in issues:
        assert issue["description"].isprintable()
        assert isinstance(issue["check_name"], str)
        assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert issue["location"]["lines"]["begin"] >= 1
        assert issue["location"]["path"].isprintable()
    fingerprints = [issue["fingerprint"] for issue in issues]
    assert len(fingerprints) == len(set(fingerprints)) == 4  # two errors, an expectation, an unreadable one
    assert [issue["fingerprint"] for issue in json.loads(report(capsys, folder, "gitlab"))] == fingerprints


def test_gitlab_of_nothing_is_an_empty_list(capsys: Capsys) -> None:
    assert told(capsys, "check", sample("clean-request-response"), "-o", "gitlab") == (0, "[]\n", "")


COMMAND = re.compile(r"::(error|warning|notice)(?: file=([^,:]*),line=(\d+),title=([^,:]*))?::(.*)")


def test_github_commands_stay_commands(capsys: Capsys, folder: Path) -> None:
    *commands, last = report(capsys, folder, "github").splitlines()
    assert last.endswith("failed")
    parts = [COMMAND.fullmatch(line) for line in commands]
    assert all(parts)
    assert [match[1] for match in parts if match] == ["error"] * 4 + ["notice"]
    assert "%0A" in commands[0]
    assert all(line.isprintable() for line in commands)
    hostile = next(match[2] for match in parts if match and match[2] and "img" in match[2])
    assert "%3A%3Aerror%3A%3A%250A" in hostile


def test_github_appends_a_summary(
    capsys: Capsys, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    report(capsys, folder, "github")
    text = summary.read_text()
    assert text.startswith("before\n")
    assert text.removeprefix("before\n") == report(capsys, folder, "markdown")


class Tags(HTMLParser):
    """All tags of a page, and its text outside of code."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[Any] = []
        self.text = ""
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]
        self._code += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag == "code"

    def handle_data(self, data: str) -> None:
        self.text += "" if self._code else data


def test_markdown_holds_no_foreign_markup(capsys: Capsys, folder: Path) -> None:
    (folder / "clean.expect.yaml").write_text("must: [{errno: EPIPE, why: '<script> [x](http://y) *b* `c`'}]")
    text = report(capsys, folder, "markdown")
    page = Tags()
    page.feed(MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(text))
    allowed = {"h3", "h4", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "br", "ul", "li"}
    assert page.tags <= allowed | {"details", "summary"}
    assert page.links == []
    assert "@all" not in page.text
    assert "<script> [x](http://y) *b* `c`" in page.text


def test_markdown_tables_have_their_columns(capsys: Capsys, folder: Path) -> None:
    html = MarkdownIt("gfm-like", {"linkify": False}).render(report(capsys, folder, "markdown"))
    rows = re.findall(r"<tr>(.*?)</tr>", html, flags=re.S)
    assert {len(re.findall("<t[hd]>", row)) for row in rows} == {2, 6}


@pytest.mark.parametrize("name", ["text", "junit", "gitlab", "github", "markdown", "sarif", "json"])
def test_nothing_that_a_terminal_obeys_gets_through(capsys: Capsys, folder: Path, name: str) -> None:
    assert all(line.isprintable() for line in report(capsys, folder, name).splitlines())
