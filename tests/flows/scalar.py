"""A tracker of one packet after the other, as plain as can be: what the tracker of arrays is held against."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from analyzer.flows.copies import COPY_NS, COPY_NUMBERS
from analyzer.flows.kinds import PATIENCE_NS
from analyzer.flows.legs import LEG_NS
from analyzer.flows.splits import LINGER_NS
from analyzer.flows.tracker import MAX_QUIET
from analyzer.model.columns import TCP, UDP, Flag
from analyzer.model.flow import (
    CLIENT,
    NOTHING,
    SERVER,
    Endpoint,
    Flow,
    FlowEnd,
    Kind,
    Segment,
    Totals,
    address_text,
)
from analyzer.model.seq import add, distance
from analyzer.model.summary import MIN_IDLE_NS, MIN_PAUSE_NS, Summary
from analyzer.model.tunnel import tunnel_text

FAR = 1 << 30


@dataclass(frozen=True)
class Packet:
    """A frame. Without ``protocol`` it is one that could not be decoded: only its time counts.

    Addresses are (hi, lo). ``icmp`` is (type, code), ``reporter`` who sent it.
    """

    time: int
    protocol: int = 0
    source: tuple[int, int] = (0, 0)
    sport: int = 0
    target: tuple[int, int] = (0, 0)
    dport: int = 0
    version: int = 4
    seq: int = 0
    ack: int = 0
    flags: int = 0
    payload: int = 0
    window: int = 0
    ttl: int = 64
    ip_id: int = 0
    has_ts: bool = False
    ts: tuple[int, int] = (0, 0)
    mss: int = 0
    scale: int = -1
    icmp: tuple[int, int] | None = None
    reporter: tuple[int, int] = (0, 0)
    tunnel: int = 0
    stray: bool = False
    """A SYN that may belong to another connection."""

    @property
    def ends(self) -> frozenset[tuple[tuple[int, int], int]]:
        return frozenset([(self.source, self.sport), (self.target, self.dport)])

    @property
    def sender(self) -> tuple[tuple[int, int], int]:
        return self.source, self.sport

    @property
    def is_syn(self) -> bool:
        """SYN without ACK."""
        return self.flags & (Flag.SYN | Flag.ACK) == Flag.SYN

    def looks_like(self, other: Packet) -> bool:
        """Nothing but the time and the hop limit differs."""
        return replace(self, time=0, ttl=0, mss=0, scale=0, stray=False) == replace(
            other, time=0, ttl=0, mss=0, scale=0, stray=False
        )

    @property
    def as_syn(self) -> object:
        """What neither NAT nor tunnel changes in a SYN; None where nothing tells it from others."""
        if not self.is_syn or self.icmp is not None or not (self.has_ts or self.ip_id):
            return None
        stamp = self.ts[0] if self.has_ts else self.ip_id
        return self.version, self.seq, self.has_ts, stamp, self.window, self.scale, self.payload

    @property
    def counts(self) -> bool:
        """It says what its sender has sent: RST, ICMP errors and stray SYNs do not."""
        return not self.flags & Flag.RST and self.icmp is None and not self.stray

    @property
    def announces(self) -> bool:
        """It says how much room its sender has."""
        return (
            self.protocol == TCP and self.counts and bool(self.flags & Flag.ACK) and not self.flags & Flag.SYN
        )

    @property
    def seq_end(self) -> int:
        return add(self.seq, self.payload + bool(self.flags & Flag.SYN) + bool(self.flags & Flag.FIN))


@dataclass
class Open:
    """A flow that packets may still be added to."""

    flow: Flow
    client: tuple[tuple[int, int], int]
    clock: int
    packets: int = 0
    significant: int = 0
    end: int = 0
    totals: list[Totals] = field(default_factory=lambda: [NOTHING, NOTHING])
    stuck: list[bool] = field(
        default_factory=lambda: [False, False]
    )  # sent again, nothing acknowledged since
    repeating: list[bool] = field(default_factory=lambda: [False, False])  # ... and not for the first time
    last_new_data: int | None = None  # side
    history: list[tuple[Packet, int, int]] = field(default_factory=list)  # with number and clock
    segments: list[Segment] = field(default_factory=list)
    interesting: bool = False
    opened: dict[object, int] = field(default_factory=dict)  # by endpoint, number of the last SYN
    stray: tuple[Packet, int] | None = None  # with its number
    talked: bool = False
    finished: set[int] = field(default_factory=set)  # sides
    reset: bool = False
    reset_by: list[bool] = field(default_factory=lambda: [False, False])
    server: tuple[tuple[int, int], int] = ((0, 0), 0)
    tunnel: int = 0
    again: bool = False  # its endpoints had another connection shortly before
    idle_close: int = 0
    ttl: list[int] = field(default_factory=lambda: [0, 0])
    reset_ttl: list[int] = field(default_factory=lambda: [0, 0])
    first_leg: int = 0  # number of the flow that showed its SYN before, plus one
    answered: int = 0  # time of the first SYN+ACK
    survived: int = 0
    fatal: list[int] = field(default_factory=lambda: [0, 0])  # by side
    largest: list[int] = field(default_factory=lambda: [0, 0])

    @property
    def is_over(self) -> bool:
        return self.reset or self.finished == {0, 1} or self.flow.protocol != "tcp"


@dataclass
class Result:
    """What came out, by number of the flow; of flows that are of interest only, but summaries of all."""

    flows: dict[int, Flow] = field(default_factory=dict)
    segments: dict[int, list[Segment]] = field(default_factory=dict)
    ends: dict[int, FlowEnd] = field(default_factory=dict)
    summaries: dict[int, Summary] = field(default_factory=dict)


def track(packets: list[Packet], triggers: int, capture: int = 0) -> Result:
    newest: dict[object, Open] = {}
    syns: dict[object, Syn] = {}
    result = Result()
    clock = seen = 0

    def let_go(flow: Open, when: int, *, closed: bool) -> None:
        result.summaries[flow.flow.id] = summary_of(flow)
        if flow.interesting:
            result.flows[flow.flow.id] = flow.flow
            result.segments[flow.flow.id] = flow.segments
            result.ends[flow.flow.id] = FlowEnd(
                flow.flow.id, flow.packets, flow.end, when, closed, *flow.totals
            )

    for number, packet in enumerate(packets, 1):
        clock = max(clock, packet.time)
        if not packet.protocol:
            continue
        key = (packet.version, packet.protocol, packet.ends, packet.tunnel)
        flow = newest.get(key)
        first, again = packet, False
        if flow and begins_another(flow, packet, clock):
            let_go(flow, min(clock, flow.clock + LINGER_NS), closed=True)
            flow, again = None, clock - flow.clock <= LINGER_NS
        elif flow and flow.stray and acknowledges(flow.stray[0], packet):
            let_go(flow, min(clock, flow.clock + LINGER_NS), closed=True)
            (first, first_number), flow, again = flow.stray, None, True
        if flow is None:
            flow = newest[key] = begin(first, seen, clock, capture)
            flow.again = again
            seen += 1
            if first is not packet:
                add_packet(flow, first, first_number, clock, triggers)
        if packet.as_syn:
            note_leg(syns, packet, clock, flow, key)
        add_packet(flow, packet, number, clock, triggers)
    for flow in newest.values():
        if flow.is_over and clock - flow.clock > LINGER_NS:
            let_go(flow, flow.clock + LINGER_NS, closed=True)
        else:
            let_go(flow, clock, closed=False)
    return result


@dataclass(frozen=True)
class Syn:
    """The last of some equal SYNs, and the flow that showed the first of them."""

    clock: int
    time: int
    flow: int
    key: object


def note_leg(syns: dict[object, Syn], packet: Packet, clock: int, flow: Open, key: object) -> None:
    before = syns.get(packet.as_syn)
    near = before and clock - before.clock < LEG_NS and abs(packet.time - before.time) < LEG_NS
    first = (before.flow, before.key) if before and near else (flow.flow.id, key)
    syns[packet.as_syn] = Syn(clock, packet.time, *first)
    if not flow.packets and first[1] != key:
        flow.first_leg = first[0] + 1


def begins_another(flow: Open, packet: Packet, clock: int) -> bool:
    if flow.is_over and clock - flow.clock > LINGER_NS:
        return True
    new = packet.is_syn and packet.seq != flow.opened.get(packet.sender)
    return new and (flow.reset or bool(flow.finished))


def acknowledges(syn: Packet, packet: Packet) -> bool:
    answer = packet.flags & Flag.ACK and packet.flags & (Flag.SYN | Flag.RST)
    return bool(answer) and packet.sender != syn.sender and packet.ack == add(syn.seq, 1)


def is_stray(flow: Open, packet: Packet) -> bool:
    """A SYN that is not the one of this connection, nor the other end's of a simultaneous open."""
    if not packet.is_syn:
        return False
    if packet.sender in flow.opened:
        return packet.seq != flow.opened[packet.sender]
    return flow.talked


