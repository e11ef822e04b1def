"""What a system's TCP makes of resets, ICMP errors and silence: the data files as typed values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from analyzer.data import load


@dataclass(frozen=True, slots=True)
class IcmpEffect:
    """What one type and code does. ``errno`` is empty where it maps to none."""

    meaning: str
    errno: str
    fatal: bool
    soft: bool
    datagram: str


NO_EFFECT = IcmpEffect("unknown", "", False, False, "none")


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """When retransmissions come and when they end; all times in seconds."""

    rto_initial: float
    rto_min: float
    rto_max: float
    data_limit: float
    """Model time after the first retransmission at which data is given up, at the next timer."""
    syn_retries: int
    syn_linear: int
    synack_retries: int
    orphan_retries: int
    window_probes: int
    """Unanswered probes of a closed window after which the system gives up, at the next timer."""
    keepalive_probes: int
    """The same, of keepalive probes."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One system. ``ttl`` is what its packets start with.

    ``reset_checks`` are (sequence class, states, result), the first that fits decides.
    """

    name: str
    ttl: int
    icmp: dict[int, dict[tuple[int, int], IcmpEffect]]
    reset_checks: tuple[tuple[str, frozenset[str], str], ...]
    retry: RetrySchedule

    def icmp_effect(self, version: int, icmp_type: int, code: int) -> IcmpEffect:
        """What an ICMP (``version`` 4) or ICMPv6 (6) error does to the sender of the quoted packet."""
        return self.icmp[version].get((icmp_type, code), NO_EFFECT)

    def reset_result(self, number: str, state: str) -> str:
        """``reset``, ``challenge_ack`` or ``dropped``, for a RST with that class of sequence number."""
        for wanted, states, result in self.reset_checks:
            if wanted == number and state in states:
                return result
        return "dropped"


@cache
def profile(name: str) -> Profile:
    """The profile of a system, by the name of its file in data/profiles."""
    data = load(f"profiles/{name}")
    retry = data["retry"]
    return Profile(
        name=data["name"],
        ttl=data["ttl"],
        icmp={4: _icmp_table(data["icmp"]["v4"]), 6: _icmp_table(data["icmp"]["v6"])},
        reset_checks=tuple(
            (check["seq"], frozenset(check["states"]), check["result"]) for check in data["reset"]["checks"]
        ),
        retry=RetrySchedule(
            rto_initial=retry["rto_initial_s"],
            rto_min=retry["rto_min_s"],
            rto_max=retry["rto_max_s"],
            data_limit=retry["data"]["gives_up_model_s"],
            syn_retries=retry["tcp_syn_retries"],
            syn_linear=retry["tcp_syn_linear_timeouts"],
            synack_retries=retry["synack_retries"],
            orphan_retries=retry["orphan_retries"],
            window_probes=retry["tcp_retries2"],
            keepalive_probes=retry["keepalive"]["probes"],
        ),
    )


def _icmp_table(rows: dict[str, Any]) -> dict[tuple[int, int], IcmpEffect]:
    table: dict[tuple[int, int], IcmpEffect] = {}
    for name, row in rows.items():
        icmp_type, codes = name.split("/")
        effect = IcmpEffect(
            meaning=row["meaning"],
            errno=row["errno"] or "",
            fatal=row["syn_sent"] == "fatal",
            soft=row["established"] == "soft",
            datagram=row["udp"],
        )
        for code in _codes(codes):
            table[int(icmp_type), code] = effect
    return table


def _codes(text: str) -> range:
    """``"3"``, ``"16-255"`` or ``"*"``."""
    if text == "*":
        return range(256)
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)
