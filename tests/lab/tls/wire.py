"""A real TLS client and server in memory, whose bytes others carry."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

CERTIFICATE = Path(__file__).with_name("server.pem")
"""Key and certificate of lab.example, for tests only; made by openssl, valid until 2126."""


class Wire:
    """Both ends, and all that each has sent so far; ``tickets`` of TLS 1.3, None: the usual number."""

    def __init__(
        self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, *, tickets: int | None = None
    ) -> None:
        there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        there.load_cert_chain(CERTIFICATE)
        if tickets is not None:
            there.num_tickets = tickets
        here = ssl.create_default_context(cafile=str(CERTIFICATE))
        here.maximum_version = there.maximum_version = version
        self._bios = [ssl.MemoryBIO() for _ in range(4)]
        to_client, from_client, to_server, from_server = self._bios
        self.client = here.wrap_bio(to_client, from_client, server_hostname="lab.example")
        self.server = there.wrap_bio(to_server, from_server, server_side=True)
        self.said = {"client": b"", "server": b""}

    def step(self, end: ssl.SSLObject) -> None:
        """An end does what it can of the handshake."""
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()

    def shake_hands(self) -> None:
        """The whole handshake."""
        for _ in range(4):
            for end in (self.client, self.server):
                self.step(end)
                self.carry()

    def carry(self) -> None:
        """Each end gets what the other one has sent."""
        to_client, from_client, to_server, from_server = self._bios
        for name, out, into in (("client", from_client, to_server), ("server", from_server, to_client)):
            data = out.read()
            self.said[name] += data
            into.write(data)

    def farewell(self, end: ssl.SSLObject) -> None:
        """Its close_notify."""
        with contextlib.suppress(ssl.SSLWantReadError):
            end.unwrap()
        self.carry()
