"""The page: one file, no network, nothing of the capture taken for markup."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import analyzer
from analyzer.model.application import Message
from analyzer.model.finding import FlowResult
from analyzer.model.report import Report
from analyzer.reports.groups import groups
from analyzer.reports.html import embedded, write
from tests import crowd
from tests.captures import CAPTURES, sample

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028\u2029'\"&lt;!--{{7*7}}"
HOSTILE += "\x1b[31m\udcff"


class Page(HTMLParser):
    """Elements with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.texts.append((self.elements[-1][0], data))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> Any:
        return json.loads(next(text for tag, text in self.texts if tag == "script"))


def page_of(report: Report) -> str:
    out = io.StringIO()
    write(report, out)
    return out.getvalue()


def poisoned(report: Report) -> Report:
    """The report as if a capture had put hostile text wherever text can come from."""

    def flow(result: FlowResult) -> FlowResult:
        findings = tuple(replace(f, summary=HOSTILE, title=HOSTILE) for f in result.findings)
        ladder = tuple(line._replace(label=HOSTILE) for line in result.ladder)
        said = (Message(0, 1, 0, "http", "request", HOSTILE),)
        poisoned_flow = replace(result.flow, tunnel=HOSTILE)
        return replace(result, flow=poisoned_flow, findings=findings, ladder=ladder, messages=said)

    for capture in report.captures:
        capture.path = HOSTILE
        capture.problems.append(HOSTILE)
    return replace(report, flows=tuple(map(flow, report.flows)), notes=(HOSTILE,))


@pytest.fixture(scope="module")
def failing() -> str:
    return page_of(analyzer.analyze(sample("rst-after-fin-send-first")))


def test_the_policy_allows_this_script_and_style_only(failing: str) -> None:
    page = Page(failing)
    (policy,) = [meta["content"] for meta in page.named("meta") if meta.get("http-equiv")]
    style, script = (
        re.search(f"<{tag}>(.*?)</{tag}>", failing, re.DOTALL).group(1) for tag in ("style", "script")
    )
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert [element.get("type") for element in page.named("script")] == ["application/json", None]


def test_the_page_needs_nothing_else(failing: str) -> None:
    page = Page(failing)
    for tag, attributes in page.elements:
        assert not {"src", "href", "style", "srcset", "action", "background"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")], tag
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & {
        tag for tag, _ in page.elements
    }
    urls = set(re.findall(r"https?://[^\s\"'`]+", failing)) - {"http://www.w3.org/2000/svg"}  # a name space
    assert urls == set()
    assert "@import" not in failing
    assert "url(" not in failing


def test_the_licence_of_the_library_stands_in_the_page(failing: str) -> None:
    licence = (Path(analyzer.__file__).parent / "reports/page/vendor/uplot/LICENSE").read_text()
    assert licence.startswith("The MIT License")
    assert licence in failing


def test_the_script_makes_no_markup_of_text() -> None:
    folder = Path(analyzer.__file__).parent / "reports/page"
    script = "".join(path.read_text() for path in folder.rglob("*.js"))
    for sink in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "srcdoc",
    ):
        assert sink not in script
    assert "fetch(" not in script
    assert "XMLHttpRequest" not in script


def test_hostile_text_stays_text() -> None:
    captures = [sample("rst-after-fin-send-first"), sample("icmp-host-unreachable-connect")]
    honest = Page(page_of(analyzer.analyze(*captures)))
    text = page_of(poisoned(analyzer.analyze(*captures)))
    page = Page(text)
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in honest.elements} | {"section", "h2", "b"}
    for piece in ("<script>alert", "<img", "\x1b", "\u2028", "\u2029"):
        assert piece not in text
    assert "49" not in " ".join(text for tag, text in page.texts if tag in ("b", "li"))
    shown = json.dumps(page.data, ensure_ascii=False)
    shown.encode()  # no half of a surrogate pair, as os.fsdecode makes them of bytes
    assert "</script><script>alert(1)</script>" in shown
    assert "\\\\x1b[31m" in shown
    assert page.data["pool"]


def test_embedded_json_has_no_markup_and_is_the_same_value() -> None:
    value = {"<a>": [HOSTILE, "]]>", "<!--", "&amp;"]}
    text = embedded(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert text.isascii()
    assert json.loads(text) == value


def test_every_flow_of_a_group_is_in_the_page() -> None:
    report = analyzer.analyze(*CAPTURES[::9])
    page = Page(page_of(report))
    found = groups(report)
    assert [group["flows"] for group in page.data["groups"]] == [
        [report.flows.index(member) for member in group.members] for group in found
    ]
    for group in page.data["groups"]:
        for index in group["flows"]:
            plain, result = page.data["flows"][str(index)], report.flows[index]
            assert plain["c"] == str(result.flow.client)
            assert [verdict[0] for verdict in plain["v"]] == [verdict.side for verdict in result.verdicts]
            assert [line[0] for line in plain["l"]] == [line.number for line in result.ladder]


def test_the_page_is_small(tmp_path: Path, failing: str) -> None:
    assert len(failing) < 170_000
    many = page_of(analyzer.analyze(crowd.write(tmp_path / "many.pcap", crowd.outage(2000))))
    assert len(many) < len(failing) + 2000 * 600


def test_nothing_failed() -> None:
    text = page_of(analyzer.analyze(sample("clean-request-response")))
    assert "None of 1 TCP connection failed" in text
    assert "No packet shows that a program got an error." in text
    assert Page(text).data == {"rules": {}, "groups": [], "flows": {}, "pool": []}


def test_a_host_that_is_not_there_is_no_page_on_which_nothing_failed() -> None:
    text = page_of(analyzer.analyze(sample("next-hop-dead")))
    said = [said for tag, said in Page(text).texts if tag in ("h1", "p") and "10.9.0.254" in said]
    assert said[0] == "No connection to judge, but 10.9.0.254 did not answer ARP"
    means = "10.9.0.254 did not answer ARP: a connect() that waited for the answer would have failed"
    assert means in said[1]


def test_udp_is_counted_as_such() -> None:
    failed = page_of(analyzer.analyze(sample("udp-connection-refused")))
    assert "<h1>1 of 1 UDP flow failed</h1>" in failed
