"""What the shadow sockets of one transcript tell, in a form that can be read when a test fails."""

from __future__ import annotations

from dataclasses import dataclass, field

from analyzer.decode.packets import decode
from analyzer.flows.tracker import Tracker
from analyzer.model.blocks import MAX_FRAMES
from analyzer.model.event import Event, IcmpReceived, ResetReceived, Retransmission, RetransmissionTimeout
from analyzer.model.event import Withdrawn as WithdrawnEvent
from analyzer.model.flow import SIDES, Kind
from analyzer.model.host import Host
from analyzer.sockets.shadow import ShadowFlow, Told
from analyzer.sources.transcript import TranscriptSource, parse
from analyzer.sources.transcript.steps import START

HANDSHAKE = """
client > server  S   0:0(0)        <mss 1460>
server > client  S.  0:0(0)  ack 1 <mss 1460>
client > server  .   1:1(0)  ack 1
"""


@dataclass
class Story:
    """All that was told, in its order, and what was taken back."""

    told: list[Told] = field(default_factory=list)

    @property
    def events(self) -> list[Event]:
        return [told for told in self.told if isinstance(told, Event)]

    @property
    def withdrawn(self) -> list[str]:
        return [told.key for told in self.told if isinstance(told, WithdrawnEvent)]

    @property
    def standing(self) -> list[Event]:
        """What is left in the end: of each key the last event, unless it was withdrawn after it."""
        left: dict[str, Event] = {}
        for told in self.told:
            if isinstance(told, WithdrawnEvent):
                left.pop(told.key, None)
            else:
                left[told.key] = told
        return list(left.values())

    @property
    def resets(self) -> list[ResetReceived]:
        return [event for event in self.events if isinstance(event, ResetReceived)]

    @property
    def icmp(self) -> list[IcmpReceived]:
        return [event for event in self.events if isinstance(event, IcmpReceived)]

    @property
    def retries(self) -> list[Retransmission]:
        return [event for event in self.events if isinstance(event, Retransmission)]

    @property
    def timeouts(self) -> list[RetransmissionTimeout]:
        return [event for event in self.events if isinstance(event, RetransmissionTimeout)]

    def __repr__(self) -> str:
        """A line each; pytest prints it."""
        return "\n".join(["the story:", *map(_line, self.told)])


def _line(told: Told) -> str:
    if isinstance(told, WithdrawnEvent):
        return f"           withdrawn: {told.key}"
    socket = told.socket
    view = next(
        (
            getattr(told, name)
            for name in ("segment", "icmp", "retry", "probe", "wait")
            if hasattr(told, name)
        ),
        "",
    )
    closed = " closed" if socket.closed else ""
    doubts = ", ".join(sorted(doubt.name for doubt in told.doubts))
    return (
        f"{(told.time - START) / 1e9:10.3f} {told.name} at the {SIDES[told.side]} in {socket.state}{closed}, "
        f"{socket.activity}, frames {told.frames}, {view} {doubts}"
    )


def observe(text: str, *, batch: int = MAX_FRAMES, version: int = 4, client: str = "linux") -> Story:
    """Transcript to events, by way of everything that stands before the shadow sockets.

    ``client`` is its system; the server's is Linux.
    """
    tracker, story = Tracker(Kind.ALL), Story()
    shadows: dict[int, ShadowFlow] = {}
    hosts = Host(client), Host("linux")
    for block in TranscriptSource(parse(text, version=version), max_frames=batch).blocks():
        tracked = tracker.feed(decode(block))
        for flow in tracked.flows:
            shadows[flow.id] = ShadowFlow(flow, *hosts)
        for segment in tracked.segments:
            story.told.extend(shadows[segment.flow].receive(segment))
        for shadow in shadows.values():
            story.told.extend(shadow.tick(tracker.clock))
        for end in tracked.ended:
            story.told.extend(shadows.pop(end.flow).finish(end))
    for end in tracker.finish():
        story.told.extend(shadows.pop(end.flow).finish(end))
    return story


def after_handshake(*lines: str) -> str:
    return HANDSHAKE + "\n".join(lines)
