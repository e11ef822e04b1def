"""How often errnoscope is right: `python -m tests.lab.score [FOLDER ...]` (default: samples).

Prints each figure over the recordings beside what is wanted of it, and what was missed by name.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.event import Doubt
from analyzer.model.finding import Confidence, Finding, FlowResult
from analyzer.model.flow import Flow
from analyzer.model.report import Report
from analyzer.model.rule import Rule
from analyzer.pipeline.files import analyze
from tests.test_truth import AT_MOST_POSSIBLE, BLIND, HARMLESS, UNDECIDABLE
from tests.truth import NO_ERROR, End, ends, is_buffered, load_truth

SAMPLES = rules_folder().parent / "samples"
OUTCOMES = ("right", "wrong", "false alarm", "none met", "closed", "unproven", "missed", "quiet")
"""``none met``: all that the program called gave what the verdict says (end of file), no errno among it.
``closed``: the program had called close() before the error, which therefore nobody could meet."""
PROVEN = 3
"""So many of OUTCOMES prove or disprove a verdict."""
CLOSE_SLACK_S = 0.001
WAYS = 4
"""A packet needs so many times the path's delay at most; the slow path is late when it has much to do."""
NEAR_S = 0.05
"""A reset is captured so soon after its kernel sent it; the slowest path of the samples takes 44 ms."""
BURST_S = 0.002
ACTIVE = {
    *("TCP_ABORT_ON_CLOSE", "TCP_ABORT_ON_LINGER", "TCP_ABORT_ON_MEMORY", "TCP_STATE"),
    *("TCP_KEEPALIVE_TIMEOUT", "TCP_DISCONNECT_WITH_DATA"),
}
"""Reasons of resets with ACK: tcp_send_active_reset()."""
MOST_NAMES = 30
WANTED = {"errnos": 98.0, "later calls": 97.0, "false alarms": 0.0, "reasons": 98.0, "reasons given": 80.0}
"""Percent; of the samples."""
RANDOM = WANTED | {"errnos": 95.0, "false alarms": 0.2}
"""Of random runs."""
WORDS = {Confidence.CERTAIN: 99.5, Confidence.LIKELY: 90.0, Confidence.POSSIBLE: 50.0}
"""Percent that each word promises."""


@dataclass(frozen=True)
class Judged:
    """One end of one connection, as seen from one place."""

    vantage: str
    truth: Path
    number: int
    connection: dict[str, Any]
    end: End
    said: str
    run: dict[str, Any]
    """How a random run was made; empty for a scenario."""

    @property
    def scenario(self) -> str:
        return self.truth.parent.name

    @property
    def outcome(self) -> str:
        """The first word of what End.judge() said, but milder where no call contradicts the verdict."""
        word = self.said.partition(":")[0]
        verdict = self.end.verdict
        if word == "false alarm" and verdict:
            table = verdict.table.calls
            if all(table[call["call"]] == call["result"] for call in self.end.after(verdict)):
                return "none met"
        if word == "unproven" and verdict and self._had_closed(verdict.time / 1e9 - CLOSE_SLACK_S):
            return "closed"
        return word

    def _had_closed(self, when: float) -> bool:
        return any(call["call"] == "close" and call["t"] < when for call in self.end.calls)

    @property
    def confidence(self) -> str:
        return self.end.verdict.confidence.value if self.end.verdict else "-"

    @property
    def rule(self) -> str:
        """The rule of the verdict, or the errno that was missed."""
        if self.end.verdict:
            return self.end.verdict.rule
        error = self.end.first_error
        return f"missed {error['call']} {error['result']}" if error else "-"

    @property
    def name(self) -> str:
        """Where to find it."""
        return f"{self.scenario}/{self.vantage} #{self.number} {self.end.side}"

    @property
    def decidable(self) -> bool:
        """Whether the packets that decide are in the capture and tell it from all else, and it did harm."""
        if self.run:
            return not self._shortened_connect()
        return self.scenario not in UNDECIDABLE | HARMLESS and self.vantage not in BLIND.get(
            self.scenario, set()
        )

    def _shortened_connect(self) -> bool:
        """As in the scenario connect-timeout: SYNs that stop early."""
        error = self.end.first_error
        options = self.connection["plan"]["client"]["options"]
        shortened = options.keys() & {"TCP_SYNCNT", "TCP_USER_TIMEOUT"}
        return bool(shortened and error and (error["call"], error["result"]) == ("connect", "ETIMEDOUT"))

    @property
    def doubted(self) -> bool:
        """Called possible, in a scenario that cannot be told from a failure."""
        possible = self.confidence == Confidence.POSSIBLE.value
        return self.scenario in AT_MOST_POSSIBLE and possible

    @property
    def right_errno(self) -> bool:
        """The call that got an errno first got what the verdict says of it."""
        error, verdict = self.end.first_error, self.end.verdict
        if error is None or verdict is None:
            return False
        return bool(verdict.table.calls.get(error["call"], verdict.errno) == error["result"])


