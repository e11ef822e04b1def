"""Real programs fail on this machine's kernel, right now, and the verdicts are what they got."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.matching.load import load_rules, rules_folder
from analyzer.pipeline import analyze
from tests.lab.network import missing
from tests.truth import ends, load_truth

MISSING = missing()

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the lab needs: {', '.join(MISSING)}")


def test_verdicts_equal_what_programs_get_on_this_kernel(tmp_path: Path) -> None:
    from tests.lab.record import QUICK, record

    rules = load_rules(rules_folder())
    judged = []
    for path in record(QUICK, tmp_path):
        truth = load_truth(path)
        report = analyze(path.with_name(truth["capture"]), rules=rules)
        for end in ends(truth, report):
            judged.append((path.parent.name, path.stem, end.side, end.judge()))
    wrong = [entry for entry in judged if entry[3].startswith(("wrong", "false"))]
    assert wrong == []
    assert sum(word == "right" for *_, word in judged) > len(QUICK)
