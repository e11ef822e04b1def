"""Puts the parts of a check together, for one capture after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from analyzer.checks import expectations as expect
from analyzer.checks import suppressions as mute
from analyzer.checks.baseline import Baseline
from analyzer.checks.problems import at_least, problems
from analyzer.model.checked import Checked, CheckRun, Problem, Standing
from analyzer.model.report import Report
from analyzer.model.rule import Rule, Severity


@dataclass(slots=True)
class Judge:
    """What a check goes by. ``say`` puts a problem into a line, ``recovered``: such failures count too."""

    say: Callable[[Problem], str]
    today: date
    fail_on: Severity = Severity.WARNING
    recovered: bool = False
    suppressions: Sequence[mute.Suppression] = ()
    baseline: Baseline | None = None
    _used: set[str] = field(default_factory=set)

    def judge(self, path: str, report: Report, expected: Sequence[expect.Expectation] = ()) -> Checked:
        """What a capture's report comes to."""
        found, results = expect.judge(expected, problems(report), self.say)
        found = tuple(map(self._weigh, found))
        found, used = mute.suppress(self.suppressions, found, path, self.today)
        self._used |= used
        if self.baseline:
            found = self.baseline.mark(found)
        error = next((capture.damage for capture in report.captures if capture.damage), None)
        return Checked(path, report, found, results, error)

    def _weigh(self, problem: Problem) -> Problem:
        if problem.standing is not Standing.NEW:
            return problem
        if problem.recovered and not self.recovered:
            return replace(problem, standing=Standing.RECOVERED, reason="recovered")
        if not at_least(problem, self.fail_on):
            return replace(problem, standing=Standing.BELOW, reason=f"below {self.fail_on.value}")
        return problem

    def run(self, captures: Sequence[Checked], rules: Sequence[Rule]) -> CheckRun:
        """All captures together, with what is to be said of suppressions and baseline."""
        found = [problem for capture in captures for problem in capture.problems]
        return CheckRun(
            captures=tuple(captures),
            rules=tuple(rules),
            notes=mute.notes(self.suppressions, self._used, self.today),
            vanished=self.baseline.vanished(found) if self.baseline else (),
        )
