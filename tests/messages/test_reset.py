"""The reason that a reset carries in its payload."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.matching.load import load_rules, rules_folder
from analyzer.messages.reset import reset_says
from analyzer.pipeline.tracing import trace

RULES = load_rules(rules_folder())
TRANSCRIPT = r"""
  client > server  S   0:0(0)
  server > client  S.  0:0(0) ack 1
  client > server  .   1:1(0) ack 1
  client > server  P.  1:101(100) ack 1
  server > client  .   1:1(0) ack 101
  +1 server > client  R.  1:9(8) ack 101 "\x33\xaa\x00\x0e\x00\x00\x00\x00"
"""


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("33aa000200000000", "desynchronized state"),
        ("33aa000e00000000", "connection timeout"),
        ("33aa006300000000", "code 99"),
        ("33aa04d200007ed9", "code 1234 of enterprise 32473"),
        ("33aa000000000000", ""),
        ("33aa0002", ""),
        ("193039a10102", "desynchronized state"),
        ("193039a2011904d202197ed9", "code 1234 of enterprise 32473"),
        ("193039a1036568656c6c6f", '"hello"'),
        ("193039a103", ""),
        ("193039ff", ""),
        ("", ""),
    ],
)
def test_reasons(payload: str, said: str) -> None:
    assert reset_says(bytes.fromhex(payload)) == said


@given(st.sampled_from([b"", b"\x19\x30\x39", b"\x19\x30\x39\xa3"]), st.binary(max_size=60))
def test_no_bytes_make_it_raise(start: bytes, rest: bytes) -> None:
    assert reset_says(start + rest).isprintable()


def test_it_is_told() -> None:
    results, _ = trace(RULES, packets=TRANSCRIPT, name="transcript")
    (finding,) = [finding for result in results for finding in result.findings]
    assert finding.summary.endswith("The reset says why: connection timeout.")
    assert finding.evidence == {"reset_says": "connection timeout"}
