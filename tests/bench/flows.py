"""The flows of a made capture: who talks to whom, how often, how much, and how it ends.

A flow is an opening, ``exchanges`` exchanges that begin ``gap`` seconds apart, and an ending. All exchanges
of one flow carry the same number of bytes, so every sequence number follows from the number of the exchange
alone, and a capture can be made by slices of time of which only the open flows are held in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.void]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MSS = 1448
BURST = 44  # segments: the 64 KB that a sender with segmentation offload hands down at once
SYN_TIMES = np.array([0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0])  # Linux, tcp_syn_retries = 6
LOSS = 0.006  # of the data segments; half a percent of all packets
COPIES = (2, 4)  # how often a data segment is sent in the mix retransmissions, at least and at most
MIXES = ("realistic", "short", "elephants", "synflood", "retransmissions", "failing")
_EACH = {"short": 10.0, "synflood": 1.0, "failing": 5.4}  # packets a flow, where the mix fixes that

_SHORTEST_GAP = 1.5  # an exchange with all its round trips and retransmissions fits into it
SERVICES = (80, 443, 5432, 6379)
_UNCLAIMED = 20_000  # added to a port, none that a dissector claims
_CLIENTS, _SERVERS, _PORTS = 2000, 24, 28000
_CLIENT_NET, _SERVER_NET, _FLOOD_NET = 0x0A000000, 0xC6120000, 0x64000000  # 10/8, 198.18/15, 100/8


class Opening(IntEnum):
    """What became of the SYN."""

    ANSWERED = 0
    REFUSED = 1
    SILENT = 2


class Ending(IntEnum):
    """How an established connection ends."""

    CLIENT_FIN = 0
    SERVER_FIN = 1
    SERVER_RESET = 2  # a request is answered by a RST
    CLIENT_ABORT = 3  # a RST out of the blue, as SO_LINGER with zero gives
    RESET_AFTER_FIN = 4  # the client closed, the server sends on, the client's kernel resets


FLOW = np.dtype(
    [
        ("start", "f8"),
        ("gap", "f8"),
        ("rtt", "f8"),
        ("service", "f8"),  # what the server thinks before it answers
        ("rto", "f8"),
        ("exchanges", "i8"),
        ("request", "i8"),  # bytes; 0: the sender just sends
        ("segments", "i8"),
        ("tail", "i8"),  # bytes in the last segment of a response
        ("syns", "i8"),
        ("opening", "u1"),
        ("ending", "u1"),
        ("upload", "?"),
        ("acked", "?"),  # the request gets an ACK of its own
        ("address", "u4", 2),  # client, server, here and below
        ("port", "u2", 2),
        ("isn", "u4", 2),
        ("ip_id", "u2", 2),
        ("clock", "u4", 2),  # offset of the timestamps option
        ("stamp", "u4", 2),  # the timestamp sent last
        ("opened", "?"),
        ("exchanged", "i8"),
        ("closed", "?"),
        ("end", "f8"),  # nothing is sent after this
    ]
)


@dataclass(frozen=True)
class Plan:
    """What to make, worked out from the command line."""

    mix: str
    packets: int
    flows: int  # without the elephants
    elephants: int
    seed: int
    duration: float
    filler: bool = False  # what applications say means nothing, on ports that say nothing

    @property
    def repeats(self) -> bool:
        """Whether every data segment is sent at least twice."""
        return self.mix == "retransmissions"

    @property
    def loss(self) -> float:
        """The share of the data segments that are lost and sent again."""
        return LOSS if self.mix in ("realistic", "elephants") else 0.0

    @property
    def last_start(self) -> float:
        """Seconds into the capture before which every flow begins."""
        return self.duration * (1.0 if self.mix in _EACH else 0.9)


def plan(mix: str, packets: int, flows: int | None, seed: int, duration: float, filler: bool = False) -> Plan:
    """Choose the numbers of flows; ValueError says which wish cannot be granted."""
    if mix in _EACH:
        if flows is not None:
            raise ValueError(f"the mix {mix} fixes the number of flows by the number of packets")
        return Plan(mix, packets, ceil(packets / _EACH[mix]), 0, seed, duration, filler)
    if mix == "elephants":
        return Plan(mix, packets, 0, flows or 5, seed, duration, filler)
    total = max(2, flows or packets // (100 if mix == "retransmissions" else 50))
    elephants = max(1, min(8, packets // 20_000, total // 10))
    return Plan(mix, packets, total - elephants, elephants, seed, duration, filler)


def draw_elephants(plan: Plan, slices: list[tuple[int, int]]) -> Table:
    """The few flows that carry what the packets asked for leave over."""
    count = plan.elephants
    rng = np.random.default_rng([plan.seed, 1])
    flows = _blank(count)
    if not count:
        return flows
    used = sum(float(expected(draw(plan, *part), plan).sum()) for part in slices)
    wanted = 1.003 * plan.packets + 200 - used
    flows["rtt"] = rng.uniform(0.0005, 0.004, count)
    flows["segments"], flows["tail"] = BURST, MSS
    flows["upload"] = np.arange(count) % 2
    flows["exchanges"] = 1
    bursts = int(np.ceil((wanted / count - 6) / (expected(flows, plan)[0] - 6)))
    if bursts < 1:
        raise ValueError(f"{plan.packets} packets are too few for {plan.flows + count} flows")
    flows["exchanges"] = bursts
    flows["start"] = rng.uniform(0, plan.duration / 100, count)
    flows["gap"] = plan.duration * 0.98 / bursts
    _identify(flows, np.arange(plan.flows, plan.flows + count), rng, plan)
    return _finish(flows)


def draw(plan: Plan, first: int, last: int) -> Table:
    """Flows ``first`` to ``last`` of all, in order of their starts; the same for the same plan."""
    numbers = np.arange(first, last)
    rng = np.random.default_rng([plan.seed, 2, first])
    flows = _blank(last - first)
    flows["start"] = (numbers + rng.random(last - first)) * (plan.last_start / max(plan.flows, 1))
    _identify(flows, numbers, rng, plan)
    if plan.mix == "synflood":
        flows["opening"] = Opening.SILENT
        flows["syns"] = 1
    elif plan.mix in ("short", "failing"):
        _short(flows, rng)
        if plan.mix == "failing":
            flows["opening"][::2] = Opening.REFUSED
            flows["ending"] = Ending.SERVER_RESET
    else:
        _requests(flows, rng, plan.duration)
        _fail(flows, rng)
    return _finish(flows)


def expected(flows: Table, plan: Plan) -> Floats:
    """How many packets each flow will have, on average where chance decides."""
    copies = sum(COPIES) / 2 if plan.repeats else 1 + plan.loss
    data = flows["segments"] + (flows["request"] > 0)
    each = data * copies + flows["acked"] + (flows["segments"] + 1) // 2
    closing = np.array([3, 3, 2, 1, 3])[flows["ending"]]
    whole = 3 + flows["exchanges"] * each + closing
    return np.where(
        flows["opening"] == Opening.ANSWERED,
        whole,
        np.where(flows["opening"] == Opening.REFUSED, 2, flows["syns"]),
    )


def _blank(count: int) -> Table:
    flows = np.zeros(count, FLOW)
    flows["syns"] = 1
    flows["tail"] = MSS
    flows["segments"] = 1
    return flows


def _identify(flows: Table, numbers: Ints, rng: np.random.Generator, plan: Plan) -> None:
    """Endpoints that no other flow has, and the random starts of every counter."""
    count = len(flows)
    if plan.mix == "synflood":
        flows["address"][:, 0] = _FLOOD_NET | ((numbers * 0x9E3779B1) & 0xFFFFFF)
        flows["port"][:, 0] = 1024 + (numbers * 7919 + (numbers >> 24)) % 64000
    else:
        flows["address"][:, 0] = _CLIENT_NET + 256 + numbers % _CLIENTS
        flows["port"][:, 0] = 32768 + (numbers // _CLIENTS) % _PORTS
    server = (numbers // (_CLIENTS * _PORTS) + rng.integers(0, _SERVERS, count)) % _SERVERS
    flows["address"][:, 1] = _SERVER_NET + 1 + server
    ports = np.array(SERVICES) + _UNCLAIMED * plan.filler
    flows["port"][:, 1] = ports[server % len(ports)]
    for name in ("isn", "clock"):
        flows[name] = rng.integers(0, 1 << 32, (count, 2), dtype=np.uint32)
    flows["ip_id"] = rng.integers(0, 1 << 16, (count, 2), dtype=np.uint16)


def _short(flows: Table, rng: np.random.Generator) -> None:
    count = len(flows)
    flows["rtt"] = rng.uniform(0.0002, 0.02, count)
    flows["service"] = rng.uniform(0.041, 0.2, count)
    flows["gap"] = rng.uniform(0.5, 3.0, count)
    flows["exchanges"] = 1
    flows["request"] = rng.integers(80, 800, count)
    flows["tail"] = rng.integers(40, MSS + 1, count)
    flows["acked"] = True


def _requests(flows: Table, rng: np.random.Generator, duration: float) -> None:
    """Requests and answers, on connections that live for a minute or two, most of it idle."""
    count = len(flows)
    flows["rtt"] = np.clip(rng.lognormal(np.log(0.008), 1.0, count), 0.0002, 0.08)
    flows["service"] = np.clip(rng.lognormal(np.log(0.02), 1.0, count), 0.0005, 0.15)
    flows["exchanges"] = np.minimum(rng.geometric(0.33, count), 15)
    flows["request"] = rng.integers(120, 900, count)
    flows["segments"] = np.minimum(rng.geometric(0.26, count), 40)
    flows["tail"] = rng.integers(40, MSS + 1, count)
    flows["acked"] = flows["service"] > 0.04  # the delayed ACK came first
    longest = (0.97 * duration - flows["start"]) * rng.uniform(0.5, 1, count)
    flows["exchanges"] = np.clip(longest // _SHORTEST_GAP, 1, flows["exchanges"])
    life = rng.lognormal(np.log(90), 0.8, count)
    life = np.clip(life, flows["exchanges"] * _SHORTEST_GAP, longest)
    flows["gap"] = life / flows["exchanges"]


def _fail(flows: Table, rng: np.random.Generator) -> None:
    """One flow in a hundred is reset, one in 200 refused, one in 500 never answered."""
    count = len(flows)
    flows["ending"] = rng.choice([Ending.CLIENT_FIN, Ending.SERVER_FIN], count, p=[0.7, 0.3])
    resets = (Ending.SERVER_RESET, Ending.CLIENT_ABORT, Ending.RESET_AFTER_FIN)
    which = rng.choice(resets, count, p=[0.35, 0.2, 0.45])
    chance = (rng.permutation(count) + rng.random()) / max(count, 1)  # spread evenly: few flows have them too
    flows["ending"] = np.where(chance < 0.01, which, flows["ending"])
    refused, silent = (chance >= 0.01) & (chance < 0.015), (chance >= 0.015) & (chance < 0.017)
    flows["opening"] = np.where(refused, Opening.REFUSED, np.where(silent, Opening.SILENT, Opening.ANSWERED))
    flows["syns"] = np.where(silent, len(SYN_TIMES), 1)


def _finish(flows: Table) -> Table:
    flows["rto"] = np.clip(flows["gap"] / 20, 0.002, 0.2)
    answered = flows["opening"] == Opening.ANSWERED
    talk = opening_time(flows) + flows["exchanges"] * flows["gap"]
    flows["end"] = (
        flows["start"] + np.where(answered, talk, SYN_TIMES[flows["syns"] - 1]) + 3 * flows["rtt"] + 1
    )
    return flows


def opening_time(flows: Table) -> Any:
    """Seconds between a flow's SYN and its first exchange."""
    return 1.5 * flows["rtt"] + 0.0005