def begin(packet: Packet, number: int, clock: int, capture: int) -> Open:
    """The client sent the SYN, or got the SYN-ACK; else TCP's server has the lower port, which is a guess.

    Of other protocols it is who sent first. An ICMP error counts as the packet that it quotes.
    """
    source, target = (packet.source, packet.sport), (packet.target, packet.dport)
    guessed = packet.protocol == TCP and not packet.flags & Flag.SYN
    if guessed and packet.icmp is None:
        from_client = packet.sport >= packet.dport
    else:
        from_client = packet.is_syn or not packet.flags & Flag.SYN
    client, server = (source, target) if from_client else (target, source)
    flow = Flow(
        id=number,
        protocol={TCP: "tcp", UDP: "udp"}[packet.protocol],
        version=packet.version,
        client=Endpoint(address_text(packet.version, *client[0]), client[1]),
        server=Endpoint(address_text(packet.version, *server[0]), server[1]),
        client_guessed=guessed,
        capture=capture,
        start=packet.time,
        tunnel=tunnel_text(packet.tunnel),
    )
    return Open(flow, client, clock, server=server, tunnel=packet.tunnel)


def add_packet(flow: Open, packet: Packet, number: int, clock: int, triggers: int) -> None:
    side = int((packet.source, packet.sport) != flow.client)
    packet = replace(packet, stray=is_stray(flow, packet))
    if packet.stray and not (flow.stray and same_syn(flow.stray[0], packet)):
        flow.stray = replace(packet, stray=False), number
    copy = is_copy(flow, packet, number, clock)
    flow.history.append((packet, number, clock))
    kinds = 0 if copy else kinds_of(flow, packet, side)
    note_for_summary(flow, packet, clock, side, kinds, copy)
    if kinds & ~(Kind.RESENT | Kind.PROBE):  # once: that happens
        flow.interesting |= bool(kinds & triggers)
        if flow.interesting or flow.significant < MAX_QUIET:
            flow.segments.append(segment_of(flow, packet, number, clock, side, kinds))
        flow.significant += 1
    flow.packets += 1
    flow.end = max(flow.end, packet.time)
    flow.clock = clock
    if not copy:
        flow.totals[side] = totals_after(flow, packet, number, side, kinds)
    if packet.flags & Flag.RST:
        flow.reset = True
    if packet.flags & Flag.FIN:
        flow.finished.add(side)
    if packet.is_syn and not packet.stray:
        flow.opened[packet.sender] = packet.seq
    plain = packet.flags & (Flag.SYN | Flag.RST | Flag.ACK) == Flag.ACK
    flow.talked |= plain and packet.icmp is None


