"""The page as a browser shows it; skipped where there is none, as its packages are large."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import analyzer
from analyzer.reports.groups import groups
from tests import crowd
from tests.captures import sample
from tests.reports.test_html import Page, page_of, poisoned

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")


def shown(folder: Path, text: str, fragment: str = "") -> Page:
    """The page once its script has run; what the script complains of fails the test."""
    path = folder / "page.html"
    path.write_text(text)
    line = [str(BROWSER), "--headless=new", "--disable-gpu", "--disable-background-networking"]
    line += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    line += ["--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000"]
    line += ["--dump-dom", f"{path.as_uri()}{fragment}"]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=120)
    assert [row for row in done.stderr.splitlines() if "CONSOLE" in row] == []
    return Page(done.stdout)


def texts(page: Page) -> str:
    return " ".join(text for tag, text in page.texts if tag not in ("script", "style"))


def classes(page: Page, name: str) -> int:
    return sum(name in (attributes.get("class") or "").split() for _, attributes in page.elements)


def test_a_link_opens_its_flow_and_nothing_else_is_built(tmp_path: Path) -> None:
    report = analyzer.analyze(crowd.write(tmp_path / "crowd.pcap", crowd.crowd(3000)))
    largest = groups(report)[0]
    index = report.flows.index(largest.members[57])
    page = shown(tmp_path, page_of(report), f"#flow-{index}")
    (row,) = [attributes for _, attributes in page.elements if attributes.get("id") == f"flow-{index}"]
    assert "open" in (row["class"] or "")
    assert classes(page, "group") == 3
    assert classes(page, "flow") == 58
    assert classes(page, "ladder") == 1
    assert classes(page, "band") == 2
    assert "client's connect(): ECONNREFUSED" in texts(page)
    assert "ip.addr==10.0.9.30" in texts(page)


def test_hostile_text_runs_nothing_and_is_shown(tmp_path: Path) -> None:
    honest = analyzer.analyze(sample("rst-after-fin-send-first"))
    page = shown(tmp_path, page_of(poisoned(honest)), "#flow-0")
    assert page.named("img") == []
    assert len(page.named("script")) == 2
    assert "<img src=x onerror=alert(2)>" in texts(page)