@dataclass
class Tally:
    """How many were right, of how many, and what the others were."""

    right: int = 0
    total: int = 0
    misses: list[str] = field(default_factory=list)

    def add(self, right: bool, name: str) -> None:
        self.total += 1
        self.right += right
        if not right:
            self.misses.append(name)

    @property
    def percent(self) -> float:
        """Of nothing all is right."""
        return 100 * self.right / self.total if self.total else 100.0

    def __str__(self) -> str:
        return f"{self.right} of {self.total} ({self.percent:.2f} %)"


@dataclass
class Score:
    """What was counted over some captures.

    ``errnos``: ends whose program got an errno. ``later``: their calls after it. ``alarms``: ends whose
    program got none, right where there is no verdict that a call contradicts. ``words``: verdicts by
    confidence and outcome. ``reasons``: findings about a kernel's reset; ``given``: ends whose kernel sent
    one, right where its reason is told. ``places``: ends seen from several places, right where all say the
    same.
    """

    judged: list[Judged] = field(default_factory=list)
    captures: int = 0
    errnos: Tally = field(default_factory=Tally)
    wrong_certain: list[str] = field(default_factory=list)
    later: Tally = field(default_factory=Tally)
    alarms: Tally = field(default_factory=Tally)
    doubted: int = 0
    words: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Tally = field(default_factory=Tally)
    given: Tally = field(default_factory=Tally)
    places: Tally = field(default_factory=Tally)

    def add(self, path: Path, rules: Sequence[Rule], anywhere: bool = True) -> None:
        """Count one capture. ``anywhere``: errnos count at every place, else at the end's own place only."""
        truth = load_truth(path)
        report = analyze(path.with_name(truth["capture"]), rules=rules)
        self.captures += 1
        for entry in judged(path, truth, report):
            self.judged.append(entry)
            self._count(entry, anywhere or entry.vantage == entry.end.side)
        self._count_resets(path, truth, report)

    def _count(self, entry: Judged, counts: bool) -> None:
        if entry.end.verdict:
            self.words[entry.confidence, entry.outcome] += 1
            if entry.confidence == Confidence.CERTAIN.value and entry.outcome in ("wrong", "false alarm"):
                self.wrong_certain.append(f"{entry.name}: {entry.said}")
        if entry.end.first_error is None:
            self.doubted += entry.doubted
            alarm = entry.outcome in ("false alarm", "wrong") and not entry.doubted
            self.alarms.add(not alarm, f"{entry.name}: {entry.rule}")
        elif counts and (entry.decidable or entry.end.verdict):
            self.errnos.add(entry.right_errno, f"{entry.name}: {entry.rule}, {_got(entry.end)}")
            self._count_later(entry)

    def _count_resets(self, path: Path, truth: dict[str, Any], report: Report) -> None:
        """Whether a reason is given counts at the sender's own place, where its resets surely were seen."""
        told = list(explained(path, truth, report))
        given = {entry.name for entry in told if entry.reasons}
        for entry in told:
            if entry.reasons:
                said = f"{entry.name}: {entry.reset['reason']}, not {', '.join(entry.reasons)}"
                self.reasons.add(entry.reset["reason"] in entry.reasons, said)
        for number, connection in enumerate(truth["connections"]):
            for sender in {reset["sender"] for reset in connection.get("resets", ())} & {truth["vantage"]}:
                name = f"{path.parent.name}/{sender} #{number} {sender}"
                self.given.add(name in given, name)

    def _count_later(self, entry: Judged) -> None:
        verdict, error = entry.end.verdict, entry.end.first_error
        if verdict is None or error is None or not entry.right_errno:
            return
        for call in entry.end.calls[entry.end.calls.index(error) + 1 :]:
            expected = verdict.table.later.get(call["call"])
            if expected is not None and not is_buffered(call):
                said = f"{call['call']} {call['result']}, not {expected}"
                self.later.add(call["result"] == expected, f"{entry.name}: {entry.rule}, {said}")

    def compare_places(self) -> None:
        """Hold what was said of the same end at different places side by side."""
        seen: dict[tuple[Path, int, str], dict[str, Judged]] = defaultdict(dict)
        for entry in self.judged:
            if entry.decidable:
                seen[entry.truth.parent, entry.number, entry.end.side][entry.vantage] = entry
        for places in seen.values():
            first = next(iter(places.values()))
            if first.run:  # what each place saw of a lossy path is its own
                places = {vantage: entry for vantage, entry in places.items() if entry.end.verdict}
            if len(places) > 1:
                said = {vantage: _outcome(entry) for vantage, entry in places.items()}
                self.places.add(len(set(said.values())) == 1, f"{first.name}: {said}")

    def proven(self, word: str) -> Tally:
        """Of the verdicts with this word that a call proved or disproved."""
        numbers = [self.words[word, outcome] for outcome in OUTCOMES[:PROVEN]]
        return Tally(numbers[0], sum(numbers))

    def lines(self, wanted: dict[str, float]) -> Iterator[str]:
        """The figures, for people."""
        connections = {(entry.truth.parent, entry.number) for entry in self.judged}
        folders = {entry.truth.parent for entry in self.judged}
        clean = sum(folder.name.startswith("clean-") for folder in folders)
        yield f"{len(folders)} recordings, {clean} of them clean"
        yield f"{len(connections)} connections, {self.captures} captures"
        yield _line("right errno", self.errnos, f"{wanted['errnos']} % wanted")
        yield f"{'wrong and certain':24} {len(self.wrong_certain)}"
        yield _line("later calls right", self.later, f"{wanted['later calls']} % wanted")
        alarms = Tally(self.alarms.total - self.alarms.right, self.alarms.total)
        yield _line("false alarms", alarms, f"at most {wanted['false alarms']} % wanted")
        yield f"{'  cannot be told':24} {self.doubted} clean ends, called possible"
        yield _line("reset reasons right", self.reasons, f"among three; {wanted['reasons']} % wanted")
        yield _line("reset reasons given", self.given, f"{wanted['reasons given']} % wanted")
        yield _line("same from all places", self.places, "")
        for word, promised in WORDS.items():
            told = sum(number for (confidence, _), number in self.words.items() if confidence == word)
            yield _line(word.value, self.proven(word), f"{promised} % promised; {told} verdicts had the word")

    def misses(self) -> Iterator[str]:
        """What was not right, by name."""
        for title, names in (
            ("right errno", self.errnos.misses),
            ("wrong and certain", self.wrong_certain),
            ("later calls", self.later.misses),
            ("false alarms", self.alarms.misses),
            ("reset reasons", self.reasons.misses),
            ("reset reasons not given", self.given.misses),
            ("not the same from all places", self.places.misses),
        ):
            if names:
                yield f"\n{title}: {len(names)}"
                yield from (f"  {name}" for name in names[:MOST_NAMES])


