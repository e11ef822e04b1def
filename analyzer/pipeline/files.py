"""Captures in files, pipes and memory: a report of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Protocol

from analyzer.flows.legs import ToldLegs
from analyzer.logs.open import LogSource
from analyzer.matching.load import load_rules, rules_folder
from analyzer.matching.match import Matcher
from analyzer.model.application import Dissection
from analyzer.model.blocks import MAX_FRAMES
from analyzer.model.capture import Capture
from analyzer.model.filter import EVERYTHING, Filter
from analyzer.model.finding import FlowResult
from analyzer.model.flow import MAX_FLOWS
from analyzer.model.host import DEFAULT_HOST, Host
from analyzer.model.report import Report, Totals
from analyzer.model.rule import Rule
from analyzer.model.seen import Seeing
from analyzer.pipeline.again import Progress
from analyzer.pipeline.begun import AnewError, Begun, batch_rows
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.logs import explained, opened_logs
from analyzer.pipeline.reading import Reading
from analyzer.sources.inputs import Input, Named, inputs
from analyzer.sources.series import series
from analyzer.verdicts.choose import choose
from analyzer.verdicts.incidents import incidents
from analyzer.verdicts.services import Services
from analyzer.verdicts.twice import Twice


def analyze(
    *captures: Named,
    rules: Sequence[Rule] | None = None,
    client: Host = DEFAULT_HOST,
    server: Host = DEFAULT_HOST,
    only: Filter = EVERYTHING,
    all_flows: bool = False,
    progress: Progress | None = None,
    max_frames: int = MAX_FRAMES,
    jobs: int | None = 1,
    max_flows: int = MAX_FLOWS,
    logs: Sequence[LogSource] = (),
    dissection: Dissection | None = None,
    decoder: str = "",
    begun: Begun | None = None,
    seeing: Seeing | None = None,
) -> Report:
    """Read captures and say which errno each end got.

    A capture is a path, ``-`` for standard input, a directory or a pattern; or an open binary file; or a
    PacketList or any other iterable of packets of scapy. Files of which each carries on
    the one before, as those of a rotation do, are judged as one capture; all others each by itself.

    ``client`` and ``server`` are what is known of the machines at the two ends; ``only`` says what of the
    results is in the report; with ``all_flows`` it has the flows without a finding as well. ``jobs`` is how
    many processes work, None: two for large files, where this process may use two processors. The answer is
    the same. Of more than ``max_flows`` open flows those that were silent longest are let go.
    ``logs`` are paths, ``-``, single lines or iterables of lines: the report's ``log`` says which flow
    explains each line.
    With ``dissection`` tshark is asked what the programs of the flows that are told of had said; with
    ``decoder`` ``tshark`` it reads the files as well. ``seeing`` is shown all segments and flows meanwhile;
    ``begun`` is the capture where it is read already.

    Raises UserError where a rule file is wrong, a log or the only capture cannot be opened. A capture that
    cannot be read to its end is reported up to there, with ``damage`` set in its entry of ``captures``.
    """
    known = load_rules(rules_folder()) if rules is None else rules
    hosts = (client, server)

    def read(files: Sequence[Input], *, every: bool) -> Reading:
        matcher = Matcher(known)
        engines: list[Engine] = []

        def engine(*, read_once: bool = False, legs: ToldLegs | None = None) -> Engine:
            first_flow = engines.pop().next_flow if engines else 0
            made = Engine(
                matcher,
                batch=batch_rows(max_frames),
                hosts=hosts,
                all_flows=every,
                max_flows=max_flows,
                keep_blocks=read_once,
                seeing=seeing,
                first_flow=first_flow,
                legs=legs,
            )
            engines.append(made)
            return made

        def reading(jobs: int | None, begun: Begun | None) -> Reading:
            made = Reading(engine, files, progress, max_frames, jobs, begun, seeing)
            for members in series(files):
                made.series(members)
            return made

        how, first = jobs, begun
        while True:
            try:
                return reading(how, first)
            except AnewError as error:
                how, first = error.jobs, None
            engines.clear()  # and with them all that the reading before had kept

    return reported(
        captures,
        read,
        rules=len(known),
        hosts=hosts,
        only=only,
        all_flows=all_flows,
        logs=logs,
        dissection=dissection,
        decoder=decoder,
        named=begun.named if begun else None,
        progress=progress,
    )


class HasRead(Protocol):
    """What was read of all files: see Reading."""

    captures: list[Capture]
    totals: Totals
    services: Services
    twice: Twice
    found: list[tuple[int, list[FlowResult]]]


class Reads(Protocol):
    """Reads files; ``every``: flows without a finding are wanted as well."""

    def __call__(self, files: Sequence[Input], *, every: bool) -> HasRead:
        """May raise UserError."""


def reported(
    captures: Sequence[Named],
    read: Reads,
    *,
    rules: int,
    hosts: tuple[Host, Host] = (DEFAULT_HOST, DEFAULT_HOST),
    only: Filter = EVERYTHING,
    all_flows: bool = False,
    logs: Sequence[LogSource] = (),
    dissection: Dissection | None = None,
    decoder: str = "",
    named: tuple[list[Input], list[str]] | None = None,
    progress: Progress | None = None,
) -> Report:
    """The report of captures that ``read`` reads, with so many rules; the rest is as for ``analyze``."""
    log_files = opened_logs(logs)
    files, notes = named or inputs(captures, decoder)
    if len(files) == 1 and files[0].error:
        raise files[0].error
    reading = read(files, every=all_flows or bool(logs))
    flows = [result for _, results in sorted(reading.found, key=itemgetter(0)) for result in results]
    log = explained(log_files, flows, reading.captures, hosts)
    flows = [result for result in flows if not result.harmless and (all_flows or result.findings)]
    totals, services = reading.totals, reading.services
    totals.rules = rules
    totals.longest_pause = services.longest_pause()
    first = min((capture.first for capture in reading.captures if capture.first is not None), default=0)
    told, left_out = choose(flows, only, first)
    if dissection:
        from analyzer.pipeline.applications import with_messages

        told, unread = with_messages(told, reading.captures, dissection, progress)
        notes = [*notes, *unread]
    return Report(
        captures=tuple(reading.captures),
        totals=totals,
        flows=tuple(told),
        incidents=incidents(told, services),
        notes=tuple(notes),
        only=only,
        left_out=left_out,
        hosts=hosts,
        all_flows=all_flows,
        log=log,
        twice=reading.twice.told(),
    )
