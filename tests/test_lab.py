"""Real programs fail on this machine's kernel, right now, and the verdicts are what they got."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.finding import Confidence
from analyzer.pipeline import analyze
from tests.lab.network import missing
from tests.test_truth import AT_MOST_POSSIBLE
from tests.truth import End, ends, load_truth

MISSING = missing()

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the lab needs: {', '.join(MISSING)}")


def _word(scenario: str, end: End) -> str:
    """How it was judged; what cannot be told from a failure may be called a possible one."""
    doubted = end.verdict is not None and end.verdict.confidence is Confidence.POSSIBLE
    return "doubted" if scenario in AT_MOST_POSSIBLE and doubted else end.judge()


def test_verdicts_equal_what_programs_get_on_this_kernel(tmp_path: Path) -> None:
    from tests.lab.record import QUICK, record

    rules = load_rules(rules_folder())
    judged = []
    for path in record(QUICK, tmp_path):
        truth = load_truth(path)
        report = analyze(path.with_name(truth["capture"]), rules=rules)
        for end in ends(truth, report):
            judged.append((path.parent.name, path.stem, end.side, _word(path.parent.name, end)))
    wrong = [entry for entry in judged if entry[3].startswith(("wrong", "false"))]
    assert wrong == []
    assert sum(word == "right" for *_, word in judged) > len(QUICK)
