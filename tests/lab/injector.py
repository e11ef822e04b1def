"""A device on the path that sends segments in an end's name: `python injector.py PORT INTERFACE...`.

It watches the connections of that server port on the router's interfaces. Each line on its standard input is
a list of segments to send, `{"as": "server", "shift": 0, "flags": "R", "ttl": 64}`, with numbers relative to
what that end would send next. It answers each with a line. One with `"when": "client"` waits for that
end's next data.
"""

import json
import select
import socket
import struct
import sys
from typing import Any

ETH_P_ALL = 0x0003
IPV6_HDRINCL = 36
TCP = socket.IPPROTO_TCP
FLAGS = {"F": 0x01, "S": 0x02, "R": 0x04, "P": 0x08, "A": 0x10}
HOP_LIMIT = 64
NOP, TIMESTAMPS = 1, 8


class Watch:
    """What each end of the newest connection has sent: addresses, next sequence number, timestamp."""

    def __init__(self, port: int, interfaces: list[str]) -> None:
        self.port = port
        self.sockets = []
        for interface in interfaces:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
            sock.bind((interface, 0))
            self.sockets.append(sock)
        self.ends: dict[str, dict[str, Any]] = {}
        self.waiting: list[dict[str, Any]] = []

    def take(self, packet: bytes) -> None:
        """One IP packet."""
        version = packet[0] >> 4
        if version == 4:
            header, protocol = (packet[0] & 15) * 4, packet[9]
            addresses, end = (packet[12:16], packet[16:20]), struct.unpack("!H", packet[2:4])[0]
        elif version == 6:
            header, protocol = 40, packet[6]
            addresses, end = (packet[8:24], packet[24:40]), 40 + struct.unpack("!H", packet[4:6])[0]
        else:
            return
        if protocol != TCP:
            return
        segment = packet[header:end]
        sport, dport, seq, ack = struct.unpack("!HHII", segment[:12])
        offset, flags = (segment[12] >> 4) * 4, segment[13]
        if self.port not in (sport, dport) or flags & FLAGS["R"]:
            return
        used = len(segment) - offset + bool(flags & FLAGS["S"]) + bool(flags & FLAGS["F"])
        self.ends["server" if sport == self.port else "client"] = {
            "addresses": addresses,
            "ports": (sport, dport),
            "next": (seq + used) % 2**32,
            "ack": ack,
            "stamp": _timestamps(segment[20:offset]),
        }
        if len(segment) > offset:
            self.said("server" if sport == self.port else "client")

    def said(self, side: str) -> None:
        """That end sent data: send what waited for it."""
        due = [request for request in self.waiting if request["when"] == side]
        self.waiting = [request for request in self.waiting if request["when"] != side]
        for request in due:
            send(build(self.ends[request["as"]], request))

    def read(self) -> None:
        """All that has come."""
        while ready := select.select(self.sockets, [], [], 0)[0]:
            for sock in ready:
                self.take(sock.recv(65536))


def _timestamps(options: bytes) -> tuple[int, int] | None:
    """TSval and TSecr."""
    at = 0
    while at < len(options) and options[at]:
        if options[at] == NOP:
            at += 1
            continue
        if options[at] == TIMESTAMPS:
            value: tuple[int, int] = struct.unpack("!II", options[at + 2 : at + 10])
            return value
        at += options[at + 1]
    return None


def checksum(data: bytes) -> int:
    """The Internet checksum."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def build(end: dict[str, Any], request: dict[str, Any]) -> bytes:
    """The packet with its IP header."""
    options = b""
    if request.get("timestamps") and end["stamp"]:
        options = struct.pack("!BBBBII", NOP, NOP, TIMESTAMPS, 10, *end["stamp"])
    flags = sum(FLAGS[letter] for letter in request["flags"])
    acknowledged = (end["ack"] + request.get("ack_shift", 0)) % 2**32 if flags & FLAGS["A"] else 0
    source, target = end["addresses"]
    head = (
        *end["ports"],
        (end["next"] + request.get("shift", 0)) % 2**32,
        acknowledged,
        (20 + len(options)) << 2,
        flags,
        request.get("window", 0),
    )
    segment = struct.pack("!HHIIBBHHH", *head, 0, 0) + options
    v6 = len(source) == 16
    pseudo = (
        source
        + target
        + (struct.pack("!II", len(segment), TCP) if v6 else struct.pack("!HH", TCP, len(segment)))
    )
    segment = struct.pack("!HHIIBBHHH", *head, checksum(pseudo + segment), 0) + options
    ttl = request.get("ttl", HOP_LIMIT)
    if v6:
        return struct.pack("!IHBB", 6 << 28, len(segment), TCP, ttl) + source + target + segment
    identity = request.get("id", 0)
    return (
        struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), identity, 0x4000, ttl, TCP, 0)
        + source
        + target
        + segment
    )


def send(packet: bytes) -> None:
    """Send it, along the router's own routes."""
    v6 = packet[0] >> 4 == 6
    family = socket.AF_INET6 if v6 else socket.AF_INET
    target = socket.inet_ntop(family, packet[24:40] if v6 else packet[16:20])
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        if v6:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)
        sock.sendto(packet, (target, 0))


def main() -> None:
    watch = Watch(int(sys.argv[1]), sys.argv[2:])
    print("ready", flush=True)
    while True:
        select.select([*watch.sockets, sys.stdin], [], [])
        watch.read()
        if select.select([sys.stdin], [], [], 0)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            requests = json.loads(line)
            watch.read()
            for request in requests:
                if "when" in request:
                    watch.waiting.append(request)
                else:
                    send(build(watch.ends[request["as"]], request))
            print("sent", flush=True)


if __name__ == "__main__":
    main()
