"""What shadow sockets report and rules fire on. The fields of the views are the rules' whole vocabulary."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

from analyzer.model.flow import SIDES, Kind
from analyzer.model.socket import State


def said(doc: str, *values: str) -> Any:
    """A documented field of a view; ``values`` are all that a text can be."""
    return field(metadata={"doc": doc, "values": values})


class Activity(StrEnum):
    """What the program at an end was most probably doing, as far as the wire shows it."""

    CONNECTING = "connecting"
    SENDING = "sending"
    WAITING = "waiting"


class Doubt(StrEnum):
    """Why an event may not be what it seems; verdicts.confidence says how much each one weighs."""

    HANDSHAKE_NOT_SEEN = "the capture does not hold the handshake of this connection"
    ONE_DIRECTION = "only one direction of this connection was captured"
    PACKETS_DROPPED = "the capture lost packets, of any connection, while this one was open"
    BYTES_NOT_CAPTURED = "bytes were acknowledged that are not in the capture"
    RESET_NUMBER_UNPROVEN = (
        "whether the reset had the sequence number that its receiver expected is not certain"
    )
    ANOTHER_SYSTEM = "this end's packets do not look like those of the system that it is taken to run"
    SYSTEM_GUESSED = "which system this end runs is a guess, from the TTL of its packets alone"
    SENDER_UNANSWERED = (
        "who sent the reset had had no answer for some time: the way to the other end may be dead"
    )
    FIN_UNPROVEN = "whether the other end's FIN had arrived by then is not certain"
    EARLIER_RESET_IN_VAIN = "an earlier reset of this connection had no effect"
    MAY_NOT_HAVE_ARRIVED = "captured near its sender: it may have been lost on the way to the other end"
    CONNECT_MAY_HOLD_THE_SOCKET = (
        "the ICMP message came so soon that connect() may still have held the socket: then it ends nothing"
    )
    CONNECT_MAY_HAVE_RETURNED = (
        "the reset came right after the handshake: if connect() had returned by then, the next call fails so"
    )
    NO_LATER_FRAME = "the capture ends before the next retransmission was due"
    OWN_LIMIT = (
        "the retransmissions stopped before the system's limit, as far as that is known: a lower one was set"
    )
    NOT_CONNECTED = "a UDP socket that was not connected hears of no ICMP error; the wire cannot tell"
    INTERVAL_UNPROVEN = "a single probe does not tell the interval after which the next one was due"
    NEVER_ANSWERED = "the other end had not sent any data: whether it owed an answer is not shown"
    MAYBE_ONE_WAY = "this end had sent several messages without any answer: perhaps it expected none"
    MAYBE_FAREWELL = (
        "the last message may have been a farewell, which is not answered (it was short, or encrypted)"
    )
    OWN_TIMER = "the wait was long, but that a timer of the program ended it is not shown"
    NO_ROUND_TIME = "the wait did not last for a round number of seconds, as timers do"
    NOT_READ = "that an answer was due is told by who spoke last, not by what was said"
    PAYLOAD_CUT = "not judged by what was said: the capture cut it short (-s 0 keeps all of it)"
    SERVER_ASKS = "the server spoke first: the client's last words may have been an answer themselves"
    NEXT_HOP_GUESSED = "that the address asked for is its router is told by the time of the questions alone"
    NEXT_HOP_BUSY = (
        "that address was asked for before the next one was due: perhaps for other connections only"
    )
    ASKED_BEFORE = "the other end was asked for before the next one was due: not for this connection alone"
    NO_LATER_ANSWER = "the capture ends before the last question could have been answered"
    SYN_NOT_SEEN = (
        "the SYN that it answers is not in the capture: whether a program called connect() is not shown"
    )
    CONNECT_MAY_HAVE_GIVEN_UP = (
        "how long connect() had waited by then is not in the capture: the program may have given up before"
    )
    MAYBE_CLOSED = "as many retransmissions as for a socket that its program had already closed"


@dataclass(frozen=True, slots=True)
class SocketView:
    """The end that the event happened to, just before it."""

    role: str = said("which end this is", *SIDES)
    state: str = said("TCP state before the event", *(state.value for state in State))
    connects: bool = said("it sent a SYN of its own: its program called connect()")
    closed: bool = said("its program had closed it: it sent FIN, and read nothing that came later")
    activity: str = said("what its program was most probably doing", *(a.value for a in Activity))
    bytes_sent: int = said("payload bytes that this end had sent, repetitions included")
    bytes_received: int = said("payload bytes that the other end had sent, repetitions included")
    sent_after_fin: bool = said("it sent data after the other end's FIN")
    said_farewell: bool = said("all of that is as long as a TLS close_notify, which needs no answer")
    unanswered: bool = said("it sent data after the last data of the other end")
    unacknowledged: bool = said("the other end had not acknowledged all that this one had sent")


@dataclass(frozen=True, slots=True)
class FlowView:
    """The flow as a whole, up to the event."""

    ip_version: int = said("4 or 6")
    handshake_seen: bool = said("the capture holds the SYN")
    age: float = said("seconds since the flow's first packet")
    unaccepted: bool = said(
        "the server has sent nothing but its SYN+ACK, and that again although the client had acknowledged it"
    )


@dataclass(frozen=True, slots=True)
class ResetView:
    """The reset segment."""

    accepted: bool = said("its receiver acts on it (RFC 5961 section 3.2, RFC 9293 section 3.10.7.3)")
    form: str = said(
        "'reply': answers a segment (window 0, RST alone or to a SYN); 'active'", "reply", "active"
    )
    ttl_differs: bool = said("its TTL or hop limit is not that of its sender's other packets")
    challenged: bool = said(
        "its receiver does not act on it, and answers it with an ACK (RFC 5961 section 3.2)"
    )
    answers: str = said(
        "what the answered segment carried", "syn", "syn-ack", "data", "fin", "probe", "ack", "nothing"
    )
    after_probes: bool = said("its sender had sent keepalive or window probes that had no answer")
    sender_state: str = said(
        "TCP state of its sender before it, CLOSED after an earlier reset", *(state.value for state in State)
    )
    sender_took_part: bool = said("its sender had sent more than its part of the handshake")
    new_syn: bool = said("its sender had tried to open a new connection in the place of this one")
    left_data: bool = said("its receiver had not acknowledged all that its sender had sent")
    left_out_timestamps: bool = said("it has ACK but no timestamps, which both ends had agreed on")
    too_soon: bool = said(
        "it answers data sooner than the handshake's round trip allows: something nearer sent it"
    )
    receiver_unseen: bool = said("no segment of its receiver was captured but resets")
    since_open: float = said(
        "seconds that its receiver had been open when it arrived; 0 where that is unknown"
    )
    silence: float = said("seconds since its sender was last heard of; 0 where it never was")
    payload: int = said("bytes of payload that it carries")
    after_farewell: str = said(
        "its receiver's last bytes are a TLS record that is as short as a close_notify",
        "unknown",
        "yes",
        "no",
    )
    handshake: str = said(
        "how far TLS had come, where it reached a client without any answer; 'none' where TLS is not spoken",
        "unknown",
        "none",
        "client-hello",
        "server-hello",
        "complete",
    )
    told: str = said("what such a client had asked, as a sentence; empty where nothing is known")
    says: str = said(
        "the reason that stands in its payload (draft-ietf-tcpm-rst-diagnostic-payload), in words; empty"
    )


@dataclass(frozen=True, slots=True)
class IcmpView:
    """The ICMP message; it is the sender of the quoted packet that the event happens to."""

    version: int = said("4: ICMP, 6: ICMPv6")
    type: int = said("ICMP type")
    code: int = said("ICMP code")
    meaning: str = said("what type and code mean, in words")
    errno: str = said("errno that this system maps type and code to; empty where it maps to none")
    fatal: bool = said("ends a connection attempt on this system")
    soft: bool = said("kept on an established connection, reported if that times out")
    quotes_our_syn: bool = said("the quoted sequence number is that of our SYN")
    in_window: bool = said("the quoted sequence number is one that was sent and not yet acknowledged")
    datagram: str = said(
        "what it does to a connected UDP socket: the next call fails once ('hard'), the same if the program "
        "asked for it ('recverr'), nothing ('none')",
        "hard",
        "recverr",
        "none",
    )
    reporter: str = said("address of the sender of the ICMP message")
    own: bool = said("that is the host itself which was to send the quoted packet: it never left it")


@dataclass(frozen=True, slots=True)
class RetryView:
    """A run of retransmissions of the same bytes without any acknowledgement of them."""

    what: str = said(
        "what was sent again; a probe asks a closed window", "syn", "syn-ack", "data", "fin", "probe"
    )
    count: int = said("retransmissions so far; the first transmission is not counted, but of probes")
    elapsed: float = said("seconds from the first transmission to the last retransmission")
    last_interval: float = said("seconds between the last two transmissions")
    next_due: str = said("when the next one is due: date and time of day, UTC")
    gives_up_at: str = said(
        "when this system gives up, as far as its settings are known: date and time of day, UTC"
    )
    gives_up_after: float = said("seconds from the first transmission to then")
    answered: bool = said("the other end sent something after most of them, though no acknowledgement")
    unheard: bool = said(
        "of a SYN or SYN+ACK: this SYN+ACK was captured, and the SYN is sent again all the same"
    )
    echoed: bool = said(
        "after most of them the other end sent again what had been acknowledged, and nothing new"
    )
    length: int = said("payload bytes of the last one")
    delivered: int = said(
        "payload bytes of this end that had been acknowledged on this connection, 0 if unknown"
    )
    in_vain: int = said(
        "of a SYN+ACK: how often it was sent again although the client had acknowledged it; else 0"
    )
    ignored: int = said(
        "of such a SYN+ACK: how many segments of the client after its SYN were not acknowledged; else 0"
    )
    soft_errno: str = said("errno of an ICMP error kept since it was heard of; empty where there is none")
    next_hop: str = said(
        "address that its host asked for in vain (ARP, neighbour discovery) when the next one was due: the "
        "other end's, or a router's; empty where there is none"
    )
    asked: int = said("how often it asked for that address since the last transmission; else 0")
    fits: str = said(
        "of SYNs that stopped: which lower limit ends it so, or that none does, as a sentence; empty"
    )
    exhausted: bool = said("the system, as far as its settings are known, does not try again after this one")
    stopped: bool = said("the next one was due and did not come: the system gave up")
    recovered: bool = said("acknowledged at last")


@dataclass(frozen=True, slots=True)
class ProbeView:
    """Keepalive probes, or probes of a closed window."""

    count: int = said("probes since the other end was last heard of")
    interval: float = said("seconds between the last probe and what came after it")
    seconds: float = said("seconds since the other end was last heard of, or since it closed its window")
    gives_up_at: str = said(
        "when this system gives up a keepalive with its default count, if nobody answers: date and time, "
        "UTC; empty where that is past, or unknown"
    )
    soft_errno: str = said("errno of an ICMP error kept since the other end was heard of; empty: none")


@dataclass(frozen=True, slots=True)
class WaitView:
    """An answer that was due: this end had sent data after the last data that it received."""

    seconds: float = said("seconds from the last data of this end to the end of its wait")
    acknowledged: bool = said("the other end had acknowledged all of that data")
    request: str = said("the same, in words", "had acknowledged", "had not acknowledged")
    answered_before: bool = said("the other end had sent data earlier on this connection")
    one_way: bool = said("this end had sent for seconds without ever getting data: none may be due")
    round_time: bool = said("the wait lasted for a round number of seconds")
    refused: bool = said("an answer came later, and was answered with a reset")
    reset: bool = said("this end ended the connection with a reset, not with FIN")
    window_closed: bool = said("the other end had closed its receive window, and took no more data")


@dataclass(frozen=True, slots=True)
class MessageView:
    """What both ends said, read once more where it matters; all unknown before, and where it was not kept."""

    protocol: str = said(
        "recognised by what was said, never by a port: 'tls', 'http', 'http2' or one of data/languages.yaml; "
        "'unknown'"
    )
    answer: str = said(
        "to the client's last words: none came though one was due ('due'), a part of it ('cut'), all of it "
        "('complete'), none is asked for ('not-due')",
        "unknown",
        "due",
        "cut",
        "complete",
        "not-due",
    )
    because: str = said(
        "why: there is no answer, TLS refuses with an alert; the answer or a TLS record is cut; it was "
        "answered, or before all of the request was sent; a goodbye; a protocol without answers; a TLS "
        "connection that was opened and not used; the last words are encrypted",
        "unknown",
        "no-answer",
        "alert",
        "answer-cut",
        "record-cut",
        "answered",
        "answered-early",
        "goodbye",
        "one-way",
        "unused",
        "sealed",
    )
    request: str = said("method and path of the request in flight; empty where that cannot be read")
    missing: int = said("bytes of the answer that did not come; 0 where not known")
    lacks: str = said("the same as a sentence; empty where nothing is missing")
    in_record: bool = said("what the server sent ends inside a TLS record")
    handshake: str = said(
        "how far TLS came; 'none' where it is not spoken", "none", "client-hello", "server-hello", "complete"
    )
    server_name: str = said("the server name that the ClientHello asks for; empty where there is none")
    alert: str = said("the last TLS alert that is not encrypted and no farewell, by name; empty")
    alert_from: str = said("who sent it", "", *SIDES)
    server_asks: bool = said("the server spoke first")
    told: str = said("what was asked, as a sentence; empty where nothing is known")
    farewell: str = said(
        "the client's last bytes are a TLS record as short as a close_notify", "unknown", "yes", "no"
    )
    reset_says: str = said("the reason that stands in the payload of a reset, in words; empty")
    read: bool = said("what both ends said was read")
    cut_short: bool = said("the capture cut off what might tell whether an answer was due")


@dataclass(frozen=True, slots=True)
class QueryView:
    """A question in a datagram, to which no datagram came back."""

    protocol: str = said("recognised by what was asked, never by a port", "unknown", "dns")
    question: str = said("what was asked: name and type")
    count: int = said("datagrams that asked")
    seconds: float = said("seconds that nothing came after the last of them; 5 where it was longer")


UNREAD = MessageView(
    "unknown",
    "unknown",
    "unknown",
    "",
    0,
    "",
    False,
    "none",
    "",
    "",
    "",
    False,
    "",
    "unknown",
    "",
    False,
    False,
)
"""Before anything was read."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the socket at ``side`` of a flow; ``system``: what that end is taken to run.

    ``time`` in nanoseconds since the epoch (of a deadline: the deadline's), ``frames`` those that show it.
    Events with the same ``key`` in a flow tell the same story: the later one replaces the earlier.
    """

    name: ClassVar[str]
    triggers: ClassVar[int]
    """Kinds of segments without one of which the event cannot occur."""

    flow_id: int
    side: int
    system: str
    time: int
    frames: tuple[int, ...]
    key: str
    doubts: frozenset[Doubt]
    socket: SocketView
    flow: FlowView


@dataclass(frozen=True, slots=True)
class ResetReceived(Event):
    """A RST reached this end."""

    name = "reset_received"
    triggers = Kind.RST

    segment: ResetView


@dataclass(frozen=True, slots=True)
class IcmpReceived(Event):
    """An ICMP error that quotes a packet of this end reached it."""

    name = "icmp_received"
    triggers = Kind.ICMP

    icmp: IcmpView


@dataclass(frozen=True, slots=True)
class Retransmission(Event):
    """This end sent a SYN again, or for the second time other bytes, unacknowledged; told as one story."""

    name = "retransmission"
    triggers = Kind.REPEATED

    retry: RetryView


@dataclass(frozen=True, slots=True)
class RetransmissionTimeout(Event):
    """This end's system gave up retransmitting."""

    name = "retransmission_timeout"
    triggers = Kind.REPEATED

    retry: RetryView


@dataclass(frozen=True, slots=True)
class DatagramError(Event):
    """An ICMP error that quotes a datagram of this end reached it."""

    name = "datagram_error"
    triggers = Kind.ICMP

    icmp: IcmpView


@dataclass(frozen=True, slots=True)
class ProbesUnanswered(Event):
    """This end's keepalive probes have no answer, two or more in a row; told as one story."""

    name = "probes_unanswered"
    triggers = Kind.REPEATED

    probe: ProbeView


@dataclass(frozen=True, slots=True)
class KeepaliveTimeout(Event):
    """This end's system got no answer to its keepalive probes, and reset the connection."""

    name = "keepalive_timeout"
    triggers = Kind.RST

    probe: ProbeView


@dataclass(frozen=True, slots=True)
class ZeroWindow(Event):
    """The other end has closed its receive window for a second or more, and this end has data for it."""

    name = "zero_window"
    triggers = Kind.ZERO_WINDOW

    probe: ProbeView


@dataclass(frozen=True, slots=True)
class EndOfFile(Event):
    """The other end's FIN reached this end while an answer to it, or its rest, was due. Of clients only."""

    name = "end_of_file"
    triggers = Kind.UNANSWERED | Kind.CUT | Kind.RST

    wait: WaitView
    message: MessageView


@dataclass(frozen=True, slots=True)
class GaveUp(Event):
    """This end closed after it had waited for an answer for a second or more. Told of clients only."""

    name = "gave_up"
    triggers = Kind.UNANSWERED

    wait: WaitView
    message: MessageView


@dataclass(frozen=True, slots=True)
class DatagramUnanswered(Event):
    """No datagram came back to a client that had sent some; told of questions to port 53 alone."""

    name = "datagram_unanswered"
    triggers = 0

    query: QueryView


class Withdrawn(NamedTuple):
    """What the event with this key said did not happen: that end went on as if nothing had been."""

    flow_id: int
    key: str


EVENTS: dict[str, type[Event]] = {
    event.name: event
    for event in (
        ResetReceived,
        IcmpReceived,
        DatagramError,
        Retransmission,
        RetransmissionTimeout,
        ProbesUnanswered,
        KeepaliveTimeout,
        ZeroWindow,
        EndOfFile,
        GaveUp,
        DatagramUnanswered,
    )
}


_VIEWS: dict[str, type] = {
    view.__name__: view
    for view in (
        SocketView,
        FlowView,
        ResetView,
        IcmpView,
        RetryView,
        ProbeView,
        WaitView,
        MessageView,
        QueryView,
    )
}
_TYPES: dict[str, type] = {kind.__name__: kind for kind in (bool, int, float, str)}


def variables(event: type[Event]) -> dict[str, type]:
    """The views that an event carries: variable name in a condition -> class of the view.

    Annotations are texts; that they are names in a table takes a hundredth of what evaluating them does.
    """
    return {f.name: _VIEWS[str(f.type)] for f in fields(event) if f.type in _VIEWS}


def type_of(view_field: Field[Any]) -> type:
    """The type of a field of a view."""
    return _TYPES[str(view_field.type)]
