"""Which system a SYN or SYN+ACK is taken for."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.data import load
from analyzer.decode.packets import decode
from analyzer.model.columns import Flag, Layout
from analyzer.model.flow import NOTHING, Segment
from analyzer.model.host import SYSTEMS, Likeness
from analyzer.model.rule import Evidence
from analyzer.sockets.signatures import layout, recognise
from analyzer.sources.open import open_capture
from tests.captures import sample

SYN, SYN_ACK = Flag.SYN, Flag.SYN | Flag.ACK
LINUX = "mss sok ts nop ws"
WINDOWS = "mss nop ws nop nop sok"
FREEBSD = "mss nop ws sok ts"
MACOS = "mss nop ws nop nop ts sok eol"


def segment(options: str, ttl: int, window: int, scale: int, *, flags: int = SYN, mss: int = 1460) -> Segment:
    blank = Segment(*(0,) * (len(Segment._fields) - 2), NOTHING, NOTHING)
    return blank._replace(
        flags=flags,
        ttl=ttl,
        window=window,
        mss=mss,
        scale=scale,
        layout=layout(options),
        has_ts="ts" in options.split(),
    )


@pytest.mark.parametrize(
    ("seen", "system", "likeness"),
    [
        (segment(LINUX, 64, 64240, 10), "linux", Likeness.SIGNATURE),
        (segment(LINUX, 47, 64240, 7), "linux", Likeness.SIGNATURE),  # on the way for a while
        (segment(LINUX, 64, 65160, 7, flags=SYN_ACK), "linux", Likeness.SIGNATURE),
        (segment(LINUX, 64, 65495, 7, mss=65495), "linux", Likeness.SIGNATURE),  # loopback
        (segment(LINUX, 64, 65483, 7, mss=65495, flags=SYN_ACK), "linux", Likeness.SIGNATURE),
        (segment(LINUX, 61, 64240, 7, mss=1240), "linux", Likeness.SIGNATURE),  # a box clamped its MSS
        (segment(LINUX, 64, 29200, 7), "linux", Likeness.SIGNATURE),
        (segment(LINUX, 64, 31337, 7), "linux", Likeness.OPTIONS),
        (segment("mss nop nop sok nop ws", 64, 64240, 7, flags=SYN_ACK), "linux", Likeness.SIGNATURE),
        (segment(LINUX, 128, 64240, 7), "linux", Likeness.OPTIONS),  # its TTL is a doubt
        (segment(WINDOWS, 128, 64240, 8), "windows", Likeness.SIGNATURE),
        (segment(WINDOWS, 113, 65535, 8), "windows", Likeness.SIGNATURE),
        (segment(WINDOWS, 128, 8192, 2), "windows", Likeness.SIGNATURE),
        (segment(WINDOWS, 128, 12345, 8), "windows", Likeness.OPTIONS),
        (segment(FREEBSD, 128, 8192, 8, flags=SYN_ACK), "windows", Likeness.SIGNATURE),
        (segment("mss", 120, 65535, -1, flags=SYN_ACK), "windows", Likeness.TTL),
        (segment(FREEBSD, 64, 65535, 6), "freebsd", Likeness.SIGNATURE),
        (segment(FREEBSD, 57, 65535, 9, flags=SYN_ACK), "freebsd", Likeness.SIGNATURE),
        (segment("mss nop ws sok eol", 64, 65535, 6, flags=SYN_ACK), "freebsd", Likeness.OPTIONS),
        (segment(MACOS, 64, 65535, 6), "macos", Likeness.SIGNATURE),
        (segment(MACOS, 52, 65535, 5), "macos", Likeness.SIGNATURE),
        (segment(WINDOWS, 64, 49640, 0), "linux", Likeness.OTHER),  # Solaris
        (segment(MACOS, 128, 65535, 6), "linux", Likeness.OTHER),
        (segment("mss nop nop sok nop ws nop nop ts", 64, 16384, 3), "linux", Likeness.OTHER),  # OpenBSD
        (segment("mss", 64, 64240, -1), "linux", Likeness.NONE),
        (segment("", 64, 65535, -1), "linux", Likeness.NONE),
        (segment("mss", 250, 4128, -1), "linux", Likeness.NONE),
    ],
)
def test_systems(seen: Segment, system: str, likeness: Likeness) -> None:
    assert recognise(seen)[:2] == (system, likeness)


@pytest.mark.parametrize("flags", [Flag.ACK, Flag.RST, Flag.FIN | Flag.ACK])
def test_without_a_syn_only_the_ttl_tells(flags: int) -> None:
    assert recognise(segment("", 64, 65535, -1, flags=flags)).likeness is Likeness.NONE
    assert recognise(segment("", 128, 65535, -1, flags=flags))[:2] == ("windows", Likeness.TTL)


@pytest.mark.parametrize(
    "capture",
    [
        path
        for path in sorted(sample("reset-by-peer-ipv6").parent.parent.glob("*/*.pcap*"))
        if path.suffix in (".pcap", ".pcapng")
    ],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_every_syn_that_was_recorded_is_recognised(capture: Path) -> None:
    with open_capture(str(capture), 0) as source:
        for block in source.blocks():
            columns = decode(block)
            for row in ((columns.flags & SYN) != 0).nonzero()[0]:
                seen = segment("", 0, 0, 0)._replace(
                    **{name: getattr(columns, name)[row].item() for name in SEEN}
                )
                assert recognise(seen)[:2] == ("linux", Likeness.SIGNATURE)


SEEN = ("flags", "ttl", "window", "mss", "scale", "layout", "has_ts")


def test_the_order_of_options_is_an_octal_number() -> None:
    assert layout(LINUX) == 0o24513
    assert layout("nop " * 12) == 0o1111111111
    assert sorted(Layout.DIGITS.values()) == list(range(1, 8))


def test_every_signature_says_how_it_is_known() -> None:
    data = load("signatures")
    for row in data["signatures"]:
        assert row["system"] in (*SYSTEMS, None)
        assert row["evidence"] in tuple(Evidence)
        assert set(row["segments"]) <= {"syn", "syn-ack"}
        assert all(set(options.split()) <= set(Layout.DIGITS) for options in row["options"])
        assert (row["system"] is None) == ("ttl" in row) == ("name" in row)
    assert {row["system"] for row in data["signatures"]} == {*SYSTEMS, None}
    assert set(data["by_ttl"].values()) <= set(SYSTEMS)
