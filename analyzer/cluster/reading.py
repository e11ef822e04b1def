"""Reads files as ``pipeline.reading`` does, by tasks that others may do."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.cluster.driving import Doer, Watcher, driven
from analyzer.cluster.job import Job
from analyzer.cluster.series import judged
from analyzer.model.capture import Capture
from analyzer.model.finding import FlowResult
from analyzer.model.report import Totals
from analyzer.sources.inputs import Input
from analyzer.sources.series import series
from analyzer.verdicts.services import Services
from analyzer.verdicts.twice import Twice


class ClusterReading:
    """What all files hold; the fields are those of Reading."""

    def __init__(self, files: Sequence[Input], job: Job, doer: Doer, watcher: Watcher) -> None:
        """Raises UserError where the run cannot go on."""
        self.captures = [Capture(file.path, "", damage=file.error) for file in files]
        self.totals = Totals()
        self.services = Services()
        self.twice = Twice()
        self.found: list[tuple[int, list[FlowResult]]] = []
        steps = [judged(job, files, members, self.captures) for members in series(files)]
        for groups in driven(steps, doer, watcher):
            for group in groups:
                self.found.append((min(group.captures, default=0), group.results))
                group.found.add_to(self.totals)
                self.services.merge(group.found.services)
                self.twice.merge(group.found.twice)
