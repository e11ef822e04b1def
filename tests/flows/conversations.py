"""Random conversations: a few connections that take turns and do what they should and should not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from hypothesis import strategies as st

from analyzer.flows.splits import LINGER_NS
from analyzer.model.columns import TCP, UDP, Flag
from analyzer.model.seq import add
from analyzer.model.tunnel import HAS_ID, KIND_SHIFT, Tunnel
from tests.flows.scalar import Packet

SECOND = 10**9
MODULUS = 1 << 32
ROUTER = (0, 0x0A0000FE)

PAIRS = (
    (4, (0, 0x0A000001), 40001, (0, 0x0A000002), 443),
    (4, (0, 0x0A000003), 22, (0, 0x0A000002), 60001),  # the client has the lower port
    (4, (0, 0x0A000001), 40001, (0, 0x0A000002), 444),
    (4, (0, 0x0A000005), 5000, (0, 0x0A000006), 5000),  # ports that tell nothing
    (6, (0x20010DB8 << 32, 1), 40001, (0x20010DB8 << 32, 2), 443),
    (4, (0, 0x0A000001), 40001, (0, 0x0A000002), 443),  # as the first, in a tunnel
    (4, (0, 0x0A000001), 40001, (0, 0x0A000002), 443),  # in another
)
TUNNELS = (0, 0, 0, 0, 0, Tunnel.VXLAN << KIND_SHIFT | HAS_ID | 42, Tunnel.GRE << KIND_SHIFT)
"""In what the packets of each pair travel."""
INITIAL = (
    (1000, 9_000_000),
    (MODULUS - 40, MODULUS - 2),
    ((1 << 31) - 30, 0),
    (MODULUS - 1, MODULUS - 20),
    (7, (1 << 30) - 5),
    (1000, 9_000_000),
    (2000, 3000),
)


@dataclass(frozen=True)
class Action:
    """What the end ``side`` of a pair of endpoints does, ``gap`` nanoseconds after what came before."""

    pair: int
    side: int
    what: str
    gap: int
    size: int


@dataclass
class Talk:
    """The true state of two ends."""

    number: int
    next: list[int] = field(default_factory=list)
    sent: list[list[tuple[int, int, int]]] = field(default_factory=lambda: [[], []])  # seq, payload, flags
    got: list[int] = field(default_factory=list)
    lives: int = 0

    def __post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """New initial sequence numbers."""
        first = [add(number, 100_003 * self.lives) for number in INITIAL[self.number]]
        self.next, self.got, self.sent = list(first), first[::-1], [[], []]
        self.lives += 1


_GAPS = (
    *(0, 1_000, 1_000_000, 1_000_000, 1_000_000, SECOND, SECOND, 30 * SECOND),
    *(LINGER_NS, LINGER_NS + 1, -1, -2 * SECOND),
)
_WHATS = (
    *("open", "open"),  # a whole handshake
    *("data", "data", "data", "data", "ack", "ack", "resend", "resend", "resend", "fin", "reset"),
    *(
        "syn",
        "syn-again",
        "syn-ack",
        "icmp",
        "keepalive",
        "probe",
        "zero",
        "window-probe",
        "copy",
        "copy",
        "leg",
        "leg",
        "hole",
        "stray",
        "far-ack",
        "udp",
        "other",
        "renew",
    ),
    "close",  # both FIN, acknowledged
)


@st.composite
def actions(draw: st.DrawFn, most: int = 25) -> list[Action]:
    """Anything in any order, after a first connection."""
    pairs = st.integers(0, draw(st.integers(0, len(PAIRS) - 1)))
    each = st.builds(
        Action, pairs, st.integers(0, 1), st.sampled_from(_WHATS), st.sampled_from(_GAPS), st.integers(1, 60)
    )
    return [Action(0, 0, "open", 0, 1), *draw(st.lists(each, min_size=1, max_size=most))]


def many_actions(seed: int, count: int) -> list[Action]:
    """The same, but so many that everything happens; ends stay with what they do for some time."""
    random = Random(seed)
    taken: list[Action] = []
    while len(taken) < count:
        pair, side = random.randrange(len(PAIRS)), random.randrange(2)
        what, size = random.choice(_WHATS), random.randint(1, 60)
        for _ in range(random.choice((1, 1, 2, 3))):
            taken.append(Action(pair, side, what, random.choice(_GAPS), size))
    return taken


def packets_of(taken: list[Action]) -> list[Packet]:
    """The packets of these actions, in their order."""
    talks = [Talk(number) for number in range(len(PAIRS))]
    packets: list[Packet] = []
    time = 1_700_000_000 * SECOND
    for action in taken:
        time += action.gap
        if action.what == "copy":
            packets.extend(_copies(packets, action, time))
        elif action.what == "leg":
            packets.extend(_legs(packets, action, time))
        else:
            packets.extend(_packets_of(action, talks[action.pair], time, len(packets)))
    return packets


def _copies(packets: list[Packet], action: Action, time: int) -> list[Packet]:
    """One of the last packets once more, over another interface."""
    if not packets:
        return []
    return [replace(packets[-1 - action.size % min(4, len(packets))], time=time, ttl=50)]


def _legs(packets: list[Packet], action: Action, time: int) -> list[Packet]:
    """A recent SYN once more, from another address behind a NAT, or inside or outside of a tunnel."""
    syns = [packet for packet in packets[-6:] if packet.is_syn]
    if not syns:
        return []
    hi, lo = syns[-1].source
    moved = (hi, lo ^ action.size // 8 << 12)
    return [replace(syns[-1], time=time, source=moved, tunnel=TUNNELS[-1 - action.size % 4])]


def _packets_of(action: Action, talk: Talk, time: int, count: int) -> list[Packet]:
    side, other = action.side, 1 - action.side

    def sent(end: int, flags: int, payload: int = 0, *, new: bool = True, **changed: object) -> Packet:
        values: dict[str, object] = {
            "seq": talk.next[end],
            "ack": talk.got[end] if flags & Flag.ACK else 0,
            "flags": flags,
            "payload": payload,
            "window": 100 + count,
            "ttl": 60 + end,
            "ip_id": count % 7,
            "has_ts": count % 3 == 0,
            "ts": (count // 5, count // 9) if count % 3 == 0 else (0, 0),
            "mss": 1460 if flags & Flag.SYN else 0,
            "scale": count % 14 if flags & Flag.SYN else -1,
        }
        packet = _packet(action.pair, end, time, **(values | changed))
        if new:
            talk.sent[end].append((packet.seq, payload, flags))
            talk.next[end] = packet.seq_end
        return packet

    def acknowledged(end: int) -> Packet:
        talk.got[end] = talk.next[1 - end]
        return sent(end, Flag.ACK)

    match action.what:
        case "open":
            talk.renew()
            syn = sent(side, Flag.SYN)
            talk.got[other] = talk.next[side]
            return [syn, sent(other, Flag.SYN | Flag.ACK), acknowledged(side)]
        case "close":
            first = sent(side, Flag.FIN | Flag.ACK)
            talk.got[other] = talk.next[side]
            return [first, sent(other, Flag.FIN | Flag.ACK), acknowledged(side)]
        case "data":
            return [sent(side, Flag.ACK | Flag.PSH, action.size)]
        case "ack":
            return [acknowledged(side)]
        case "fin":
            return [sent(side, Flag.FIN | Flag.ACK, action.size % 3)]
        case "reset":
            return [sent(side, Flag.RST | (Flag.ACK if action.size % 2 else 0), new=False)]
        case "syn":
            return [sent(side, Flag.SYN)]
        case "syn-ack":
            return [sent(side, Flag.SYN | Flag.ACK)]
        case "syn-again":
            return [sent(side, Flag.SYN, new=False, seq=add(talk.next[side], -1))]
        case "resend" if talk.sent[side]:
            seq, payload, flags = talk.sent[side][-1 - action.size % len(talk.sent[side])]
            return [sent(side, flags, payload, new=False, seq=seq)]
        case "keepalive":
            return [sent(side, Flag.ACK, 1, new=False, seq=add(talk.next[side], -1))]
        case "probe":  # as Linux sends it
            return [sent(side, Flag.ACK, new=False, seq=add(talk.next[side], -1))]
        case "zero":
            return [sent(side, Flag.ACK, new=False, window=0)]
        case "window-probe":  # as others send it: the first byte beyond the window
            return [sent(side, Flag.ACK, 1, new=action.size % 3 == 0)]
        case "hole":  # bytes that were not captured
            talk.next[side] = add(talk.next[side], action.size)
            return [sent(side, Flag.ACK, action.size)]
        case "stray":  # as of another connection
            return [sent(side, Flag.ACK, action.size, new=False, seq=add(talk.next[side], action.size << 26))]
        case "far-ack":
            return [sent(side, Flag.ACK, new=False, ack=add(talk.got[side], action.size << 26))]
        case "renew":
            talk.renew()
            return [sent(side, Flag.SYN)]
        case "icmp":
            seq = talk.sent[side][-1][0] if talk.sent[side] else talk.next[side]
            return [_packet(action.pair, side, time, seq=seq, icmp=(3, 1), reporter=ROUTER, ttl=action.size)]
        case "udp":
            return [_packet(action.pair, side, time, protocol=UDP, payload=action.size)]
        case _:
            return [Packet(time)]


def _packet(pair: int, side: int, time: int, **values: object) -> Packet:
    version, *ends = PAIRS[pair]
    source, target = (ends[:2], ends[2:]) if side == 0 else (ends[2:], ends[:2])
    fields: dict[str, object] = {
        "protocol": TCP,
        "version": version,
        "source": source[0],
        "sport": source[1],
        "target": target[0],
        "dport": target[1],
        "tunnel": TUNNELS[pair],
    }
    return Packet(time, **(fields | values))  # type: ignore[arg-type]  # one mapping for fields of several types


@st.composite
def cuts(draw: st.DrawFn, count: int) -> list[int]:
    """Where to cut so many packets into batches: nowhere, anywhere, everywhere."""
    kind = draw(st.sampled_from(["nowhere", "anywhere", "everywhere"]))
    if kind == "nowhere":
        return []
    if kind == "everywhere":
        return list(range(count))
    return draw(st.lists(st.integers(0, count), max_size=6))
