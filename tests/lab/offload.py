"""Switch off segmentation and checksum offload: `python offload.py INTERFACE...`, inside the namespace."""

import array
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
SWITCHES = {"tx checksum": 0x17, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}  # ETHTOOL_STXCSUM, ...


def switch_off(sock: socket.socket, interface: str, command: int) -> None:
    """One ETHTOOL_S... request with the value 0."""
    value = array.array("B", struct.pack("=II", command, 0))
    address, _ = value.buffer_info()
    fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), address))


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for interface in sys.argv[1:]:
            for command in SWITCHES.values():
                switch_off(sock, interface, command)


if __name__ == "__main__":
    main()
