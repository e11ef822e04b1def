"""One shadow socket: the state table stepped for one end, and what else is remembered of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from analyzer.model.columns import Flag
from analyzer.model.event import Activity, SocketView
from analyzer.model.flow import SIDES, Segment, Totals
from analyzer.model.host import AUTO, Host, System, taken_for
from analyzer.model.seq import add, distance
from analyzer.model.socket import State, Step
from analyzer.sockets.profiles import Profile, profile_of
from analyzer.sockets.retries import SECOND, Run
from analyzer.sockets.signatures import recognise
from analyzer.sockets.transitions import step

_CLOSE_NOTIFY = (23, 24, 31)
"""Bytes of an encrypted TLS alert: TLS 1.2 with ChaCha20 (RFC 7905), TLS 1.3 (RFC 8446 section 5.2), TLS 1.2
with AES-GCM (RFC 5288)."""

_CROSSING_NS = SECOND // 2
"""A SYN that is sent again so shortly after its SYN-ACK may have crossed that on the way."""
_SENDING_SPAN_NS = SECOND // 20
"""Data sent for longer than this without data from the other end is a stream, not a request."""


INITIAL_TTLS = (64, 128, 255)
"""A packet that still has one of these was sent by the machine that captured it, or by its neighbour."""


@dataclass(slots=True)
class Fatal:
    """An event that ended the socket, to be withdrawn if the end shows life later. Times in nanoseconds.

    ``reset`` is the sequence number of the reset that it was; an acknowledgement beyond ``limit`` shows that
    its receiver did not believe it. None where it was no reset. ``alike`` counts the resets with that number
    that may have arrived. ``number`` is the frame that ended it, 0 where none did but time.
    """

    key: str
    time: int
    grace: int
    reset: int | None
    limit: int | None
    state_before: State
    closed_before: bool
    run_before: Run | None
    number: int = 0
    alike: int = 1


@dataclass(slots=True)
class ShadowSocket:
    """What is inferred for the socket of one end.

    ``host``: what is known of it; ``system``, ``profile``: what it is taken to run.
    ``initial``: its first sequence number; ``connects``: it sent a SYN without ACK; ``has_ts``: its SYN or
    SYN-ACK had timestamps; ``synacks_in_vain``: how often it sent its SYN-ACK again although that had been
    acknowledged; ``unheard``: it sends its SYN again although the SYN-ACK was captured; ``fin_end``: the
    number after its FIN, ``fin_time``: when that was sent last, ``fin_number``: the frame that it was first
    sent in; ``fin_peer_end``: what the other end had sent when it sent that FIN; ``peer_fin_payload``: what
    it had sent itself when the other end's FIN came; ``closed``: taken to have been closed by its program;
    ``run``: what it retransmits, ``recovered``: what was acknowledged at last; ``probing``: its unanswered
    probes; ``zero_time``, ``zero_number``: when it closed its receive window, the last time; ``new_syn``: it
    sent a SYN of another number. None, 0 or False where it did not happen.
    """

    side: int
    host: Host
    system: System = field(init=False)
    profile: Profile = field(init=False)
    state: State = State.CLOSED
    initial: int | None = None
    syn_time: int = 0
    syn_number: int = 0
    connects: bool = False
    has_ts: bool = False
    synacks_in_vain: int = 0
    unheard: bool = False
    fin_end: int | None = None
    fin_time: int = 0
    fin_number: int = 0
    fin_peer_end: int | None = None
    closed: bool = False
    peer_fin_payload: int | None = None
    challenged: bool = False
    new_syn: bool = False
    resets_in_vain: int = 0
    reset_late: bool = False
    ttl: int = 0
    soft_errno: str = ""
    soft_time: int = 0
    run: Run | None = None
    probing: Run | None = None
    zero_time: int = 0
    zero_number: int = 0
    recovered: Run | None = None
    fatal: Fatal | None = field(default=None)

    def __post_init__(self) -> None:
        self._runs(taken_for(self.host))

    def recognise(self, segment: Segment) -> None:
        """Infer what this end runs from the first segment of its own, unless that is given."""
        if self.ttl == 0 and self.host.system == AUTO:
            self._runs(recognise(segment))
        self.ttl = segment.ttl

    def _runs(self, system: System) -> None:
        self.system, self.profile = system, profile_of(system, self.host)

    def take(self, taken: Step) -> None:
        """Step the table."""
        self.state = step(self.state, taken)

    def send_syn(self, segment: Segment) -> None:
        """This end sent SYN or SYN-ACK."""
        if self.initial is None:
            self.initial, self.syn_time, self.syn_number = segment.seq, segment.time, segment.number
        self.take(Step.SEND_SYN)

    def connects_on(self, segment: Segment, own: Totals, server: ShadowSocket) -> None:
        """It sent its SYN again, too late for the SYN-ACK that was captured: that has not reached it."""
        answered = server.syn_number and not server.connects
        alone = not own.opened_time and self.state in (State.SYN_SENT, State.ESTABLISHED)
        if self.connects and answered and alone and segment.time - server.syn_time > _CROSSING_NS:
            self.unheard = True
            self.state = State.SYN_SENT

    def send_fin(self, segment: Segment, peer: Totals) -> None:
        """This end sent FIN: taken as close() until it is shown to read on."""
        if self.fin_end is None:
            self.fin_end = add(segment.seq, segment.payload + 1)
            self.fin_peer_end = peer.seq_end if peer.has_seq else None
            self.fin_number = segment.number
            self.closed = True
        self.fin_time = segment.time
        self.take(Step.SEND_FIN)

    def receive_fin(self, own: Totals) -> None:
        """The other end's FIN arrived."""
        if self.peer_fin_payload is None:
            self.peer_fin_payload = own.payload
        self.take(Step.RECV_FIN)

    def catch_up(self, own: Totals, peer: Totals, peer_fin_end: int | None) -> None:
        """What plain segments, which are not looked at one by one, have changed meanwhile."""
        if self.state is State.SYN_SENT and own.opened_time:
            self._opened()  # what the other end sent was not captured
        if peer.has_ack:
            self.acknowledged(peer.ack, own)
        if self.closed and self._reads_on(own, peer, peer_fin_end):
            self.closed = False
        if peer.last_time > self.soft_time:
            self.soft_errno = ""  # any good segment of the other end clears it: Linux tcp_ack()

    def acknowledged(self, ack: int, own: Totals) -> None:
        """The other end acknowledged everything before this number; ``own`` is what this end had sent."""
        if self.state is State.SYN_SENT and own.has_seq and distance(own.seq_end, ack) > 0:
            return  # of another connection: RFC 9293 section 3.10.7.3
        if self.unheard and not own.opened_time:
            return
        if self.initial is not None and distance(self.initial, ack) > 0:
            self.take(Step.SYN_ACKED)
        if self.fin_end is not None and distance(self.fin_end, ack) >= 0:
            self.take(Step.FIN_ACKED)
        if self.run and distance(self.run.seq, ack) > 0:
            self.recovered, self.run = self.run, None

    def _opened(self) -> None:
        self.take(Step.SYN_ACKED)
        if self.run and self.run.what == "syn":
            self.recovered, self.run = self.run, None

    def _reads_on(self, own: Totals, peer: Totals, peer_fin_end: int | None) -> bool:
        """It acknowledged data that came after its own FIN, which a closed socket answers with RST."""
        if not own.has_ack or not peer.has_seq or self.fin_peer_end is None:
            return False
        data_end = add(peer_fin_end, -1) if peer_fin_end is not None else peer.seq_end
        acked = own.ack if distance(data_end, own.ack) < 0 else data_end
        return distance(self.fin_peer_end, acked) > 0

    def view(self, own: Totals, peer: Totals) -> SocketView:
        """What a rule may see of it."""
        later = 0 if self.peer_fin_payload is None else own.payload - self.peer_fin_payload
        after_fin = later > 0
        return SocketView(
            role=SIDES[self.side],
            state=self.state.value,
            connects=self.connects,
            closed=self.closed,
            activity=self._activity(own, peer, after_fin).value,
            bytes_sent=own.payload,
            bytes_received=peer.payload,
            sent_after_fin=after_fin,
            said_farewell=later in _CLOSE_NOTIFY,
            unanswered=own.last_data_number > peer.last_data_number,
            unacknowledged=own.has_seq and peer.has_ack and distance(peer.ack, own.seq_end) > 0,
        )

    def _activity(self, own: Totals, peer: Totals, after_fin: bool) -> Activity:
        if self.state is State.SYN_SENT:
            return Activity.CONNECTING
        streaming = (
            own.last_data_number > peer.last_data_number
            and own.last_data_time - own.turn_time > _SENDING_SPAN_NS
        )
        return Activity.SENDING if after_fin or streaming else Activity.WAITING


def what_is_sent(segment: Segment) -> str:
    """What a segment carries, the weightiest first: syn, syn-ack, data, fin, ack."""
    if segment.flags & Flag.SYN:
        return "syn-ack" if segment.flags & Flag.ACK else "syn"
    if segment.payload:
        return "data"
    return "fin" if segment.flags & Flag.FIN else "ack"