def same_syn(one: Packet, other: Packet) -> bool:
    return (one.sender, one.seq) == (other.sender, other.seq)


def is_copy(flow: Open, packet: Packet, number: int, clock: int) -> bool:
    """The same packet went by a moment ago."""
    side = int((packet.source, packet.sport) != flow.client)
    own = flow.totals[side]
    if packet.counts and packet.protocol == TCP:
        moves_on = not own.has_ack or 0 < distance(own.ack, packet.ack) < FAR
        advances = not own.has_seq or 0 < distance(own.seq_end, packet.seq_end) < FAR
        if advances or (packet.flags & Flag.ACK and moves_on):
            return False
    before = [n for n, (earlier, _, _) in enumerate(flow.history) if earlier.looks_like(packet)]
    if not before:
        return False
    earlier, earlier_number, earlier_clock = flow.history[before[-1]]
    near = abs(packet.time - earlier.time) < COPY_NS and clock - earlier_clock < COPY_NS
    if not near or number - earlier_number >= COPY_NUMBERS:
        return False
    if packet.ip_id:
        return True
    if not packet.has_ts:
        return False
    if packet.flags & (Flag.SYN | Flag.RST):
        return True
    between = (p for p, _, _ in flow.history[before[-1] :])
    if packet.payload or packet.flags & Flag.FIN:
        return all((p.source == packet.source and p.sport == packet.sport) or p.icmp for p in between)
    return packet.seq == add(own.seq_end, -1)


