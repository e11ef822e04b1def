"""Times that are a little out of order, as of several queues: what a packet answers stands before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.pipeline.files import analyze
from tests.captures import frames_of, sample
from tests.sources.build import Frame, pcap

_SOON = 10_000_000

ANSWERED = [
    "connection-refused",
    "connection-refused-ipv6",
    "curl-refused",
    "icmp-host-unreachable-at-once",
    "icmpv6-no-route-at-once",
]


def verdicts(path: Path) -> list[tuple[int, str | None, str]]:
    return [(one.side, one.errno, one.rule) for flow in analyze(path).flows for one in flow.verdicts]


@pytest.mark.parametrize("name", ANSWERED)
@pytest.mark.parametrize("microseconds", [1, 1000])
def test_an_answer_stamped_before_its_question(name: str, microseconds: int, tmp_path: Path) -> None:
    frames = frames_of(sample(name).read_bytes())
    shaken: list[Frame] = []
    for frame in frames:
        soon = bool(shaken) and frame.time - frames[len(shaken) - 1].time < _SOON
        shaken.append(frame._replace(time=shaken[-1].time - microseconds * 1000) if soon else frame)
    path = tmp_path / "shaken.pcap"
    path.write_bytes(pcap(shaken))
    assert shaken != frames
    assert verdicts(path) == verdicts(sample(name)) != []
