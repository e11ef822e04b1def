"""Every ICMP code that nftables rejects with, met by connect() on a slow path and on a fast one, and by UDP.

Without delay the ICMP error comes while connect() still holds the socket, and is soft only.
"""

from __future__ import annotations

from tests.lab.stage import Stage

from .registry import BEFORE_FILTER, SCENARIOS, SLOW_PATH, Play, scenario

CODES = {
    4: (
        *("net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable"),
        *("net-prohibited", "host-prohibited", "admin-prohibited"),
    ),
    6: ("no-route", "admin-prohibited", "addr-unreachable", "port-unreachable"),
}


def _connect(reject: str) -> Play:
    def play(stage: Stage) -> None:
        stage.filter(f"tcp dport PORT reject with {reject}")
        stage.listen()
        stage.open()
        stage.connect()
        stage.client.run("recv", "send", "so_error", "close")

    return play


def _datagram(reject: str) -> Play:
    def play(stage: Stage) -> None:
        stage.filter(f"udp dport PORT reject with {reject}")
        stage.listen_datagrams()
        stage.open(datagram=True)
        stage.connect()
        stage.client.run("send")
        stage.pause()
        stage.client.run("so_error", "send", "so_error", "close")

    return play


for _version, _codes in CODES.items():
    _family = "icmp" if _version == 4 else "icmpv6"
    for _code in _codes:
        _name, _reject = f"{_family}-{_code.replace('addr-', 'address-')}", f"{_family} type {_code}"
        for _suffix, _path, _delay in (
            ("connect", "slow path", SLOW_PATH),
            ("at-once", "path without delay", 0.0),
        ):
            if f"{_name}-{_suffix}" not in SCENARIOS:
                scenario(
                    f"{_name}-{_suffix}",
                    f"the router answers the SYN with {_family} {_code}; {_path}",
                    captures=BEFORE_FILTER,
                    ipv6=_version == 6,
                    delay=_delay,
                )(_connect(_reject))
        scenario(
            f"udp-{_name}",
            f"the router answers a datagram of a connected socket with {_family} {_code}",
            captures=BEFORE_FILTER,
            ipv6=_version == 6,
        )(_datagram(_reject))
