"""What the browser is given, and what it may ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from analyzer.model.finding import FlowResult
from analyzer.model.picture import Picture
from analyzer.model.rule import Rule


@dataclass(frozen=True, slots=True)
class Browsed:
    """Flows that failed or had trouble, and how to learn more of each.

    ``names`` of the captures, by their index, if there are several: they tell one from the other.
    ``picture`` reads the capture once more, and may take a while; None where that cannot be. ``export``
    writes the flow into a new capture of that path, ``file_name`` suggests one; both raise UserError.
    ``doubts`` is what the captures cannot show, ``silence`` what is said of hosts that are not there.
    """

    title: str
    rules: Mapping[str, Rule] = field(default_factory=dict)
    results: Sequence[FlowResult] = ()
    picture: Callable[[FlowResult], Picture | None] = lambda _: None
    file_name: Callable[[FlowResult], str] = lambda _: ""
    export: Callable[[FlowResult, str], None] | None = None
    names: Sequence[str] = ()
    doubts: Sequence[str] = ()
    silence: str = ""

    def place(self, result: FlowResult) -> str:
        """The capture that a flow is in, the first of them; empty where there is but one."""
        return self.names[result.captures[0]] if self.names and result.captures else ""