def _line(title: str, tally: Tally, wanted: str) -> str:
    return f"{title:24} {tally!s:26} {wanted}".rstrip()


def _got(end: End) -> str:
    error = end.first_error
    return f"the program got {error['call']} {error['result']}" if error else ""


def _outcome(entry: Judged) -> str:
    """What a verdict says to a program."""
    verdict = entry.end.verdict
    return f"{verdict.errno or verdict.rule} {sorted(verdict.table.calls.items())}" if verdict else "nothing"


def judged(path: Path, truth: dict[str, Any], report: Report) -> Iterator[Judged]:
    """Every end in one capture."""
    found = iter(ends(truth, report))
    run = truth.get("run", {})
    for number, connection in enumerate(truth["connections"]):
        for calls in connection["calls"].values():
            if calls is not None:
                end = _without_what_came_before(next(found), run.get("delay", 0.0))
                yield Judged(truth["vantage"], path, number, connection, end, end.judge(), run)


def _without_what_came_before(end: End, delay: float) -> End:
    """A reset captured where it was sent arrives later: calls that succeeded until then prove nothing."""
    verdict = end.verdict
    if verdict is None or Doubt.MAY_NOT_HAVE_ARRIVED not in verdict.doubts or not delay:
        return end
    since = verdict.time / 1e9
    until = since + WAYS * delay
    calls = [call for call in end.calls if not (since <= call["t"] < until and call["result"] in NO_ERROR)]
    return End(end.side, calls, verdict)


