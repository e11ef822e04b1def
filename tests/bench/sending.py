"""Sends prepared frames at a rate, by sendmmsg(): a thousand for each call, which no loop in Python reaches.

``python -m tests.bench.sending CAPTURE INTERFACE --rate 200000``; prints the packets a second and the
processor time of its own, kernel included, as a share of a core.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.captures import frames_of

_SOURCE, _DESTINATION = 14 + 13, 14 + 17
"""The second byte of the addresses in an IPv4 packet on Ethernet."""
_AT_ONCE = 512
_PAUSE = 0.001
_BYPASS = 20  # PACKET_QDISC_BYPASS: linux/if_packet.h
_SOL_PACKET = 263
_IOVEC = np.dtype([("base", "u8"), ("length", "u8")])
_MMSGHDR = np.dtype(
    [
        *(("name", "u8"), ("name_length", "u8"), ("vector", "u8"), ("vectors", "u8")),
        *(("control", "u8"), ("control_length", "u8"), ("flags", "u8"), ("sent", "u8")),
    ]
)
"""struct mmsghdr where pointers have 64 bits."""


class Train:
    """Frames in one buffer, with the structures that sendmmsg() takes."""

    def __init__(self, frames: Sequence[bytes], size: int) -> None:
        self._buffer = np.frombuffer(
            bytearray(b"".join(frame.ljust(size, b"\0")[:size] for frame in frames)), np.uint8
        )
        self._begins = np.arange(len(frames)) * size
        self._vectors = np.zeros(len(frames), _IOVEC)
        self._vectors["base"] = self._buffer.ctypes.data + self._begins
        self._vectors["length"] = size
        self._headers = np.zeros(len(frames), _MMSGHDR)
        self._headers["vector"] = self._vectors.ctypes.data + np.arange(len(frames)) * _IOVEC.itemsize
        self._headers["vectors"] = 1
        self._call = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._next = self._turn = 0

    def send(self, out: socket.socket, count: int) -> int:
        """Send so many at most; how many went. Each turn is between other hosts."""
        if self._next == len(self._headers):
            self._next, self._turn = 0, self._turn + 1
            self._buffer[self._begins + _SOURCE] = self._buffer[self._begins + _DESTINATION] = (
                self._turn & 255
            )
        count = min(count, len(self._headers) - self._next)
        at = self._headers.ctypes.data + self._next * _MMSGHDR.itemsize
        sent = int(self._call(out.fileno(), at, count, 0))
        if sent < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        self._next += sent
        return sent


def send(path: str, interface: str, rate: int, seconds: float, size: int) -> None:
    """Send the capture's frames, filled up or cut to this size, over and over."""
    train = Train([frame.data for frame in frames_of(Path(path).read_bytes())], size)
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    out.setsockopt(_SOL_PACKET, _BYPASS, 1)
    sent, begin = 0, time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds:
        due = int(elapsed * rate) - sent
        if due > 0:
            sent += train.send(out, min(due, _AT_ONCE))
        if due < rate * _PAUSE:
            time.sleep(_PAUSE)
    print(sent / seconds, time.process_time() / seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture")
    parser.add_argument("interface")
    parser.add_argument("--rate", type=int, required=True, help="packets a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--size", type=int, default=600, help="bytes of a frame")
    options = parser.parse_args()
    send(options.capture, options.interface, options.rate, options.seconds, options.size)
