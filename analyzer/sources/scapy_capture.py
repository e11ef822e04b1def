"""Captures by scapy's sockets and writes pcap to stdout: a program of its own, where there is no other.

Arguments: interface, snapshot length (0: all), filter.
"""

from __future__ import annotations

import os
import struct
import sys
from time import time_ns

_ALL = 262_144
_ETHERNET = 1


def main(interface: str, snaplen: int, expression: str) -> int:
    """Capture until the reader is gone or somebody interrupts. Says on stderr when it begins."""
    import scapy.all  # noqa: F401  (the sockets of this system are not there before)
    from scapy.config import conf
    from scapy.error import Scapy_Exception

    try:
        sniffer = conf.L2listen(iface=interface, filter=expression or None)
    except (OSError, ValueError, Scapy_Exception) as error:
        print(f"scapy: {error}", file=sys.stderr)
        return 1
    kind = getattr(sniffer, "LL", None)
    link_type = conf.l2types.layer2num.get(kind, _ETHERNET) if kind else _ETHERNET
    limit = snaplen or _ALL
    os.write(1, struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, limit, link_type))
    print("listening on", interface, file=sys.stderr, flush=True)
    try:
        while True:
            _, data, stamp = sniffer.recv_raw()
            if data is not None:
                micros = int(stamp * 1_000_000) if stamp else time_ns() // 1000
                kept = data[:limit]
                os.write(1, struct.pack("<IIII", *divmod(micros, 1_000_000), len(kept), len(data)) + kept)
    except (KeyboardInterrupt, BrokenPipeError):
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), " ".join(sys.argv[3:])))