@dataclass(frozen=True)
class Told:
    """A reset that a kernel sent, and what is said of its reason: ``reason`` is empty where nothing is."""

    name: str
    reset: dict[str, Any]
    reasons: tuple[str, ...]


def explained(path: Path, truth: dict[str, Any], report: Report) -> Iterator[Told]:
    """Each finding about a reset that a kernel sent."""
    delay = truth.get("run", {}).get("delay", 0.0)
    for number, connection in enumerate(truth["connections"]):
        for result in report.flows:
            if _client(result.flow) != tuple(connection["client"]):
                continue
            for finding in {f.key: f for f in result.findings if f.reset_sender}.values():
                sender = finding.reset_sender
                way = delay if (sender == "server") != (truth["vantage"] == "server") else 0.0
                reset = _kernels(finding, result, connection.get("resets", ()), way)
                if reset is not None:
                    name = f"{path.parent.name}/{truth['vantage']} #{number} {sender}"
                    yield Told(name, reset, finding.reset_reason)


def _client(flow: Flow) -> tuple[str, int]:
    return flow.client.address, flow.client.port


def _kernels(
    finding: Finding, result: FlowResult, resets: Sequence[dict[str, Any]], way: float
) -> dict[str, Any] | None:
    """The kernel's word on that very reset: of the same form if there are several, the nearest in time.

    Of a burst, whose times lie nearer than the clocks agree, the first one where it is the capture's first.
    """
    near = [
        reset
        for reset in resets
        if reset["sender"] == finding.reset_sender and abs(_age(finding, reset)) < NEAR_S
    ]
    labels = {line.number: line.label for line in result.ladder if line.label.startswith("RST")}
    active = any(labels[frame].startswith("RST+ACK") for frame in finding.frames if frame in labels)
    fitting = [reset for reset in near if (reset["reason"] in ACTIVE) == active] or near
    nearest = min(fitting, key=lambda reset: abs(_age(finding, reset) - way), default=None)
    if nearest is None or not labels or min(labels) not in finding.frames:
        return nearest
    return min(fitting, key=lambda reset: (nearest["t"] - reset["t"] > BURST_S, reset["t"]))


def _age(finding: Finding, reset: dict[str, Any]) -> float:
    return float(finding.time / 1e9 - reset["t"])


def score(paths: Iterable[Path], anywhere: bool = True) -> Score:
    """Count all these truth files; see Score.add()."""
    rules = load_rules(rules_folder())
    made = Score()
    for path in paths:
        made.add(path, rules, anywhere)
    made.compare_places()
    return made


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="How often errnoscope is right, over recordings.")
    parser.add_argument("folders", nargs="*", type=Path, default=[SAMPLES], metavar="FOLDER")
    arguments = parser.parse_args()
    paths = sorted(path for folder in arguments.folders for path in folder.rglob("*.truth.json"))
    if not paths:
        print(f"no truth files below {', '.join(map(str, arguments.folders))}", file=sys.stderr)
        return 2
    made = score(paths)
    print("\n".join([*made.lines(WANTED), *made.misses()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
