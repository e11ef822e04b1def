"""A slow path: a TUN device that hands every packet back after a while: `python delay.py DEVICE SECONDS`.

The router sends what comes from its wires into the device, and what comes back out of it on its way.
"""

import collections
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000


def open_device(name: str) -> int:
    """Make the TUN device; it lives as long as this process."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def forward(device: int, delay: float) -> None:
    """Return each packet `delay` seconds after it came, in order."""
    waiting: collections.deque[tuple[float, bytes]] = collections.deque()
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select([device], [], [], timeout)
        if readable:
            waiting.append((time.monotonic() + delay, os.read(device, 65536)))
        while waiting and waiting[0][0] <= time.monotonic():
            os.write(device, waiting.popleft()[1])


def main() -> None:
    device = open_device(sys.argv[1])
    print("ready", flush=True)
    forward(device, float(sys.argv[2]))


if __name__ == "__main__":
    main()
