"""Problems and what became of them as people read them; shared by the formats of `check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analyzer.model.checked import Checked, CheckRun, Problem, Standing
from analyzer.reports.counts import is_empty
from analyzer.reports.printable import printable
from analyzer.reports.words import count, headline, silence

BETWEEN = "  "
"""What stands between the parts of a line."""

SEVERITIES = ("error", "warning", "info")

_STANDINGS = {
    Standing.EXPECTED: "expected",
    Standing.KNOWN: "in the baseline",
    Standing.SUPPRESSED: "suppressed",
    Standing.RECOVERED: "recovered",
    Standing.BELOW: "below the limit",
}


def got(problem: Problem) -> str:
    """``client send EPIPE``, or of a warning ``client``."""
    return " ".join(word for word in (problem.side, problem.call, problem.result) if word)


def line(problem: Problem) -> str:
    """A problem in a line: what, where, which rule."""
    return BETWEEN.join(line_parts(problem))


def line_parts(problem: Problem) -> tuple[str, str, str]:
    """What a line of it says."""
    flow = problem.flow.flow
    return got(problem), f"{flow.client} -> {flow.server}", problem.rule


def sentence(problem: Problem) -> str:
    """What the program got, else what is wrong."""
    if problem.verdict:
        return headline(problem.verdict)
    return f"At the {problem.side}: {problem.finding.title}."


def why(problem: Problem) -> str:
    """What happened, in a sentence or two."""
    finding = problem.finding
    title = f"{finding.title}. " if problem.verdict else ""
    return f"{title}{' '.join(finding.summary.split())}".strip()


def sure(problem: Problem) -> str:
    """How sure the verdict is; of a finding without one, its severity."""
    return problem.verdict.confidence.value if problem.verdict else problem.severity.value


def frames(problem: Problem) -> str:
    """``frames 16 17``."""
    numbers = problem.verdict.frames if problem.verdict else problem.finding.frames
    if not numbers:
        return "frames of another file"
    more = " ..." if len(numbers) > 6 else ""
    return f"frame{'' if len(numbers) == 1 else 's'} {' '.join(map(str, numbers[:6]))}{more}"


def grouped(problems: Sequence[Problem]) -> list[tuple[Problem, int]]:
    """Problems of one kind (``Problem.key``) once, by the first of them, and how many there are."""
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.key, []).append(problem)
    return [(members[0], len(members)) for members in groups.values()]


def more(number: int) -> str:
    """What stands behind the first of a group: ``, and 3 more like it``, or nothing."""
    return f", and {number - 1:,} more like it" if number > 1 else ""


def path(capture: Checked) -> str:
    """The capture's path, safe to show."""
    return printable(capture.path)


def state(capture: Checked) -> str:
    """``failed``, ``passed`` or ``unreadable``."""
    if capture.error:
        return "unreadable" if capture.report is None else "damaged"
    return "passed" if capture.passed else "failed"


def doubts(capture: Checked) -> list[str]:
    """What the capture cannot show, so that nothing may be found where something was."""
    if capture.report is None:
        return []
    return [printable(problem) for read in capture.report.captures for problem in read.problems]


def outcome(capture: Checked) -> str:
    """How much was found, in a line."""
    if capture.report is None:
        return "not read"
    parts = [count(len(capture.new), "problem")] if capture.new else []
    if capture.unmet:
        parts.append(f"{count(len(capture.unmet), 'expectation')} not met")
    if is_empty(capture.report):
        parts.append("there is no connection in it, so nothing was judged")
    standings = Counter(problem.standing for problem in capture.problems)
    parts += [f"{standings[kind]} {word}" for kind, word in _STANDINGS.items() if standings[kind]]
    silent = silence(capture.report.captures)
    found = ", ".join(parts) or ("no connection failed" if silent else "nothing found")
    if silent and capture.passed:
        found += f"; but {silent}"
    return f"{found} (carries on {printable(capture.carries_on)})" if capture.carries_on else found


def total(run: CheckRun) -> str:
    """The whole call in a line."""
    unread = sum(capture.report is None for capture in run.captures)
    failed = sum(not capture.passed for capture in run.captures) - unread
    parts = [f"{unread} could not be read"] if unread else []
    parts += [f"{failed} failed"] if failed else []
    told = "all passed" if run.passed else ", ".join(parts)
    return f"{count(len(run.captures), 'capture')} checked: {told}"