def note_for_summary(flow: Open, packet: Packet, clock: int, side: int, kinds: int, copy: bool) -> None:
    """Pauses, sizes, the answer to the SYN, who sent a reset."""
    if packet.flags & (Flag.SYN | Flag.ACK) == Flag.SYN | Flag.ACK and not flow.answered:
        flow.answered = packet.time
    if packet.flags & Flag.RST:
        flow.reset_by[side] = True
        flow.reset_ttl[side] = flow.reset_ttl[side] or packet.ttl
    if packet.icmp is None:
        flow.largest[side] = max(flow.largest[side], packet.payload)
    if copy or not packet.counts:
        return
    flow.ttl[side] = flow.ttl[side] or packet.ttl
    client, server = flow.totals
    idle = packet.time - server.last_data_time
    if packet.flags & Flag.FIN and side == SERVER and not flow.finished and not packet.payload:
        asked = client.last_data_time > server.last_data_time
        if server.last_data_time and not asked and idle >= MIN_IDLE_NS:
            flow.idle_close = idle
    flow.survived = max(flow.survived, flow.fatal[1 - side])
    flow.fatal[1 - side] = 0
    pause = clock - flow.clock
    if flow.packets and pause >= MIN_PAUSE_NS and not kinds & Kind.RESENT:
        flow.fatal[side] = max(flow.fatal[side], pause)


def summary_of(flow: Open) -> Summary:
    (client_hi, client_lo), client_port = flow.client
    (server_hi, server_lo), server_port = flow.server
    totals = flow.totals

    def unacknowledged(side: int) -> bool:
        own, other = totals[side], totals[1 - side]
        return own.has_seq and not (other.has_ack and distance(own.seq_end, other.ack) >= 0)

    return Summary(
        flow=flow.flow.id,
        watched=flow.interesting,
        protocol={"tcp": TCP, "udp": UDP}[flow.flow.protocol],
        version=flow.flow.version,
        tunnel=flow.tunnel,
        client_guessed=flow.flow.client_guessed,
        client_hi=client_hi,
        client_lo=client_lo,
        client_port=client_port,
        server_hi=server_hi,
        server_lo=server_lo,
        server_port=server_port,
        first_leg=flow.first_leg,
        again=flow.again,
        start=flow.flow.start,
        end=flow.end,
        packets=flow.packets,
        answered=flow.answered,
        completed=totals[CLIENT].opened_time if flow.answered else 0,
        survived=flow.survived,
        idle_close=flow.idle_close,
        payload=(totals[0].payload, totals[1].payload),
        fin=(0 in flow.finished, 1 in flow.finished),
        reset=(flow.reset_by[0], flow.reset_by[1]),
        unacknowledged=(unacknowledged(0), unacknowledged(1)),
        largest=(flow.largest[0], flow.largest[1]),
        resent_length=(totals[0].resent_length, totals[1].resent_length),
        ttl=(flow.ttl[0], flow.ttl[1]),
        reset_ttl=(flow.reset_ttl[0], flow.reset_ttl[1]),
        fatal=(flow.fatal[0], flow.fatal[1]),
    )


def kinds_of(flow: Open, packet: Packet, side: int) -> int:
    """Kind bits. Notes in the flow which end is sending the same again and again."""
    own, other = flow.totals[side], flow.totals[1 - side]
    kinds = 0
    if packet.flags & Flag.SYN:
        kinds |= Kind.SYN
    if packet.flags & Flag.FIN:
        kinds |= Kind.FIN
    if packet.flags & Flag.RST:
        kinds |= Kind.RST
    if packet.icmp is not None:
        kinds |= Kind.ICMP
    if is_unanswered(flow, packet, side):
        kinds |= Kind.UNANSWERED
    if not packet.counts or packet.protocol != TCP:
        return kinds
    if packet.announces and packet.window == 0 and (own.window or not own.window_number):
        kinds |= Kind.ZERO_WINDOW
    if is_probe(packet, own, other):
        kinds |= Kind.PROBE | (Kind.REPEATED if own.probes else 0)
    elif carries_nothing_new(packet, own):
        kinds |= Kind.RESENT
        again = flow.stuck[side] and packet.seq == own.resent_seq
        if again or packet.flags & Flag.SYN:
            kinds |= Kind.REPEATED
        opens = bool(packet.flags & (Flag.SYN | Flag.FIN))
        flow.stuck[side], flow.repeating[side] = True, again or opens
    if packet.flags & Flag.ACK and (not own.has_ack or 0 < distance(own.ack, packet.ack) < FAR):
        if flow.repeating[1 - side]:
            kinds |= Kind.RECOVERED
        flow.stuck[1 - side] = flow.repeating[1 - side] = False
    return kinds


def is_unanswered(flow: Open, packet: Packet, side: int) -> bool:
    """The first FIN or RST, while an answer to the client was due."""
    if not packet.flags & (Flag.FIN | Flag.RST) or flow.finished or flow.reset:
        return False
    client, server = flow.totals
    due = client.last_data_number > server.last_data_number and not is_new_data(packet, flow.totals[side])
    return due and (side != CLIENT or packet.time - client.last_data_time >= PATIENCE_NS)


