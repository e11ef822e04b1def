"""A capture that goes on and rotates: its files are taken as they are finished, one after the other."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace

from analyzer.errors import UserError
from analyzer.flows.keys import seed, take_seed
from analyzer.matching.match import Matcher
from analyzer.model.blocks import FrameBlock
from analyzer.model.capture import Capture
from analyzer.model.filter import EVERYTHING, Filter
from analyzer.model.finding import FlowResult, News
from analyzer.model.host import DEFAULT_HOST, Host
from analyzer.model.live import Standing
from analyzer.model.report import Report, Totals
from analyzer.model.rule import Rule
from analyzer.pipeline.begun import counted_on
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.front import BATCH_ROWS
from analyzer.pipeline.reading import begin_of
from analyzer.pipeline.watching import chosen
from analyzer.sources.inputs import Input, beginning, open_input
from analyzer.sources.rotation import QUIET, Rotation
from analyzer.sources.series import Seam
from analyzer.verdicts.choose import choose
from analyzer.verdicts.incidents import incidents
from analyzer.verdicts.places import Places, in_files
from analyzer.verdicts.services import Services
from analyzer.verdicts.twice import Twice

_TRIES = 3
"""Times that a file is asked for which cannot be read: storage fails now and then."""
_COLUMNS = ("offsets", "captured", "original", "times", "link_types")


@dataclass(frozen=True, slots=True)
class Step:
    """What a file brought; ``path`` is the file."""

    path: str
    news: Sequence[News]
    standing: Standing


class Following:
    """Reads the files of ``name``, a directory or a pattern, each of which goes on where one has ended.

    Connections stay open over them. Can be pickled between two steps, and taken up again in another process.

    ``keep_results``: there is to be a report at the end. ``quiet``: see Rotation.
    """

    def __init__(
        self,
        name: str,
        rules: Sequence[Rule],
        *,
        client: Host = DEFAULT_HOST,
        server: Host = DEFAULT_HOST,
        only: Filter = EVERYTHING,
        quiet: float = QUIET,
        keep_results: bool = True,
    ) -> None:
        self.rotation = Rotation(name, quiet)
        self.captures: list[Capture] = []
        self._hosts = (client, server)
        self._only = only
        self._keep_results = keep_results
        self._results: list[FlowResult] = []
        self._totals = Totals(rules=len(rules))
        self._services = Services()
        self._twice = Twice()
        self._tries = 0
        self._unfinished = ""
        """The path of the last file, where it could not be read to its end and is asked for again."""
        self._rules = rules
        self._begin()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_rules"} | {"_seed": seed()}

    def go_on(self, rules: Sequence[Rule]) -> None:
        """Take it up again where it was pickled; the rules must be the same."""
        take_seed(self.__dict__.pop("_seed"))
        self._rules = rules
        self._engine.go_on(Matcher(rules))

    @property
    def asks_again(self) -> bool:
        """Whether the last file could not be read, and is to be asked for again after a moment."""
        return self._tries > 0

    @property
    def open_flows(self) -> int:
        """How many connections stay open."""
        return self._engine.open_flows

    def step(self) -> Step | None:
        """Read the next file, if one is finished. Raises UserError where the directory cannot be read."""
        found = self.rotation.next()
        if found is None:
            return None
        one, before = found
        news = []
        if not before and self._packets and self._unfinished != one.path:
            begin = beginning(one)
            if begin is not None and self._seam.overlaps(begin_of(begin)):
                self.rotation.problems.append(
                    f"{one.path}: begins before the end of the file before it: two at a time? "
                    "Each of them needs a pattern and a run of its own; no connection goes on here"
                )
            if begin is None or not (self._seam.follows(begin_of(begin)) and self._engine.carries_on(begin)):
                news += self._ended()
        problem = self._read(one, before)
        news += self._news()
        if problem:
            news += self._ended()
        if not self._keep_results:
            self._engine.forget_results()
        packets = sum(capture.packets for capture in self.captures)
        return Step(one.path, news, Standing(packets, self._engine.open_flows, problems=tuple(problem)))

    def report(self) -> Report:
        """The report of all that was read; there is no further step after it."""
        self._ended()
        first = self.captures[0].first if self.captures else None
        told, left_out = choose(self._results, self._only, first or 0)
        return Report(
            captures=tuple(self.captures),
            totals=replace(self._totals, longest_pause=self._services.longest_pause()),
            flows=tuple(told),
            incidents=incidents(told, self._services),
            only=self._only,
            left_out=left_out,
            hosts=self._hosts,
            twice=self._twice.told(),
        )

    def copy(self) -> Following:
        """Another one that stands where this one does."""
        copied: Following = pickle.loads(pickle.dumps(self))  # noqa: S301  (of this process)
        copied.go_on(self._rules)
        return copied

    def _begin(self) -> None:
        """What comes next goes on nothing."""
        self._engine = Engine(Matcher(self._rules), batch=BATCH_ROWS, hosts=self._hosts, keep_news=True)
        self._seam = Seam()
        self._places = Places()
        self._packets = self._packets_before = 0

    def _read(self, one: Input, before: int) -> list[str]:
        """Read a file from its frame ``before`` on; a sentence about what went wrong, if anything did."""
        goes_on = before > 0 or self._unfinished == one.path
        index = len(self.captures) - goes_on
        try:
            source = open_input(one, index)
        except UserError as error:
            return self._failed(one, error, before)
        if self._places.captures and index > 0:
            known = self.captures[index].carries_on if goes_on else self._places.captures[-1]
            source.capture.carries_on = known
        if not goes_on or not self._places.before:
            self._places.add(index, self._packets)
            self._packets_before = self._packets
        self.captures[index:] = [source.capture]
        with source:
            for block in source.blocks():
                if len(rest := _behind(block, before)):
                    self._seam.note(rest)
                    self._engine.feed(counted_on(rest, self._packets_before))
        self._engine.rest()
        self._packets = self._packets_before + source.capture.packets
        damage = source.capture.damage
        if damage:
            self._unfinished = one.path
            return self._failed(one, damage, source.capture.packets)
        self._tries, self._unfinished = 0, ""
        self.rotation.took(one, source.capture.packets)
        return []

    def _failed(self, one: Input, error: UserError, packets: int) -> list[str]:
        """It could not be read, or not to its end: once more, if that may help."""
        self._tries += 1
        again = error.reference == "unreadable-file" and self._tries < _TRIES
        self.rotation.took(one, packets, whole=not again)
        if again:
            return []
        self._tries, self._unfinished = 0, ""
        return [str(error)]

    def _news(self) -> list[News]:
        """What is to be said now, with the numbers that the frames have in their files."""
        first = self.captures[0].first if self.captures else None
        told = chosen(self._engine.take_news(), self._only, first or 0)
        return [item._replace(result=in_files(item.result, self._places)) for item in told]

    def _ended(self) -> list[News]:
        """The connections that are open do not go on: the last that is said of them."""
        results, places = self._engine.finish(), self._places
        news = self._news()
        if self._keep_results:
            self._results += [in_files(result, places) for result in results]
        self._engine.add_to(self._totals)
        self._services.merge(self._engine.services)
        self._twice.merge(self._engine.twice)
        if self.captures:
            self.captures[-1].problems.extend(self._engine.problems())
            self.captures[-1].silent.extend(self._engine.silent())
        self._begin()
        return news


def _behind(block: FrameBlock, before: int) -> FrameBlock:
    """The frames of a block with higher numbers than that."""
    count = min(max(before + 1 - block.first_number, 0), len(block))
    if not count:
        return block
    columns = {name: getattr(block, name)[count:] for name in _COLUMNS}
    return replace(block, first_number=block.first_number + count, **columns)
