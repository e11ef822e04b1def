"""What the decoder says of single frames, by hand; and what holds for every block."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest
from scapy.contrib import geneve as scapy_geneve
from scapy.layers import vxlan as scapy_vxlan
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, GRE, Ether
from scapy.packet import Raw

from analyzer.decode import decode
from analyzer.decode.fragments import Fragments
from analyzer.model.blocks import FrameBlock
from analyzer.model.columns import ROW_FIELDS, Flag, Option, PacketColumns, Undecoded, is_constant
from analyzer.model.tunnel import tunnel_text
from tests.decode.frames import (
    LINK_TYPES,
    carriers,
    corpus,
    ethernet,
    fragments,
    fragments6,
    framed,
    geneve,
    gre,
    icmp4,
    icmp6,
    in_ip,
    in_udp,
    mpls,
    pppoe,
    radiotap,
    raw_tcp,
    snap,
    tcp,
    v4,
    v6,
    vxlan,
    wireless,
    wrapped,
)
from tests.helpers import block_of

SYN_OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (77, 0)), ("NOP", None), ("WScale", 7)]
TIMESTAMPS = [("NOP", None), ("NOP", None), ("Timestamp", (5, 6))]


def reason_of(frame: bytes, link_type: int = 1, original: int | None = None) -> Undecoded:
    columns = decode(block_of([frame], link_type, original=None if original is None else [original]))
    assert len(columns) == 0
    assert columns.undecoded.sum() == 1
    return Undecoded(int(columns.undecoded.argmax()))


def row(frame: bytes, link_type: int = 1, original: int | None = None) -> dict[str, int]:
    columns = decode(block_of([frame], link_type, original=None if original is None else [original]))
    assert len(columns) == 1
    assert not columns.undecoded.any()
    return {name: getattr(columns, name)[0].item() for name in ROW_FIELDS}


def has(found: dict[str, int], **values: int) -> None:
    assert {name: found[name] for name in values} == values


def mixed_block() -> FrameBlock:
    block = block_of([frame for _, frame in corpus()])
    return replace(block, link_types=np.array([kind for kind, _ in corpus()], dtype=np.uint16))


def test_a_syn() -> None:
    found = row(ethernet(v4(tcp("S", options=SYN_OPTIONS))))
    has(found, number=1, time=0, clock=0, version=4, protocol=6, src_hi=0, dst_hi=0, ttl=61, ip_id=0xBEEF)
    has(found, src_lo=0x0A010203, dst_lo=0xC000024D, sport=40000, dport=443, seq=0xFFFFFF00, ack=0x12345678)
    has(found, flags=Flag.SYN, window=0xFACE, mss=1460, scale=7, has_ts=True, tsval=77, tsecr=0, payload=0)
    has(found, is_icmp=False, icmp_type=0, icmp_code=0, reporter_hi=0, reporter_lo=0)


def test_data_over_ipv6() -> None:
    found = row(ethernet(v6(tcp("PA", options=TIMESTAMPS) / b"hello"), 0x86DD))
    has(
        found,
        version=6,
        src_hi=0x20010DB800010000,
        src_lo=0xA,
        dst_hi=0xFE80 << 48,
        dst_lo=0x123456789ABCDEF0,
    )
    has(found, ttl=57, ip_id=0, payload=5, flags=Flag.PSH | Flag.ACK, has_ts=True, tsval=5, tsecr=6, scale=-1)


def test_udp() -> None:
    found = row(ethernet(v4(UDP(sport=5353, dport=53) / b"question")))
    has(found, protocol=17, sport=5353, dport=53, payload=8, seq=0, flags=0, window=0, scale=-1)


def test_only_a_syn_has_an_mss_and_a_scale() -> None:
    has(row(ethernet(v4(tcp("A", options=SYN_OPTIONS)))), mss=0, scale=-1, has_ts=True, tsval=77)
    has(row(ethernet(v4(tcp("SA", options=SYN_OPTIONS)))), mss=1460, scale=7)


def test_a_scale_above_14_counts_as_14() -> None:
    has(row(ethernet(v4(tcp("S", options=[("WScale", 255)])))), scale=14)


def test_options_as_a_mask() -> None:
    syn = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (77, 0)), ("NOP", None), ("WScale", 7)]
    usual = Option.MSS | Option.SCALE | Option.SACK_PERMITTED | Option.TIMESTAMPS
    has(row(framed(v4(tcp("S", options=syn)))), options=usual, sack_edge=0)
    has(row(framed(v4(tcp("A", options=TIMESTAMPS)))), options=Option.TIMESTAMPS)
    has(row(framed(v4(tcp("A")))), options=0)
    blocks = [*TIMESTAMPS, ("NOP", None), ("NOP", None), ("SAck", (100, 200, 0xFFFFFF00, 0xFFFFFFF0))]
    has(row(framed(v4(tcp("A", options=blocks)))), options=Option.TIMESTAMPS | Option.SACK, sack_edge=200)


def test_how_mptcp_is_torn_down() -> None:
    found = row(framed(v4(raw_tcp(b"\x1e\x04\x80\x03", flags=4), proto=6)))
    assert found["options"] == Option.MPTCP | Option.MPTCP_RESET | 3 << Option.RESET_REASON_SHIFT
    found = row(framed(v4(raw_tcp(b"\x1e\x0c\x70\0abcdefgh", flags=4), proto=6)))
    assert found["options"] == Option.MPTCP | Option.FAST_CLOSE


def test_ethernet_padding_is_no_payload() -> None:
    has(row(ethernet(v4(tcp("A")) + bytes(6))), payload=0)


def test_payload_counts_bytes_that_were_not_captured() -> None:
    frame = ethernet(v4(tcp("A") / bytes(1460)))
    has(row(frame[:60], original=len(frame)), payload=1460)
    has(row(frame[:54], original=len(frame)), payload=1460)
    assert reason_of(frame[:53], original=len(frame)) is Undecoded.TRUNCATED


def test_options_cut_by_the_capture_are_used_as_far_as_they_go() -> None:
    frame = ethernet(v4(tcp("S", options=SYN_OPTIONS)))
    has(row(frame[:58], original=len(frame)), mss=1460, has_ts=False, scale=-1)


def test_options_are_not_read_from_the_next_frame() -> None:
    frame = ethernet(v4(tcp("A", options=TIMESTAMPS)))
    columns = decode(block_of([frame[:60], frame[60:]], original=[len(frame)] * 2))
    assert columns.has_ts.tolist() == [False]
    assert columns.tsval.tolist() == [0]


def test_a_packet_too_long_for_its_length_field_is_as_long_as_its_frame() -> None:
    frame = ethernet(v4(tcp("A") / bytes(100), len=0))
    has(row(frame), payload=100)
    has(row(frame, original=70_054), payload=70_000)
    has(row(frame, original=14 + 8 * 65_536), payload=8 * 65_536 - 40)
    assert reason_of(frame, original=15 + 8 * 65_536) is Undecoded.BAD_IP_HEADER
    assert reason_of(frame, original=2**32 - 1) is Undecoded.BAD_IP_HEADER
    has(row(ethernet(v6(tcp("A"), plen=0), 0x86DD), original=70_074), payload=70_000)


@pytest.mark.parametrize("link_type", [kind for kind in LINK_TYPES if kind not in (228, 229)])
def test_every_link_type(link_type: int) -> None:
    for ip, version in ((v4(tcp()), 4), (v6(tcp()), 6)):
        has(row(wrapped(ip, link_type), link_type), version=version, dport=443)


def test_either_byte_order_of_a_family() -> None:
    ip = v4(tcp())
    has(row(b"\x02\x00\x00\x00" + ip, 0), dport=443)
    has(row(b"\x00\x00\x00\x02" + ip, 0), dport=443)
    assert reason_of(b"\x02\x00\x00\x00" + ip, 108) is Undecoded.OTHER_PROTOCOL


def test_up_to_eight_vlan_tags() -> None:
    has(row(ethernet(v4(tcp()), tags=(0x88A8, 0x8100, 0x9100, 0x8100) * 2)), dport=443)
    assert reason_of(ethernet(v4(tcp()), tags=(0x8100,) * 9)) is Undecoded.OTHER_PROTOCOL
    assert reason_of(ethernet(v4(tcp()), tags=(0x8100,))[:17]) is Undecoded.TRUNCATED
    assert reason_of(ethernet(b"", kind=0x0806, tags=(0x8100,))) is Undecoded.OTHER_PROTOCOL


def test_mpls_labels_and_pppoe() -> None:
    for ip in (INNER, v6(tcp())):
        has(row(ethernet(mpls(ip, 3), 0x8847)), dport=443, version=ip[0] >> 4)
        has(row(ethernet(pppoe(ip), 0x8864, tags=(0x8100,))), dport=443, version=ip[0] >> 4)
        has(row(ethernet(snap(ip), len(ip) + 8)), dport=443, version=ip[0] >> 4)
    assert reason_of(ethernet(pppoe(INNER, protocol=0xC021), 0x8864)) is Undecoded.OTHER_PROTOCOL
    assert reason_of(ethernet(b"\x42\x42\3" + bytes(4), 7)) is Undecoded.OTHER_PROTOCOL


@pytest.mark.parametrize("begin", [b"\0\x21", b"\x21", b"\xff\3\0\x21", b"\xff\3\x21", b"\1\3\0\x21"])
def test_ppp_with_and_without_its_frame(begin: bytes) -> None:
    for link_type in (9, 50, 166):
        has(row(begin + INNER, link_type), dport=443)
    has(row(b"\1" + begin + INNER, 204), dport=443)


def test_wireless_data_frames() -> None:
    for flags, control in ((1, 0x08), (2, 0x88), (3, 0x08), (3, 0x88), (0x81, 0x88)):
        has(row(wireless(INNER, control, flags), 105), dport=443)
        has(row(radiotap(wireless(INNER, control, flags), length=30), 127), dport=443)
    assert reason_of(wireless(INNER, flags=0x41), 105) is Undecoded.ENCRYPTED
    assert reason_of(wireless(INNER, control=0x80), 105) is Undecoded.OTHER_PROTOCOL  # a beacon
    assert reason_of(wireless(INNER, control=0x48), 105) is Undecoded.OTHER_PROTOCOL  # no data
    assert reason_of(wireless(INNER, fragment=2), 105) is Undecoded.LATER_FRAGMENT


def test_extension_headers() -> None:
    chain = IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(id=1, m=1)
    has(row(ethernet(v6(chain / tcp() / b"hello"), 0x86DD)), dport=443, payload=5)
    later = IPv6ExtHdrFragment(id=1, offset=3) / Raw(b"more")
    assert reason_of(ethernet(v6(later, nh=44), 0x86DD)) is Undecoded.OTHER_PROTOCOL  # no next header
    later.nh = 6
    assert reason_of(ethernet(v6(later, nh=44), 0x86DD)) is Undecoded.LATER_FRAGMENT


def rows(frames: list[bytes], times: list[int] | None = None) -> list[dict[str, int]]:
    columns = decode(block_of(frames, times=times))
    return [{name: getattr(columns, name)[i].item() for name in ROW_FIELDS} for i in range(len(columns))]


@pytest.mark.parametrize("parts", [fragments(), fragments6(200)], ids=["IPv4", "IPv6"])
def test_fragments_are_segments_that_follow_each_other(parts: list[bytes]) -> None:
    found = rows([framed(ip) for ip in parts])
    assert [row["payload"] for row in found] == [44, 64, 64, 28]
    assert [row["seq"] for row in found] == [(0xFFFFFF00 + ahead) % 2**32 for ahead in (0, 44, 108, 172)]
    for later in found[1:]:
        has(later, sport=40000, dport=443, ack=0x12345678, src_lo=found[0]["src_lo"], mss=0, scale=-1)


def test_the_fin_of_a_segment_stands_in_its_first_and_last_fragment() -> None:
    found = rows([framed(ip) for ip in fragments("PAF")])
    assert [bool(row["flags"] & Flag.FIN) for row in found] == [True, False, False, True]


def test_the_first_fragment_of_a_udp_datagram_has_its_whole_length() -> None:
    has(row(framed(v4(UDP(len=9000) / bytes(64), flags="MF"))), payload=8992)
    has(row(framed(v4(UDP(len=9000) / bytes(64)))), payload=64)


def test_fragments_without_a_first_one_are_counted() -> None:
    first, *later = (framed(ip) for ip in fragments())
    for frame in later:
        assert reason_of(frame) is Undecoded.LATER_FRAGMENT
    assert len(rows([later[0], first, *later[1:]])) == 3  # what came before the first is lost
    other = framed(fragments(ident=99)[1])
    assert len(rows([first, other])) == 1
    assert len(rows([first, later[0]], times=[0, 30 * 10**9])) == 2
    assert len(rows([first, later[0]], times=[0, 30 * 10**9 + 1])) == 1


def test_a_fragment_is_known_in_a_later_block() -> None:
    known = Fragments()
    first, *later = (block_of([framed(ip)]) for ip in fragments())
    assert [len(decode(block, known)) for block in (first, *later)] == [1, 1, 1, 1]
    many = block_of([framed(fragments(ident=1)[0]), framed(fragments(ident=77, dst="10.0.0.9")[0])])
    decode(many, known)
    assert len(decode(later[0], known)) == 1


def test_a_packet_longer_than_its_frame() -> None:
    """A kernel drops it. Where all of the frame was captured, a tool has cut it and not kept its length."""
    frame = framed(v4(tcp() / b"hello", len=1000))
    columns = decode(block_of([frame] * 3))
    assert (columns.payload.tolist(), columns.shortened) == ([960] * 3, 3)
    assert reason_of(frame[:-1], original=len(frame)) is Undecoded.LENGTH_BEYOND_FRAME
    assert reason_of(framed(v6(tcp(), plen=99))[:-1], original=138) is Undecoded.LENGTH_BEYOND_FRAME
    assert decode(block_of([frame[:-1]], original=[1014])).shortened == 0
    inside = in_ip(gre(v4(tcp() / b"hello", len=1000)), 47)
    assert reason_of(framed(inside)) is Undecoded.LENGTH_BEYOND_FRAME  # the packet around it says so


def test_an_icmp_error_is_a_row_of_the_packet_that_it_quotes() -> None:
    found = row(ethernet(icmp4(3, 13, v4(tcp())[:28])))
    has(found, version=4, protocol=6, src_lo=0x0A010203, dst_lo=0xC000024D, sport=40000, dport=443)
    has(found, seq=0xFFFFFF00, ack=0, flags=0, window=0, payload=0, is_icmp=True, icmp_type=3, icmp_code=13)
    has(found, ttl=250, ip_id=0xBEEF, reporter_hi=0, reporter_lo=0xC6336409)


def test_the_mss_of_a_syn_that_an_icmp_error_quotes() -> None:
    syn = v4(TCP(sport=40000, dport=443, flags="S", options=[("MSS", 1460), ("SAckOK", b"")]))
    answer = v4(TCP(sport=40000, dport=443, flags="SA", options=[("MSS", 1460)]))
    other = v4(TCP(sport=40000, dport=443, flags="S", options=[("SAckOK", b""), ("MSS", 1460)]))
    assert row(ethernet(icmp4(3, 1, syn)))["mss"] == 1460
    for quote in (syn[:43], answer, other, v4(TCP(flags="S")), v4(UDP())):
        assert row(ethernet(icmp4(3, 1, quote)))["mss"] == 0


def test_an_icmpv6_error() -> None:
    found = row(ethernet(icmp6(1, 4, v6(UDP(sport=9, dport=53))), 0x86DD))
    has(found, version=6, protocol=17, src_lo=0xA, sport=9, dport=53, seq=0, is_icmp=True, icmp_type=1)
    has(found, icmp_code=4, ttl=250, reporter_hi=0x20010DB8FFFF0000, reporter_lo=9)


def test_a_quote_need_not_state_its_length_right() -> None:
    for length in (0, 1, 65535):
        has(row(ethernet(icmp4(3, 1, v4(tcp(), len=length)[:28]))), dport=443)


def test_quotes_that_cannot_be_decoded() -> None:
    frame = ethernet(icmp4(3, 1, v4(tcp())[:28]))
    assert reason_of(frame[:-1], original=len(frame)) is Undecoded.TRUNCATED
    short = ethernet(icmp4(3, 1, v4(tcp())[:27]))
    assert reason_of(short) is Undecoded.BAD_TRANSPORT_HEADER
    assert reason_of(short + bytes(20)) is Undecoded.BAD_TRANSPORT_HEADER  # padding is no quote
    assert reason_of(ethernet(icmp4(3, 1, v6(tcp())))) is Undecoded.BAD_TRANSPORT_HEADER
    assert reason_of(ethernet(icmp4(3, 1, v4(tcp(), frag=9)))) is Undecoded.LATER_FRAGMENT
    assert reason_of(ethernet(icmp4(3, 1, v4(Raw(b"esp"), proto=50)))) is Undecoded.OTHER_PROTOCOL


INNER = v4(tcp("PA", options=TIMESTAMPS) / b"hello")


@pytest.mark.parametrize("version", [4, 6])
def test_tunnels(version: int) -> None:
    texts = []
    for ip in (INNER, v6(tcp() / b"hello")):
        texts.append([])
        for around in carriers(ip, version):
            found = row(framed(around))
            has(found, version=ip[0] >> 4, sport=40000, dport=443, seq=0xFFFFFF00, payload=5)
            assert found["ttl"] == (61 if ip is INNER else 57)
            texts[-1].append(tunnel_text(found["tunnel"]))
    assert (
        texts[0]
        == texts[1]
        == [
            "IPIP",
            *("VXLAN 42", "VXLAN 42", "VXLAN 16777215"),
            *("Geneve 7", "Geneve 7", "Geneve 7", "Geneve 7"),
            *("GRE", "GRE", "GRE 5", "GRE 5", "GRE 5", "GRE 5", "GRE", "GRE"),
            *("ERSPAN", "ERSPAN 77", "ERSPAN 77", "ERSPAN 1023"),
        ]
    )


def test_tunnels_after_vlan_tags_and_with_tags_inside() -> None:
    tagged = in_udp(vxlan(ethernet(INNER, tags=(0x8100,))), 4789)
    has(row(ethernet(tagged, tags=(0x88A8, 0x8100))), dport=443)


def test_a_tunnel_as_scapy_builds_it() -> None:
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # else scapy asks the network for them
    inner = ether / IP(INNER)
    outer = ether / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=1)
    found = row(bytes(outer / scapy_vxlan.VXLAN(vni=42) / inner))
    assert (found["dport"], tunnel_text(found["tunnel"])) == (443, "VXLAN 42")
    outer[UDP].dport = 6081
    found = row(bytes(outer / scapy_geneve.GENEVE(vni=7) / inner))
    assert (found["dport"], tunnel_text(found["tunnel"])) == (443, "Geneve 7")
    found = row(
        bytes(
            ether / IP(src="192.0.2.1", dst="192.0.2.2") / GRE(key_present=1, key=5, seqnum_present=1) / inner
        )
    )
    assert (found["dport"], tunnel_text(found["tunnel"])) == (443, "GRE 5")


def test_tunnels_in_tunnels_down_to_four() -> None:
    ip, numbers = INNER, set()
    for depth in range(1, 6):
        ip = in_udp(vxlan(framed(ip), vni=depth), 4789)
        found = row(framed(ip))
        has(found, dport=443 if depth < 5 else 4789)
        numbers.add(found["tunnel"])
    assert len(numbers) == 5  # the tunnels around the innermost one tell flows apart
    assert tunnel_text(found["tunnel"]) == "VXLAN 2 in another tunnel"


def test_what_is_no_tunnel_is_plain_udp() -> None:
    for payload in (
        b"",
        b"hello, this is anything but a tunnel, and longer than all of the headers together would be",
        vxlan(framed(INNER), flags=0),
        vxlan(INNER),
        vxlan(bytes(Ether() / ARP())),
        geneve(framed(INNER), flags=0x80),
        geneve(framed(INNER), first=0x40),
        vxlan(framed(INNER))[:-6],  # ends before the packet inside does
    ):
        for port in (4789, 8472, 6081):
            has(row(framed(in_udp(payload, port))), dport=port, tunnel=0, payload=len(payload))
    has(row(framed(in_udp(vxlan(framed(INNER)), 4788))), dport=4788, tunnel=0)


def test_carriers_that_cannot_be_opened() -> None:
    assert reason_of(framed(in_ip(gre(INNER, flags=1), 47))) is Undecoded.OTHER_PROTOCOL
    assert reason_of(framed(in_ip(gre(INNER, kind=0x880B), 47))) is Undecoded.OTHER_PROTOCOL
    assert reason_of(framed(in_ip(gre(INNER, flags=0x2000)[:6], 47))) is Undecoded.BAD_TRANSPORT_HEADER
    assert reason_of(framed(in_ip(INNER, 41))) is Undecoded.BAD_IP_HEADER
    frame = framed(in_ip(gre(INNER), 47))
    assert reason_of(frame[:37], original=len(frame)) is Undecoded.TRUNCATED


def test_an_icmp_error_in_a_tunnel_belongs_to_the_flow_in_it() -> None:
    data, error = (row(framed(in_udp(vxlan(framed(ip)), 4789))) for ip in (INNER, icmp4(3, 1, INNER[:28])))
    has(error, is_icmp=True, sport=40000, dport=443, tunnel=data["tunnel"], reporter_lo=0xC6336409)


def test_an_icmp_error_about_a_tunnel_packet_belongs_to_the_outer_flow() -> None:
    """The kernel does not hand it on to the socket inside: the tunnel device keeps it for itself."""
    quote = in_udp(vxlan(framed(INNER)), 4789)
    has(row(framed(icmp4(3, 1, quote))), is_icmp=True, protocol=17, dport=4789, tunnel=0)
    assert reason_of(framed(icmp4(3, 1, in_ip(gre(INNER), 47)))) is Undecoded.OTHER_PROTOCOL


def test_the_first_fragment_of_a_tunnel_packet_tells_the_length_of_the_packet_inside() -> None:
    long = v4(tcp() / bytes(64), len=9000)
    for around in (in_udp(vxlan(framed(long)), 4789, flags="MF"), in_ip(long, 4, flags="MF")):
        has(row(framed(around)), dport=443, payload=9000 - 40)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", Undecoded.TRUNCATED),
        (ethernet(b"", kind=0x0806), Undecoded.OTHER_PROTOCOL),
        (ethernet(v4(tcp()))[:33], Undecoded.TRUNCATED),
        (ethernet(v4(tcp(), version=5)), Undecoded.BAD_IP_HEADER),
        (ethernet(v4(tcp(), ihl=4)), Undecoded.BAD_IP_HEADER),
        (ethernet(v4(tcp(), len=19)), Undecoded.BAD_IP_HEADER),
        (ethernet(v4(tcp(), frag=1)), Undecoded.LATER_FRAGMENT),
        (ethernet(v4(tcp(), proto=50)), Undecoded.OTHER_PROTOCOL),
        (ethernet(v4(tcp(), len=39)), Undecoded.BAD_TRANSPORT_HEADER),
        (ethernet(v4(tcp(dataofs=4))), Undecoded.BAD_TRANSPORT_HEADER),
        (ethernet(v4(tcp(dataofs=6))), Undecoded.BAD_TRANSPORT_HEADER),
        (ethernet(v4(UDP(), len=27)), Undecoded.BAD_TRANSPORT_HEADER),
        (ethernet(icmp4(8, 0, b"ping")), Undecoded.OTHER_PROTOCOL),
    ],
)
def test_why_a_frame_is_no_row(frame: bytes, reason: Undecoded) -> None:
    assert reason_of(frame) is reason


def test_an_unknown_link_type() -> None:
    assert reason_of(ethernet(v4(tcp())), 147) is Undecoded.UNKNOWN_LINK_TYPE


def test_numbers_times_and_clock() -> None:
    frame = ethernet(v4(TCP()))
    other = ethernet(b"", kind=0x0806)
    block = block_of([frame, other, frame, frame, other], times=[10, 30, 20, 40, 50], first_number=1001)
    columns = decode(replace(block, capture=3))
    assert columns.number.tolist() == [1001, 1003, 1004]
    assert columns.time.tolist() == [10, 20, 40]
    assert columns.clock.tolist() == [10, 30, 40]
    assert (columns.capture, columns.packets, columns.clock_end) == (3, 5, 50)


def test_no_frames() -> None:
    columns = decode(block_of([]))
    assert (len(columns), columns.packets, columns.clock_end) == (0, 0, 0)
    assert columns.undecoded.tolist() == [0] * len(Undecoded)


@pytest.mark.parametrize("block", [block_of([]), block_of([ethernet(v4(TCP()))] * 3), mixed_block()])
def test_columns_are_as_declared(block: FrameBlock) -> None:
    columns = decode(block)
    hints = get_type_hints(PacketColumns)
    for name in (*ROW_FIELDS, "undecoded"):
        column = getattr(columns, name)
        declared = get_args(get_args(hints[name])[1])[0]
        assert column.dtype == np.dtype(declared), name
        assert column.dtype.isnative, name
        assert column.flags.c_contiguous or is_constant(column), name
        assert column.shape == ((len(Undecoded),) if name == "undecoded" else (len(columns),)), name


def test_columns_outlive_the_buffer() -> None:
    block = mixed_block()
    arrays = {
        name: getattr(block, name).copy() for name in ("buffer", "offsets", "captured", "original", "times")
    }
    own = replace(block, **arrays)
    columns = decode(own)
    before = {name: getattr(columns, name).copy() for name in ROW_FIELDS}
    for array in arrays.values():
        array.fill(0)
    for name, column in before.items():
        np.testing.assert_array_equal(getattr(columns, name), column, err_msg=name)


def test_the_frames_are_of_every_kind() -> None:
    columns = decode(mixed_block())
    assert (columns.undecoded > 2).all()
    assert columns.is_icmp.sum() > 100
    assert (columns.version == 6).sum() > 100
    assert (columns.protocol == 17).sum() > 50
