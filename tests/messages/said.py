"""Talks for tests: what both ends said, as a capture that holds everything shows it."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

from analyzer.model.talk import Said, Talk

CERTIFICATE = Path(__file__).parent.parent / "lab" / "tls" / "server.pem"


def talk(client: bytes, server: bytes = b"", *, heard: int = 0, server_first: bool = False) -> Talk:
    return Talk(Said(client, len(client)), Said(server, len(server), heard), server_first)


class Wire:
    """A real TLS client and server in memory, and what each of them has sent so far."""

    def __init__(self, version: ssl.TLSVersion) -> None:
        there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        there.load_cert_chain(CERTIFICATE)
        here = ssl.create_default_context(cafile=str(CERTIFICATE))
        here.maximum_version = there.maximum_version = version
        self._bios = [ssl.MemoryBIO() for _ in range(4)]
        to_client, from_client, to_server, from_server = self._bios
        self.client = here.wrap_bio(to_client, from_client, server_hostname="lab.example")
        self.server = there.wrap_bio(to_server, from_server, server_side=True)
        self.said = {"client": b"", "server": b""}

    def shake_hands(self) -> None:
        for _ in range(4):
            for end in (self.client, self.server):
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
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

    def talk(self, client: int | None = None, server: int | None = None) -> Talk:
        """All of it, or so many bytes of each end; negative: without the last ones."""
        return talk(self.said["client"][:client], self.said["server"][:server])
