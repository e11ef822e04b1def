"""Transcripts: each piece of the notation, decoded back by scapy; mistakes; the source."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, IPerror, TCPerror
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, IPerror6, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from analyzer.decode import decode
from analyzer.errors import UserError
from analyzer.model.blocks import SLACK
from analyzer.sources.reading import CaptureSource
from analyzer.sources.transcript import TranscriptError, TranscriptSource, parse
from analyzer.sources.transcript.frames import build
from analyzer.sources.transcript.steps import ADDRESSES, INITIAL, START, STEP

CLIENT, SERVER = INITIAL
SYN = "client > server  S  0:0(0)\n"

RESET_AFTER_FIN = """\
client > server  S   0:0(0)
server > client  S.  0:0(0) ack 1
client > server  .   1:1(0) ack 1
server > client  F.  1:1(0) ack 1
client > server  P.  1:11(10) ack 2
server > client  R   2:2(0)
"""
UNREACHABLE = """\
client > server  S   0:0(0)
router > client  icmp unreachable host_unreachable [0:0(0)]
"""


def packets(text: str, **how: object) -> list[Packet]:
    return [Ether(frame.data) for frame in build(parse(text, **how))]  # type: ignore[arg-type]  # options of any kind


def packet(line: str) -> Packet:
    (only,) = packets(line)
    return only


def icmp(line: str, version: int = 4) -> Packet:
    return packets(SYN + line, version=version)[1]


def mistakes(text: str, **how: int) -> list[tuple[int, str]]:
    with pytest.raises(TranscriptError) as caught:
        parse(text, "a.yaml", **how)
    return [(mistake.line, mistake.what) for mistake in caught.value.mistakes]


def mistake(text: str, **how: int) -> str:
    ((_, what),) = mistakes(text, **how)
    return what


# What a line says.


def test_datagrams_and_their_errors() -> None:
    text = "client > server udp (16) ttl 9\nserver > client icmp 3/3 [udp (16)]\nserver > client udp (0)"
    datagram, error, answer = (IP(frame.data[14:]) for frame in build(parse(text)))
    assert (datagram.proto, datagram.ttl, datagram.sport, datagram.dport) == (17, 9, 40001, 80)
    assert bytes(datagram.payload.payload) == b"x" * 16
    assert (error.type, error.code) == (3, 3)
    quoted = error[IPerror]
    assert (quoted.src, quoted.dst, quoted.sport, quoted.dport) == ("192.0.2.1", "192.0.2.2", 40001, 80)
    assert (answer.sport, answer.len) == (80, 28)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("client > server udp 16", "`16` is not (LEN)"),
        ("client > server udp", "the line ends where (LEN) should be"),
        ("client > server udp (65508)", "at most 65507 bytes"),
        ("client > server udp (1) win 3", "`win` means nothing here"),
        ("router > client icmp 3/3 [udp 16]", "is not (LEN)"),
        ("router > client udp (16)", "a router sends nothing but icmp"),
    ],
)
def test_wrong_datagrams(line: str, told: str) -> None:
    with pytest.raises(TranscriptError, match=re.escape(told)):
        parse(line)


def test_a_segment_has_the_ends_that_are_documented() -> None:
    syn = packet(SYN)
    assert (syn[IP].src, syn[TCP].sport, syn[IP].dst, syn[TCP].dport) == ("192.0.2.1", 40001, "192.0.2.2", 80)
    assert (syn[TCP].seq, syn[TCP].ack, syn[TCP].flags, syn[TCP].options) == (CLIENT, 0, "S", [])
    assert (syn[IP].ttl, syn[TCP].window, syn[Ether].src) == (64, 65535, "02:00:00:00:00:01")


def test_numbers_are_relative_to_the_initial_ones() -> None:
    data = packet("server > client P. 100:110(10) ack 7")
    assert (data[IP].src, data[TCP].sport, data[IP].dst, data[TCP].dport) == (
        "192.0.2.2",
        80,
        "192.0.2.1",
        40001,
    )
    assert (data[TCP].seq, data[TCP].ack, data[TCP].flags) == (SERVER + 100, CLIENT + 7, "PA")
    assert len(data[TCP].payload) == 10


def test_numbers_may_lie_before_the_initial_ones() -> None:
    assert packet("client > server . -5:-5(0) ack -1")[TCP].seq == CLIENT - 5


@pytest.mark.parametrize("initial", [(2**32 - 1, 2**32 - 5), (2**32 + 3, 0)])
def test_initial_numbers_near_the_wrap(initial: tuple[int, int]) -> None:
    lines = "client > server S 0:0(0)\nclient > server P. 1:11(10) ack 20 <sack 1:9>\n"
    syn, data = packets(lines, initial=initial)
    assert syn[TCP].seq == initial[0] % 2**32
    assert data[TCP].seq == (initial[0] + 1) % 2**32
    assert data[TCP].ack == (initial[1] + 20) % 2**32
    assert data[TCP].options == [
        ("SAck", ((initial[1] + 1) % 2**32, (initial[1] + 9) % 2**32)),
        ("EOL", None),
    ]


@pytest.mark.parametrize("flags", ["S", "S.", "F.", "P.", "R", "R.", ".", "FP.", "SEW", "U.", "FSRP.UEW"])
def test_flags(flags: str) -> None:
    ack = " ack 1" if "." in flags else ""
    expected = flags.replace(".", "A").replace("W", "C")
    assert set(str(packet(f"client > server {flags} 1:1(0){ack}")[TCP].flags)) == set(expected)


def test_fields_in_any_order() -> None:
    first = packet("client > server S. 0:0(0) ack 1 win 0 ttl 61 id 77 <mss 536>")
    assert (first[TCP].window, first[IP].ttl, first[IP].id) == (0, 61, 77)
    assert first[TCP].options == [("MSS", 536)]
    assert bytes(first) == bytes(packet("client > server S. 0:0(0) <mss 536> id 77 ttl 61 win 0 ack 1"))


def test_options() -> None:
    usual = packet("client > server S 0:0(0) <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>")
    nop, eol = ("NOP", None), ("EOL", None)
    assert usual[TCP].options == [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), nop, ("WScale", 7)]
    sack = packet("server > client . 1:1(0) ack 1 < nop, nop, sack 11:21 31:41 >")
    assert sack[TCP].options == [nop, nop, ("SAck", (CLIENT + 11, CLIENT + 21, CLIENT + 31, CLIENT + 41))]
    assert packet("client > server S 0:0(0) <nop,eol>")[TCP].options[:2] == [nop, eol]


def test_time_passes() -> None:
    lines = f"{SYN}+1 {SYN}{SYN}+.25 {SYN}+0.000000001 {SYN}+2. end"
    passed = [frame.time - START for frame in build(parse(lines))]
    second = 10**9
    assert passed == [
        0,
        second,
        second + STEP,
        second + STEP + second // 4,
        second + STEP + second // 4 + 1,
        3 * second + STEP + second // 4 + 1,
    ]


def test_the_first_line_may_have_a_time() -> None:
    assert build(parse(f"+3 {SYN}"))[0].time == START + 3 * 10**9


def test_the_end_is_a_frame_of_no_flow() -> None:
    transcript = parse(f"{SYN}+600 end")
    last = build(transcript)[-1]
    assert (last.line, last.time) == (2, START + 600 * 10**9)
    assert Ether(last.data).haslayer(ARP)
    block = next(TranscriptSource(transcript).blocks())
    columns = decode(block)
    assert (len(columns), columns.packets, columns.clock_end) == (1, 2, last.time)


def test_comments_and_blank_lines() -> None:
    text = f"# it begins\n\n   \n{SYN.rstrip()}   # the first one\r\n\n{SYN}"
    assert [frame.line for frame in build(parse(text))] == [4, 6]


def test_ip_ids_increase_by_sender() -> None:
    text = f"{SYN}server > client S. 0:0(0) ack 1\n{SYN}{SYN.rstrip()} id 9\n{SYN}"
    assert [found[IP].id for found in packets(text)] == [10_000, 20_000, 10_001, 9, 10_002]


def test_version_6() -> None:
    text = "client > server P. 1:11(10) ack 1 ttl 57 <nop,nop,TS val 1 ecr 2>\n"
    ((by_line,), (by_parameter,)) = packets("# first\nipv6\n" + text), packets(text, version=6)
    assert bytes(by_line) == bytes(by_parameter)
    assert (by_line[IPv6].src, by_line[IPv6].dst, by_line[IPv6].hlim) == ("2001:db8::1", "2001:db8::2", 57)
    assert len(by_line[TCP].payload) == 10


# ICMP errors.


def test_an_icmp_error_quotes_the_packet_that_was_sent() -> None:
    syn, error = packets(UNREACHABLE)
    assert (error[IP].src, error[IP].dst, error[IP].proto) == ("192.0.2.254", "192.0.2.1", 1)
    assert (error[ICMP].type, error[ICMP].code) == (3, 1)
    assert bytes(error[ICMP].payload) == bytes(syn[IP])


def test_the_last_packet_with_these_numbers_is_quoted() -> None:
    text = f"{SYN.rstrip()} id 1\n{SYN.rstrip()} id 2\nrouter > client icmp ttl_exceeded [0:0(0)]"
    assert packets(text)[-1][IPerror].id == 2


def test_a_packet_that_was_never_sent_is_made_up() -> None:
    error = icmp("router > client icmp unreachable host_unreachable [5000:5000(0)]")
    assert (error[IPerror].src, error[IPerror].dst) == ("192.0.2.1", "192.0.2.2")
    assert (error[TCPerror].sport, error[TCPerror].dport, error[TCPerror].seq) == (40001, 80, CLIENT + 5000)


def test_either_end_may_report() -> None:
    error = icmp("client > server icmp unreachable port_unreachable ttl 60 [1:2001(2000)] id 4")
    assert (error[IP].src, error[IP].ttl, error[IP].id) == ("192.0.2.1", 60, 4)
    assert (error[IPerror].src, error[TCPerror].sport, error[TCPerror].seq) == ("192.0.2.2", 80, SERVER + 1)
    assert error[IP].len == 576


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("unreachable net_unreachable", (3, 0)),
        ("unreachable protocol_unreachable", (3, 2)),
        ("unreachable admin_prohibited", (3, 13)),
        ("port_unreachable", (3, 3)),
        ("time_exceeded ttl_exceeded", (11, 0)),
        ("ttl_exceeded", (11, 0)),
        ("source_quench", (4, 0)),
        ("parameter_problem parameter_problem", (12, 0)),
        ("3/200", (3, 200)),
    ],
)
def test_types_of_version_4(words: str, expected: tuple[int, int]) -> None:
    error = icmp(f"router > client icmp {words} [0:0(0)]")
    assert (error[ICMP].type, error[ICMP].code) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("unreachable no_route", (1, 0)),
        ("unreachable admin_prohibited", (1, 1)),
        ("address_unreachable", (1, 3)),
        ("port_unreachable", (1, 4)),
        ("packet_too_big", (2, 0)),
        ("time_exceeded hop_limit", (3, 0)),
        ("unknown_next_header", (4, 1)),
        ("1/6", (1, 6)),
    ],
)
def test_types_of_version_6(words: str, expected: tuple[int, int]) -> None:
    error = icmp(f"router > client icmp {words} [0:0(0)]", version=6)
    message = error[IPv6].payload
    assert (error[IPv6].src, error[IPv6].nh) == ("2001:db8::fe", 58)
    assert (message.type, message.code) == expected
    assert (error[IPerror6].src, error[TCPerror].seq) == ("2001:db8::1", CLIENT)


def test_a_message_about_size_has_an_mtu() -> None:
    assert icmp("router > client icmp frag_needed mtu 1400 [0:0(0)]")[ICMP].nexthopmtu == 1400
    assert icmp("router > client icmp frag_needed [0:0(0)]")[ICMP].nexthopmtu == 1280
    assert icmp("router > client icmp packet_too_big mtu 70000 [0:0(0)]", 6)[ICMPv6PacketTooBig].mtu == 70000
    assert icmp("router > client icmp no_route [0:0(0)]", 6)[ICMPv6DestUnreach].unused == 0


# Whole transcripts.


@pytest.mark.parametrize("version", [4, 6])
def test_lengths_and_checksums_are_right(version: int) -> None:
    text = RESET_AFTER_FIN + "client > server . 11:1472(1461) ack 2 <nop,nop,TS val 1 ecr 2>\n"
    text += "router > client icmp port_unreachable [11:1472(1461)]\nrouter > server icmp 3/0 [9:10(1)]\n"
    for found in packets(text, version=version):
        again = found.copy()
        layer = again.payload
        while layer and layer.name not in ("Raw", "IP in ICMP", "IPv6 in ICMPv6"):
            for name in ("chksum", "cksum", "len", "plen"):
                if name in layer.fields:
                    delattr(layer, name)
            layer = layer.payload
        assert bytes(again) == bytes(found)


def test_the_examples_decode() -> None:
    columns = decode(next(TranscriptSource(parse(RESET_AFTER_FIN)).blocks()))
    assert columns.payload.tolist() == [0, 0, 0, 0, 10, 0]
    assert (columns.seq - np.array([CLIENT, SERVER] * 3)[[0, 1, 0, 1, 0, 1]]).tolist() == [0, 0, 1, 1, 1, 2]
    assert columns.number.tolist() == [1, 2, 3, 4, 5, 6]
    columns = decode(next(TranscriptSource(parse(UNREACHABLE)).blocks()))
    assert columns.is_icmp.tolist() == [False, True]
    assert columns.seq.tolist() == [CLIENT, CLIENT]
    assert columns.sport.tolist() == [40001, 40001]


def test_the_largest_packet() -> None:
    assert packet("client > server . 1:65496(65495) ack 1")[IP].len == 65535
    assert "room for 65495" in mistake("client > server . 1:65497(65496) ack 1")
    assert packets("ipv6\nclient > server . 1:65516(65515) ack 1")[0][IPv6].plen == 65535
    assert "room for 65511" in mistake("client > server . 1:65516(65515) ack 1 <mss 9>", version=6)


# Mistakes.


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("serve > client S 0:0(0)", "`serve` is nobody who sends"),
        ("client", "the line ends where `>` should be"),
        ("client < server S 0:0(0)", "`< server S 0:0(0)` stands where `>` should be"),
        ("client > client S 0:0(0)", "`client` cannot be the receiver here"),
        ("client > router S 0:0(0)", "`router` cannot be the receiver here"),
        ("client > server", "the line ends where flags should be"),
        ("client > server X 0:0(0)", "`X` are no flags"),
        ("client > server SS 0:0(0)", "`SS` has the flag `S` twice"),
        ("client > server S", "the line ends where SEQ:END(LEN) should be"),
        ("client > server S 0", "`0` is not SEQ:END(LEN)"),
        ("client > server S 0:1(0)", "0 and 0 bytes make 0, not 1"),
        ("client > server S 4294967296:4294967296(0)", "beyond what 32 bits can count"),
        ("client > server S 0:0(0) ack 1", "there is `ack`, but not the flag `.`"),
        ("client > server . 0:0(0)", "the flag `.` needs `ack`"),
        ("client > server S 0:0(0) win", "the line ends where the number of `win` should be"),
        ("client > server S 0:0(0) win 65536", "`65536` is not a number from 0 to 65535"),
        ("client > server S 0:0(0) ttl x", "`x` is not a number from 0 to 255"),
        ("client > server S 0:0(0) ttl 1 ttl 2", "`ttl` is given twice"),
        ("client > server S 0:0(0) mtu 1", "`mtu` means nothing here"),
        ("client > server S 0:0(0) <nop> <nop>", "`<nop>` is the second one"),
        ("client > server S 0:0(0) <nop", "the `<` is never closed"),
        ("client > server S 0:0(0) <", "the `<` is never closed"),
        ("client > server S 0:0(0) <>", "an option is missing"),
        ("client > server S 0:0(0) <mss>", "`mss` is no TCP option"),
        ("client > server S 0:0(0) <mss 65536>", "65536 in `mss 65536` is more than 65535"),
        ("client > server S 0:0(0) <sack 1:2 3:4 5:6 7:8,TS val 1 ecr 1>", "the options take 44 bytes"),
        ("+soon client > server S 0:0(0)", "`+soon` is not a time"),
        ("+. client > server S 0:0(0)", "`+.` is not a time"),
        ("+9999999999 client > server S 0:0(0)", "more than 1,000,000,000 seconds"),
        ("router > client S 0:0(0)", "a router sends nothing but icmp"),
        ("router > client icmp", "the line ends where a type of icmp should be"),
        ("router > client icmp no_route [0:0(0)]", "`no_route` is no type of icmp that IPv4 has"),
        ("router > client icmp unreachable [0:0(0)]", "`[0:0(0)]` is no code of `unreachable`"),
        ("router > client icmp unreachable", "the line ends where a code of `unreachable` should be"),
        ("router > client icmp unreachable ttl_exceeded [0:0(0)]", "is no code of `unreachable`"),
        ("router > client icmp 8/0 [0:0(0)]", "`8/0` is no ICMP error of IPv4"),
        ("router > client icmp 3/256 [0:0(0)]", "`3/256` is not type/code in numbers"),
        ("router > client icmp 3/1", "the quoted [SEQ:END(LEN)] is missing"),
        ("router > client icmp 3/1 []", "`[]` is not SEQ:END(LEN)"),
        ("router > client icmp 3/1 [0:0(0)", "the `[` is never closed"),
        ("router > client icmp 3/1 mtu 1 [0:0(0)]", "this message has no mtu"),
        ("ipv6", "`ipv6` must be the first line"),
        ("end of it", "`of` is too much"),
        ("\x1b[31m", "`?` is nobody who sends"),
    ],
)
def test_a_wrong_line(line: str, what: str) -> None:
    ((number, found),) = mistakes(f"# a comment\n{SYN}{line}\n{SYN}")
    assert number == 3
    assert what in found


def test_mistakes_of_a_whole_transcript() -> None:
    assert mistakes("# nothing\n") == [(1, "there is no packet in it")]
    assert mistakes("+5 end") == [(1, "there is no packet in it")]
    assert mistakes(f"{SYN}end\n\n{SYN}end") == [
        (4, "nothing may follow the line `end`"),
        (5, "nothing may follow the line `end`"),
    ]
    assert mistakes("client > server S 0:0(0) id 1", version=6) == [(1, "an IPv6 packet has no id")]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UserError) as caught:
        parse(f"{SYN}client > server S 0:0(0) wni 7\n{SYN}  client > sever S 0:0(0)", "rules/a.yaml")
    error = caught.value
    assert isinstance(error, TranscriptError)
    assert (error.reference, error.where) == ("bad-transcript", "rules/a.yaml: line 2")
    assert (error.what, error.hint) == ("`wni` means nothing here", "possible: ack, win, ttl, id.")
    assert [(found.line, found.column, found.width) for found in error.mistakes] == [(2, 26, 3), (4, 12, 5)]
    assert str(error).splitlines() == [
        "rules/a.yaml: line 2: `wni` means nothing here",
        "hint: possible: ack, win, ttl, id.",
        "rules/a.yaml: line 4: `sever` cannot be the receiver here",
        "hint: packets go to client or server, and not to their own sender.",
    ]


# The source.


def test_the_source_counts_while_it_is_read() -> None:
    transcript = parse(RESET_AFTER_FIN + "+5 end", "sample")
    source = TranscriptSource(transcript, 3)
    assert (source.capture.path, source.capture.format, source.capture.packets) == ("sample", "transcript", 0)
    (block,) = source.blocks()
    frames = build(transcript)
    assert (block.capture, block.first_number, len(block)) == (3, 1, 7)
    for place, frame in enumerate(frames):
        begin, length = int(block.offsets[place]), int(block.captured[place])
        assert bytes(block.buffer[begin : begin + length]) == frame.data
    assert len(block.buffer) == sum(len(frame.data) for frame in frames) + SLACK
    assert block.times.tolist() == [frame.time for frame in frames]
    assert [array.dtype for array in (block.offsets, block.captured, block.original, block.times)] == [
        "int64"
    ] * 4
    assert (block.buffer.dtype, block.link_types.dtype, set(block.link_types)) == ("uint8", "uint16", {1})
    capture = source.capture
    assert (capture.packets, capture.link_types, capture.problems) == (7, ["EN10MB"], [])
    assert capture.bytes == sum(len(frame.data) for frame in frames)
    assert (capture.first, capture.last) == (START, START + 5 * STEP + 5 * 10**9)
    assert list(source.blocks()) == []


@pytest.mark.parametrize("most", [0, 1, 2, 5, 6, 7])
def test_blocks_of_any_size(most: int) -> None:
    source = TranscriptSource(parse(RESET_AFTER_FIN), max_frames=most)
    blocks = list(source.blocks())
    assert [block.first_number for block in blocks] == list(range(1, 7, max(most, 1)))
    assert sum(map(len, blocks)) == source.capture.packets == 6
    assert [time for block in blocks for time in block.times.tolist()] == [
        START + STEP * number for number in range(6)
    ]
    assert (source.capture.first, source.capture.last) == (START, START + 5 * STEP)


def test_the_source_offers_what_the_file_sources_do() -> None:
    of_bytes = {"tuning", "is_piece"}  # mean nothing where no bytes are read
    public = {name for name in vars(CaptureSource) if not name.startswith("_")} - of_bytes
    assert public <= set(dir(TranscriptSource))
    with TranscriptSource(parse(SYN)) as source:
        pass
    assert list(source.blocks()) == []


def test_a_transcript_gives_the_same_frames_every_time() -> None:
    transcript = parse(RESET_AFTER_FIN)
    assert build(transcript) == build(transcript)
    assert ADDRESSES[4]["client"] != ADDRESSES[4]["server"]


def test_parsing_does_not_import_scapy_and_building_is_silent() -> None:
    program = (
        "import sys\n"
        "from analyzer.sources.transcript.frames import build\n"
        "from analyzer.sources.transcript import parse\n"
        f"transcript = parse({UNREACHABLE!r})\n"
        "assert not any(name.startswith('scapy') for name in sys.modules)\n"
        "build(transcript)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_scapy_may_speak_again_afterwards() -> None:
    logger = logging.getLogger("scapy")
    level = logger.level
    build(parse(SYN))
    assert logger.level == level
