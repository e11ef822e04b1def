"""What a system's TCP makes of resets, ICMP errors and silence: the data files as typed values."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from math import log2
from typing import Any, NamedTuple

from analyzer.data import load
from analyzer.model.host import Host, System, Version


class IcmpEffect(NamedTuple):
    """What one type and code does. ``errno`` is empty where it maps to none."""

    meaning: str
    errno: str
    fatal: bool
    soft: bool
    kept: bool
    """Whether a connection attempt that it does not end keeps it, for when that times out."""
    datagram: str


NO_EFFECT = IcmpEffect("unknown", "", False, False, False, "none")


class RetrySchedule(NamedTuple):
    """When retransmissions come and when they end; all times in seconds.

    Data ends by time (``data_limit``) where ``data_retries`` is 0, else by that count. ``connect_limit`` and
    ``user_timeout`` end it whatever was tried; 0 where there is no such limit.
    """

    rto_initial: float
    rto_min: float
    rto_max: float
    data_limit: float
    """Model time after the first retransmission at which data is given up, at the next timer."""
    syn_retries: int
    syn_linear: int
    syn_limit: float
    """Time after the first SYN from which on a timer ends the attempt; 0 where only SYNs are counted."""
    synack_retries: int
    orphan_retries: int
    orphan_limit: float
    """The same as ``data_limit`` of a socket that its program has closed."""
    data_retries: int = 0
    connect_limit: float = 0.0
    user_timeout: float = 0.0
    reset_at_end: bool = False
    """Whether a reset tells the other end that data was given up."""
    window_probes: int = 0
    """Unanswered probes of a closed window after which the system gives up, at the next timer."""
    keepalive_probes: int = 0
    """The same, of keepalive probes."""


class Questions(NamedTuple):
    """How a system asks everybody for the hardware address of its next hop before it gives up.

    ``step``: between two of its ``tries``, and after the last (nanoseconds).
    """

    tries: int
    step: int


class Profile(NamedTuple):
    """One system. ``ttl`` is what its packets start with.

    ``reset_checks`` are (sequence class, states, result), the first that fits decides. ``reset_at_last_ack``:
    "next" is what it acknowledged last, although it has received more.
    """

    name: str
    ttl: int
    icmp: dict[int, dict[tuple[int, int], IcmpEffect]]
    reset_checks: tuple[tuple[str, frozenset[str], str], ...]
    reset_at_last_ack: bool
    retry: RetrySchedule
    questions: Questions | None = None
    """None where it is not known how the system asks."""

    def icmp_effect(self, version: int, icmp_type: int, code: int) -> IcmpEffect:
        """What an ICMP (``version`` 4) or ICMPv6 (6) error does to the sender of the quoted packet."""
        return self.icmp[version].get((icmp_type, code), NO_EFFECT)

    def reset_result(self, number: str, state: str) -> str:
        """``reset``, ``challenge_ack`` or ``dropped``, for a RST with that class of sequence number."""
        for wanted, states, result in self.reset_checks:
            if wanted == number and state in states:
                return result
        return "dropped"


def profile_of(system: System, host: Host) -> Profile:
    """The profile of an end that is taken to run this system; ``host`` is what is known of it."""
    return profile(system.name, host.settings, system.version)


@cache
def profile(name: str, settings: tuple[tuple[str, float], ...] = (), version: Version = ()) -> Profile:
    """The profile of a system, by the name of its file in data/profiles, with settings that are known.

    ``settings`` are names of the file's own list and values in the unit that stands there; others change
    nothing. ``version`` is an older one than that which the file describes.
    """
    data = _with_settings(_of_version(load(f"profiles/{name}"), version), settings)
    return Profile(
        name=data["name"],
        ttl=data["ttl"],
        icmp={4: _icmp_table(data["icmp"]["v4"]), 6: _icmp_table(data["icmp"]["v6"])},
        reset_checks=tuple(
            (check["seq"], frozenset(check["states"]), check["result"]) for check in data["reset"]["checks"]
        ),
        reset_at_last_ack=data["reset"].get("next_is") == "last_ack_sent",
        retry=_schedule(data["retry"]),
        questions=_questions(data.get("neighbour")),
    )


def _schedule(retry: dict[str, Any]) -> RetrySchedule:
    return RetrySchedule(
        rto_initial=retry["rto_initial_s"],
        rto_min=retry["rto_min_s"],
        rto_max=retry["rto_max_s"],
        data_limit=model_time(retry.get("tcp_retries2", 0), retry["rto_min_s"], retry["rto_max_s"]),
        syn_retries=retry["tcp_syn_retries"],
        syn_linear=retry["tcp_syn_linear_timeouts"],
        syn_limit=_syn_limit(retry),
        synack_retries=retry["synack_retries"],
        orphan_retries=retry["orphan_retries"],
        orphan_limit=model_time(retry["orphan_retries"], retry["rto_min_s"], retry["rto_max_s"]),
        data_retries=retry.get("data_retries", 0),
        connect_limit=retry.get("connect_limit_s", 0.0),
        user_timeout=retry.get("user_timeout_s", 0.0),
        reset_at_end=retry.get("reset_at_end", False),
        window_probes=retry.get("tcp_retries2", 0) or retry.get("data_retries", 0),
        keepalive_probes=retry.get("keepalive", {}).get("probes", 0),
    )


def _syn_limit(retry: dict[str, Any]) -> float:
    """Linux tcp_write_timeout(): the time of a connect() without linear steps ends one with them as well."""
    if not retry.get("syn_by_time"):
        return 0.0
    return model_time(retry["tcp_syn_retries"], retry["rto_initial_s"], retry["rto_max_s"])


def _questions(neighbour: dict[str, Any] | None) -> Questions | None:
    if neighbour is None:
        return None
    return Questions(neighbour["tries"], round(neighbour["interval_s"] * 10**9))


def model_time(retries: int, base: float, most: float) -> float:
    """Seconds in which a timer that begins with ``base`` fires so often; Linux tcp_model_timeout()."""
    doublings = int(log2(most / base))
    if retries <= doublings:
        return ((2 << retries) - 1) * base
    return ((2 << doublings) - 1) * base + (retries - doublings) * most


def _of_version(data: dict[str, Any], version: Version) -> dict[str, Any]:
    """A copy of a profile's data in which that stands which this version does differently."""
    differences = [row for row in data.get("versions", ()) if version and version < numbers(row["before"])]
    data = deepcopy(data) if differences else data
    for row in differences:
        _put(data, row["of"], row["value"])
    return data


def numbers(version: str) -> Version:
    """``6.5`` as numbers, which can be compared."""
    return tuple(map(int, version.split(".")))


def _put(data: Any, way: Sequence[str | int], value: object) -> None:
    *way, last = way
    for key in way:
        data = data[key]
    data[last] = value


def _with_settings(data: dict[str, Any], settings: tuple[tuple[str, float], ...]) -> dict[str, Any]:
    """A copy of a profile's data in which the settings stand at their places."""
    data = deepcopy(data) if settings else data
    for name, value in settings:
        if known := data["settings"]["names"].get(name):
            zero = value == 0 and "zero" in known
            _put(data, known["of"], known["zero"] if zero else value * known.get("unit_s", 1))
    return data


def _icmp_table(rows: dict[str, Any]) -> dict[tuple[int, int], IcmpEffect]:
    table: dict[tuple[int, int], IcmpEffect] = {}
    for name, row in rows.items():
        icmp_type, codes = name.split("/")
        effect = IcmpEffect(
            meaning=row["meaning"],
            errno=row["errno"] or "",
            fatal=row["syn_sent"] == "fatal",
            soft=row["established"] == "soft",
            kept=row["syn_sent"] != "none",
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
