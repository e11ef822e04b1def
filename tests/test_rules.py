"""Every sample of every rule; what a wrong rule file is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyzer.cli.rule_samples import run_sample
from analyzer.errors import UserError
from analyzer.matching.load import load_rule, load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.event import EVENTS
from analyzer.model.host import SYSTEMS
from analyzer.model.rule import Rule, Sample
from analyzer.pipeline.engine import Engine
from analyzer.sources.transcript import TranscriptSource, parse

EOF_SOON = """
client > server  S   0:0(0)
server > client  S.  0:0(0) ack 1
client > server  .   1:1(0) ack 1
client > server  P.  1:101(100) ack 1
+0.003 server > client  F.  1:1(0) ack 101
client > server  F.  101:101(0) ack 2
server > client  .   2:2(0) ack 102
"""
RULES = load_rules(rules_folder())
SAMPLES = rules_folder().parent / "samples"


@pytest.mark.parametrize(
    ("rule", "sample"),
    [
        pytest.param(rule, sample, id=f"{rule.name}: {sample.name}")
        for rule in RULES
        for sample in rule.samples
    ],
)
def test_sample(rule: Rule, sample: Sample) -> None:
    assert run_sample(rule, sample, RULES, SAMPLES) == ""


def test_every_event_has_a_rule() -> None:
    assert {rule.event for rule in RULES} == set(EVENTS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_system_is_spoken_of(rule: Rule) -> None:
    assert set(rule.outcomes) == set(SYSTEMS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_errors_have_a_captured_or_written_sample_that_fires_and_one_that_does_not(rule: Rule) -> None:
    fires = [bool(sample.expect.endpoint) for sample in rule.samples]
    assert any(fires)
    assert not all(fires)


def broken(tmp_path: Path, *replacements: tuple[str, str]) -> str:
    """What is told about reset-by-peer.yaml after these replacements, colours and folder aside."""
    text = (rules_folder() / "reset-by-peer.yaml").read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "reset-by-peer.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load_rule(path)
    return re.sub(r"\S+/reset-by-peer", "reset-by-peer", str(error.value))


def test_a_wrong_value_in_a_condition_is_refused_with_its_place(tmp_path: Path) -> None:
    told = broken(tmp_path, ("'ESTABLISHED', 'FIN_WAIT_1'", "'ESTABLISHD', 'FIN_WAIT_1'"))
    assert "reset-by-peer.yaml:7:" in told
    assert "`socket.state` is never 'ESTABLISHD'" in told
    assert "did you mean `ESTABLISHED`?" in told


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    told = broken(
        tmp_path,
        ("severity: error", "severity: fatal"),
        ("event: reset_received", "event: reset_recieved"),
        ("recv: ECONNRESET, send: ECONNRESET", "recv: ECONNRESTE, send: ECONNRESET"),
        ("fix: |", "fixx: |"),
    )
    assert "`severity` is never 'fatal'" in told
    assert "did you mean `reset_received`?" in told
    assert "`ECONNRESTE` is no result of a call" in told
    assert "unknown key `fixx`" in told
    assert "`fix` is missing" in told


@pytest.mark.parametrize(
    "field", ["flow.age:x", "socket.state:time", "socket.bytes_sent:.1f", "flow.age:times"]
)
def test_a_wrong_format_in_the_summary_is_refused(tmp_path: Path, field: str) -> None:
    told = broken(tmp_path, ("severity: error", f'severity: error\nsummary: "{{{field}}}"'))
    assert f"`:{field.partition(':')[2]}`" in told


def test_a_length_of_time_in_the_summary_has_the_unit_that_fits() -> None:
    (result,) = Engine(Matcher(RULES)).run(TranscriptSource(parse(EOF_SOON)))
    assert "FIN came 3 ms after" in result.findings[0].summary


def test_an_unknown_field_in_the_summary_is_refused(tmp_path: Path) -> None:
    told = broken(tmp_path, ("severity: error", 'severity: error\nsummary: "{socket.stat}"'))
    assert "the event has no `socket.stat`" in told
    assert "did you mean `socket.state`?" in told


def test_a_rule_without_a_silent_sample_is_refused(tmp_path: Path) -> None:
    text = (rules_folder() / "connect-unanswered.yaml").read_text()
    start = text.index("  - name: silent")
    path = tmp_path / "connect-unanswered.yaml"
    path.write_text(text[:start])
    with pytest.raises(UserError, match="stays silent"):
        load_rule(path)


def test_two_rules_cannot_have_one_id(tmp_path: Path) -> None:
    for name in ("reset-by-peer", "rst-after-fin"):
        text = (rules_folder() / f"{name}.yaml").read_text()
        (tmp_path / f"{name}.yaml").write_text(text.replace("id: ES301", "id: ES300"))
    with pytest.raises(UserError, match="id ES300 is also that of"):
        load_rules(tmp_path)


def test_refining_an_unknown_rule_is_refused(tmp_path: Path) -> None:
    text = (rules_folder() / "rst-after-fin.yaml").read_text()
    (tmp_path / "rst-after-fin.yaml").write_text(text)
    with pytest.raises(UserError, match="refines `reset-by-peer`, which is no rule"):
        load_rules(tmp_path)


def test_a_folder_without_rules_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no rule files"):
        load_rules(tmp_path)
