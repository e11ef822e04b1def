"""What the browser says of a flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from analyzer.model.columns import Flag
from analyzer.model.finding import Finding, FlowResult, LadderLine, Verdict
from analyzer.model.flow import SIDES
from analyzer.model.picture import Seen
from analyzer.model.rule import Rule
from analyzer.reports.groups import behind, main_finding
from analyzer.reports.look_for import display_filter, log_lines
from analyzer.reports.printable import printable
from analyzer.reports.rule_text import rule_lines
from analyzer.reports.words import calls_in_words, came, clock, headline, later_in_words, moment, result_name

Row = tuple[str, str, str, str, str]
COLUMNS = ("what", "from", "to", "when", "sure")

_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")


def told(result: FlowResult) -> tuple[Verdict | Finding, ...]:
    """Its verdicts, else the warning that came last."""
    return result.verdicts or (main_finding(result),)


def row(result: FlowResult) -> Row:
    """The flow in a line of the list."""
    item = told(result)[0]
    sure = item.confidence.value if isinstance(item, Verdict) else item.severity.value
    return what(item), str(result.flow.client), str(result.flow.server), clock(item.time), sure


def what(item: Verdict | Finding) -> str:
    """``client send EPIPE``; of a warning its rule."""
    if isinstance(item, Finding):
        return f"{SIDES[item.side]} {item.rule}"
    outcome = item.errno or result_name(item.table.calls[item.table.call])
    return f"{SIDES[item.side]} {item.table.call} {outcome}"


def sentences(result: FlowResult) -> list[str]:
    """What each end got, or what there was of trouble."""
    found = []
    for item in told(result):
        finding = behind(result, item)
        said = headline(item) if isinstance(item, Verdict) else f"Trouble at the {SIDES[item.side]}."
        found.append(printable(f"{said} {finding.title}."))
    return found


def haystack(result: FlowResult) -> str:
    """All that the filter finds a flow by."""
    words = [*row(result), *sentences(result), *(finding.rule for finding in result.findings)]
    return " ".join(words).lower()


def page(result: FlowResult) -> Iterable[str]:
    """Why, what to do, and where to look, as lines that may be long."""
    flow = result.flow
    yield f"{flow.client} -> {flow.server}, {moment(flow.start)}, {result.packets:,} packets"
    for item in told(result):
        finding = behind(result, item)
        yield ""
        yield from sentences(result)[:1] if len(told(result)) == 1 else [what(item)]
        if finding.summary:
            yield " ".join(finding.summary.split())
        if isinstance(item, Verdict):
            when, frames = came(item.time, flow.start), " ".join(map(str, item.frames))
            yield f"At {when}. Sure: {item.confidence.value}. Frames {frames}."
            yield from (f"Doubt: {doubt.value}." for doubt in item.doubts)
            yield f"Whichever call comes first: {calls_in_words(item.table)}."
            if item.table.later:
                yield f"Once that was told: {later_in_words(item.table)}."
            yield from (f"In logs: {line}" for line in log_lines(item, flow)[:5])
        yield f"Why: {' '.join(finding.explanation.split())}"
        yield f"Do: {' '.join(finding.fix.split())}"
    if result.messages:
        yield ""
    yield from (
        f"Said in frame {one.number} by the {SIDES[one.side]}: {one.words}" for one in result.messages
    )
    yield ""
    yield f"Wireshark: {display_filter(flow)}"


def rule_page(result: FlowResult, rules: Mapping[str, Rule]) -> Iterable[str]:
    """The rules behind it, in full."""
    for name in dict.fromkeys(item.rule for item in told(result)):
        if name in rules:
            for text in rule_lines(rules[name]):
                yield from text.split("\n")
            yield ""
        else:
            yield f"{name}: see errnoscope explain {name}"


def details(line: LadderLine | Seen, before: LadderLine | Seen | None, result: FlowResult) -> str:
    """All that is known of a segment."""
    parts = [f"frame {line.number}", f"{(line.time - result.flow.start) / 1e9:.6f} s"]
    if before:
        parts.append(f"+{(line.time - before.time) / 1e6:.3f} ms")
    parts.append(line.reporter or SIDES[line.side])
    if isinstance(line, LadderLine):
        return ", ".join([*parts, line.label])
    flags = " ".join(name for bit, name in enumerate(_FLAGS) if line.flags & 1 << bit)
    known = {"seq": line.seq, "ack": line.ack, "window": line.window}
    parts += [flags] if line.flags & ~Flag.CWR else []
    parts += [f"{name} {value:,}" for name, value in known.items() if value is not None]
    parts.append(f"{line.payload:,} bytes")
    parts += [f"{side} {state}" for side, state in zip(SIDES, line.states, strict=True) if state]
    return ", ".join(parts)
