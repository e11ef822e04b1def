"""Which finding becomes the verdict of an end."""

from __future__ import annotations

from analyzer.model.finding import CallTable, Finding
from analyzer.model.flow import CLIENT, SERVER
from analyzer.model.host import DEFAULT_HOST
from analyzer.model.rule import Evidence, Severity
from analyzer.verdicts.decide import decide

END_OF_FILE = CallTable(Evidence.MEASURED, "recv", {"recv": "EOF", "send": "OK"}, {}, {})
PIPE = CallTable(Evidence.MEASURED, "send", {"recv": "EOF", "send": "EPIPE"}, {}, {})
RESET = CallTable(Evidence.MEASURED, "recv", {"recv": "ECONNRESET", "send": "ECONNRESET"}, {}, {})
PATIENCE = CallTable(Evidence.MEASURED, "recv", {"recv": "BLOCKS"}, {}, {})


def finding(
    rule: str, time: int, outcome: CallTable | None, *, side: int = CLIENT, severity: str = "error"
) -> Finding:
    return Finding(
        flow_id=0,
        side=side,
        system="linux",
        key=rule,
        rule=rule,
        refines=(),
        severity=Severity(severity),
        title="",
        summary="",
        explanation="",
        fix="",
        frames=(time,),
        time=time,
        doubts=frozenset(),
        outcome=outcome,
    )


def rules(*findings: Finding) -> list[tuple[str, str]]:
    return [(v.endpoint, v.rule) for v in decide(list(findings), (DEFAULT_HOST, DEFAULT_HOST))]


def test_the_first_error_counts() -> None:
    assert rules(finding("a", 1, RESET), finding("b", 2, PIPE)) == [("client", "a")]
    assert rules(finding("a", 1, PATIENCE), finding("b", 2, RESET)) == [("client", "a")]
    assert rules(finding("a", 1, RESET), finding("b", 2, END_OF_FILE)) == [("client", "a")]


def test_an_errno_that_leaves_the_same_end_of_file_tells_more() -> None:
    assert rules(finding("a", 1, END_OF_FILE), finding("b", 2, PIPE)) == [("client", "b")]
    assert rules(finding("a", 1, END_OF_FILE), finding("b", 2, PATIENCE)) == [("client", "a")]


def test_each_end_has_its_own() -> None:
    found = rules(finding("a", 1, END_OF_FILE), finding("b", 2, PIPE, side=SERVER))
    assert found == [("client", "a"), ("server", "b")]


def test_warnings_and_unknown_outcomes_are_no_verdict() -> None:
    assert rules(finding("a", 1, PATIENCE, severity="warning"), finding("b", 2, None)) == []
