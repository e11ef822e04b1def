"""Many flows that fail: what they leave behind."""

from __future__ import annotations

import gc
from pathlib import Path

from analyzer.pipeline.files import analyze
from tests.bench.flows import plan
from tests.bench.generate import generate


def test_what_failing_flows_leave_has_no_circles(tmp_path: Path) -> None:
    path = tmp_path / "failing.pcap"
    generate(path, plan("failing", 5500, None, 1, 10.0))
    analyze(str(path))  # what is made once is made now
    gc.collect()
    gc.disable()
    try:
        failed = len(analyze(str(path)).flows)
        circles = gc.collect()
    finally:
        gc.enable()
    assert failed > 900
    assert circles < failed / 2  # some are left of every capture
