"""What was found before: a check then fails only for what is new."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from analyzer.errors import UserError
from analyzer.model.checked import Problem, Standing

SCHEMA = "errnoscope.baseline/1"


@dataclass(frozen=True, slots=True)
class Baseline:
    """How often each problem (``Problem.key``) was there."""

    counts: dict[str, int]

    def mark(self, problems: Sequence[Problem]) -> tuple[Problem, ...]:
        """The problems, those of the baseline marked. How often one occurs is not judged: it varies."""
        return tuple(
            replace(problem, standing=Standing.KNOWN, reason="in the baseline")
            if problem.standing is Standing.NEW and problem.key in self.counts
            else problem
            for problem in problems
        )

    def vanished(self, problems: Sequence[Problem]) -> tuple[str, ...]:
        """What the baseline has and these have not."""
        return tuple(sorted(set(self.counts) - {problem.key for problem in problems}))


def as_json(problems: Sequence[Problem]) -> str:
    """The text of a baseline file: one line a problem, sorted, so that a change is read easily."""
    counts = Counter(problem.key for problem in problems)
    lines = ",\n".join(f"    {json.dumps(key)}: {number}" for key, number in sorted(counts.items()))
    body = f"{{\n{lines}\n  }}" if counts else "{}"
    return f'{{\n  "schema": "{SCHEMA}",\n  "problems": {body}\n}}\n'


def read_baseline(text: str, name: str) -> Baseline:
    """The baseline in a text; raises UserError if it is none."""
    hint = "errnoscope check --write-baseline FILE writes one"
    try:
        content: Any = json.loads(text)
    except ValueError as error:
        raise UserError("bad-baseline", name, f"not JSON: {error}", hint) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise UserError("bad-baseline", name, f"no baseline: its schema is not {SCHEMA}", hint)
    counts = content.get("problems")
    if not isinstance(counts, dict) or not all(isinstance(number, int) for number in counts.values()):
        raise UserError("bad-baseline", name, "`problems` must say how often each one was there", hint)
    return Baseline(counts)
