"""What tests of verdicts have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.report import Report
from analyzer.pipeline.files import analyze
from tests.crowd import Timed, write

RULES = load_rules(rules_folder())


@pytest.fixture
def report(tmp_path: Path) -> Callable[..., Report]:
    """Reads conversations as a capture of them."""

    def read(*conversations: list[Timed]) -> Report:
        return analyze(write(tmp_path / "made.pcap", conversations), rules=RULES)

    return read
