"""Addresses and ports that stand in a line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from analyzer.model.flow import Endpoint

_IPV4 = r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)"
_BARE = (
    r"(?<![\w:.\[])(?:[0-9A-Fa-f]{0,4}:){2,7}"
    r"(?:\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?|[0-9A-Fa-f]{1,5})?(?![\w:])"
)
_ENDPOINT = re.compile(
    rf"(?P<v4>{_IPV4})(?::(?P<p4>\d{{1,5}}))?"
    r"|\[(?P<v6>[0-9A-Fa-f:.]+)\](?::(?P<p6>\d{1,5}))?"
    rf"|(?P<bare>{_BARE})"
)
_LOOSE = re.compile(
    r"\bport[ =:]+(?P<port>\d{1,5})\b"
    r"|(?:://|\b(?:tcp|udp)[46]? )(?=[\w.-]*[A-Za-z])[\w.-]+:(?P<named>\d{1,5})\b",
    re.I,
)


def endpoints_in(text: str) -> tuple[Endpoint, ...]:
    """The addresses of a text with their ports (0: none), each once, in their order.

    ``::1:5432`` may be an address, or one with a port, as Node writes it: both are given.
    """
    found: dict[Endpoint, None] = {}
    for match in _ENDPOINT.finditer(text):
        found.update(dict.fromkeys(_bare(match["bare"]) if match["bare"] else _plain(match)))
    return tuple(found)


def loose_ports_in(text: str) -> tuple[int, ...]:
    """Ports that stand by themselves (``port 80``) or behind a name (``http://db:80``), each once."""
    ports = (int(match["port"] or match["named"]) for match in _LOOSE.finditer(text))
    return tuple(dict.fromkeys(port for port in ports if _is_port(port)))


def _plain(match: re.Match[str]) -> Iterable[Endpoint]:
    port = int(match["p4"] or match["p6"] or 0)
    return _endpoint(match["v4"] or match["v6"], port if _is_port(port) else 0)


def _bare(text: str) -> Iterable[Endpoint]:
    yield from _endpoint(text, 0)
    address, _, port = text.rpartition(":")
    if port.isdecimal() and _is_port(int(port)):
        yield from _endpoint(address, int(port))


def _endpoint(text: str, port: int) -> Iterable[Endpoint]:
    try:
        address = ip_address(text)
    except ValueError:
        return
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if not address.is_unspecified:
        yield Endpoint(str(address), port)


def _is_port(number: int) -> bool:
    return 0 < number <= 0xFFFF
