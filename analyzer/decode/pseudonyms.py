"""Other addresses in the place of those of a capture: the same for the same, and neighbours stay neighbours.

The scheme is Crypto-PAn (Xu, Fan, Ammar, Moon: "Prefix-preserving IP address anonymization", 2002), for IPv6
over 128 bits: addresses that share their first n bits share them afterwards, and no more.
"""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_address

KEY_BYTES = 32
_BLOCK = 16

_NOBODY = frozenset(ip_address(text).packed for text in ("0.0.0.0", "255.255.255.255", "::", "::1"))  # noqa: S104  (none is bound)
_Net = IPv4Network | IPv6Network
_KEPT: dict[int, tuple[_Net, ...]]
_KEPT = {4: (IPv4Network("127.0.0.0/8"), IPv4Network("224.0.0.0/4")), 16: (IPv6Network("ff00::/8"),)}
"""Loopback and multicast, which name no machine, by the size of an address in bytes."""


class Pseudonyms:
    """Maps addresses by a key of 32 bytes: 16 for the cipher, 16 for the padding.

    ``keep_special``: loopback and multicast addresses stay as they are, so that those bits of others stay up
    to which they could be such an address.
    """

    def __init__(self, key: bytes, *, keep_special: bool = True) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        # Each block is enciphered by itself on purpose: the scheme wants a function of 16 bytes.
        self._cipher = Cipher(algorithms.AES(key[:_BLOCK]), modes.ECB())  # noqa: S305  (Crypto-PAn's)
        self._pad = int.from_bytes(self._encipher(key[_BLOCK:]))
        self._keep_special = keep_special
        self.address = cache(self._address)
        self.mac = cache(self._mac)

    def text(self, address: str) -> str:
        """An address as people write it."""
        return str(ip_address(self.address(ip_address(address).packed)))

    def _encipher(self, blocks: bytes) -> bytes:
        cipher = self._cipher.encryptor()
        return cipher.update(blocks) + cipher.finalize()

    def _address(self, packed: bytes) -> bytes:
        """4 or 16 bytes for as many."""
        width = 8 * len(packed)
        value = int.from_bytes(packed)
        kept = _KEPT[len(packed)] if self._keep_special else ()
        if kept and (packed in _NOBODY or any(_agree(net, value, net.prefixlen) for net in kept)):
            return packed
        flips = 0
        for bit, block in enumerate(self._flips(value, width)):
            stays = any(bit < net.prefixlen and _agree(net, value, bit) for net in kept)
            flips = flips << 1 | (0 if stays else block)
        return (value ^ flips).to_bytes(len(packed))

    def _flips(self, value: int, width: int) -> list[int]:
        """Whether each bit is another one, which the bits before it decide."""
        blocks = bytearray()
        for bit in range(width):
            low = (1 << (128 - bit)) - 1
            head = value << (128 - width) & ~low & ((1 << 128) - 1)
            blocks += (head | self._pad & low).to_bytes(_BLOCK)
        enciphered = self._encipher(bytes(blocks))
        return [enciphered[at] >> 7 for at in range(0, len(enciphered), _BLOCK)]

    def _mac(self, address: bytes) -> bytes:
        """A locally administered address; those of groups, and of nobody, stay."""
        if address[0] & 1 or not any(address):
            return address
        name = self._encipher(b"link address" + bytes(_BLOCK - 12))
        mixed = bytes(a ^ b for a, b in zip(name, address.rjust(_BLOCK, b"\0"), strict=True))
        return (b"\x02" + self._encipher(mixed)[: len(address) - 1])[: len(address)]


def _agree(net: _Net, value: int, bits: int) -> bool:
    """Whether an address begins with the same bits as those of the net."""
    rest = net.max_prefixlen - bits
    return value >> rest == int(net.network_address) >> rest
