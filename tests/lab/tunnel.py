"""One end of a tunnel in user space: `python tunnel.py KIND DEVICE LOCAL REMOTE`.

What the kernel sends into the device goes to the other end, wrapped; what comes from there comes out of it.
KIND is `geneve` (a TAP device, UDP port 6081), `gre` (with a key) or `ipip` (TUN devices, raw sockets).
"""

import fcntl
import os
import select
import socket
import struct
import sys
from collections.abc import Callable

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
IPPROTO_GRE = 47
GENEVE_PORT = 6081
NUMBER = 42  # the network identifier, the key
GENEVE = struct.pack("!BBHI", 0, 0, 0x6558, NUMBER << 8)  # no options; an Ethernet frame follows
GRE = struct.pack("!HHI", 0x2000, 0x0800, NUMBER)  # the key is present; an IPv4 packet follows
WORD = 4
IHL = 0x0F


def open_device(name: str, kind: int) -> int:
    """Make the device; it lives as long as this process."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), kind | IFF_NO_PI))
    return device


def outer(kind: str, local: str) -> socket.socket:
    """The socket that the wrapped packets go through."""
    if kind == "geneve":
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((local, GENEVE_PORT))
        return sock
    number = IPPROTO_GRE if kind == "gre" else socket.IPPROTO_IPIP
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, number)
    sock.bind((local, 0))
    return sock


def unwrapped(kind: str, packet: bytes) -> bytes:
    """The packet inside; a raw socket gives the outer IP header as well."""
    if kind == "geneve":
        return packet[len(GENEVE) :]
    inner = packet[(packet[0] & IHL) * WORD :]
    return inner[len(GRE) :] if kind == "gre" else inner


def forward(kind: str, device: int, sock: socket.socket, remote: str) -> None:
    """Carry packets both ways for ever."""
    header = {"geneve": GENEVE, "gre": GRE, "ipip": b""}[kind]
    port = GENEVE_PORT if kind == "geneve" else 0

    def out() -> None:
        sock.sendto(header + os.read(device, 65536), (remote, port))

    def back() -> None:
        os.write(device, unwrapped(kind, sock.recv(65536)))

    carry: dict[int, Callable[[], None]] = {device: out, sock.fileno(): back}
    while True:
        for ready in select.select(list(carry), [], [])[0]:
            carry[ready]()


def main() -> None:
    kind, name, local, remote = sys.argv[1:]
    device = open_device(name, IFF_TAP if kind == "geneve" else IFF_TUN)
    sock = outer(kind, local)
    print("ready", flush=True)
    forward(kind, device, sock, remote)


if __name__ == "__main__":
    main()