def is_new_data(packet: Packet, own: Totals) -> bool:
    """It carries payload that was not sent before."""
    ahead = distance(own.seq_end, packet.seq_end)
    return packet.counts and packet.payload > 0 and (not own.has_seq or 0 < ahead < FAR)


def is_probe(packet: Packet, own: Totals, other: Totals) -> bool:
    """A keepalive, of one byte or none, or a probe of a closed window in one of two ways."""
    if not packet.announces or packet.flags & Flag.FIN or not (own.has_seq and other.has_ack):
        return False
    offset = distance(other.ack, packet.seq)
    closed = other.window_number and not other.window
    if offset == -1 and packet.payload == 0:
        return bool(closed) or other.ack == own.seq_end
    if offset == -1 and packet.payload == 1:
        return other.ack == own.seq_end
    return bool(closed) and offset == 0 and packet.payload == 1


def carries_nothing_new(packet: Packet, own: Totals) -> bool:
    """It sends again what was sent before."""
    opens = packet.flags & (Flag.SYN | Flag.FIN)
    if not own.has_seq or not (packet.payload or opens):
        return False
    return -FAR < distance(own.seq_end, packet.seq_end) <= 0


def totals_after(flow: Open, packet: Packet, number: int, side: int, kinds: int) -> Totals:
    totals, other = flow.totals[side], flow.totals[1 - side]
    if packet.icmp is not None:
        return totals
    totals = totals._replace(payload=totals.payload + packet.payload)
    if not packet.counts:
        return totals
    new_data = is_new_data(packet, totals)
    if packet.protocol == TCP and totals.has_seq and 0 < distance(totals.seq_end, packet.seq) < FAR:
        totals = totals._replace(gaps=totals.gaps + 1)
    totals = totals._replace(last_number=number, last_time=packet.time, last_ttl=packet.ttl)
    flow.totals[1 - side] = other = other._replace(probes=0)
    if packet.announces:
        totals = totals._replace(window=packet.window, window_number=number)
    if kinds & Kind.PROBE:
        totals = totals._replace(probe_number=number, probe_time=packet.time, probes=totals.probes + 1)
    if not totals.opened_time and not packet.flags & Flag.SYN:
        totals = totals._replace(opened_time=packet.time)
    if packet.protocol == TCP and (not totals.has_seq or 0 < distance(totals.seq_end, packet.seq_end) < FAR):
        totals = totals._replace(has_seq=True, seq_end=packet.seq_end)
    if kinds & Kind.RESENT:
        totals = totals._replace(
            resent_number=number,
            resent_time=packet.time,
            resent_seq=packet.seq,
            resent_length=packet.payload,
        )
    acks = packet.protocol == TCP and packet.flags & Flag.ACK
    if acks and other.has_seq and 0 < distance(other.seq_end, packet.ack) < FAR:
        totals = totals._replace(unseen=totals.unseen + 1, unseen_number=number)
    if packet.flags & Flag.ACK and (not totals.has_ack or 0 < distance(totals.ack, packet.ack) < FAR):
        totals = totals._replace(has_ack=True, ack=packet.ack)
    if new_data:
        if flow.last_new_data != side:
            totals = totals._replace(turn_time=packet.time)
        flow.last_new_data = side
        totals = totals._replace(
            last_data_number=number,
            last_data_time=packet.time,
            last_data_seq=packet.seq,
            last_data_length=packet.payload,
        )
    return totals


def segment_of(flow: Open, packet: Packet, number: int, clock: int, side: int, kinds: int) -> Segment:
    icmp_type, icmp_code = packet.icmp or (0, 0)
    return Segment(
        flow=flow.flow.id,
        number=number,
        capture=flow.flow.capture,
        time=packet.time,
        clock=clock,
        side=side,
        kinds=kinds,
        seq=packet.seq,
        ack=packet.ack,
        flags=packet.flags,
        window=packet.window,
        payload=packet.payload,
        ttl=packet.ttl,
        ip_id=packet.ip_id,
        has_ts=packet.has_ts,
        mss=packet.mss,
        scale=packet.scale,
        layout=0,
        icmp_type=icmp_type,
        icmp_code=icmp_code,
        version=packet.version,
        reporter_hi=packet.reporter[0],
        reporter_lo=packet.reporter[1],
        client=flow.totals[CLIENT],
        server=flow.totals[1 - CLIENT],
    )
