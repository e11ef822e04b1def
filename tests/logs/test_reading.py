"""Logs as a whole: what belongs together, and whose time a line has."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from analyzer.errors import UserError
from analyzer.logs.open import open_log
from analyzer.logs.reading import MAX_EVENTS, read_log
from analyzer.model.flow import Endpoint
from analyzer.model.log_line import LogEvent

NEAR = 1795240703 * 10**9


def events(text: str) -> tuple[LogEvent, ...]:
    return read_log("a.log", text.strip("\n").split("\n"), NEAR).events


def test_a_traceback_is_one_event_with_the_time_of_its_message() -> None:
    (event,) = events("""
2026-11-21 05:58:23,500 ERROR GET http://10.0.0.1:8080/x failed
Traceback (most recent call last):
  File "x.py", line 3, in get
ConnectionResetError: [Errno 104] Connection reset by peer

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "y.py", line 3, in <module>
urllib3.exceptions.ProtocolError: ('Connection aborted.', ConnectionResetError(104, 'Connection reset'))
2026-11-21 05:58:24,500 INFO well again
""")
    assert (event.number, event.more) == (4, 1)
    assert event.time
    assert event.time.time == NEAR + 500_000_000
    assert event.reading.endpoints == (Endpoint("10.0.0.1", 8080),)


def test_a_trap_speaks_for_its_event() -> None:
    (event,) = events("""
node:events:491
      throw er; // Unhandled 'error' event
      ^

Error: socket hang up
    at connResetException (node:internal/errors:717:14) {
  code: 'ECONNRESET'
}
""")
    assert event.reading.results == ("EOF",)
    assert event.more == 1


def test_lines_by_themselves_are_events() -> None:
    text = "curl: (52) Empty reply from server\ncurl: (56) Recv failure: Connection reset by peer"
    assert [event.number for event in events(text)] == [1, 2]
    assert {event.time for event in events(text)} == {None}


def test_a_time_does_not_hold_for_ever() -> None:
    late = "2026-11-21 05:58:23 begun\n" + "nothing\n" * 500 + "read ECONNRESET"
    assert events(late)[0].time is None


def test_memory_is_bounded() -> None:
    log = read_log("a.log", ("read ECONNRESET" for _ in range(MAX_EVENTS + 7)), NEAR)
    assert (len(log.events), log.left_out, log.lines) == (MAX_EVENTS, 7, MAX_EVENTS + 7)


def test_addresses_in_the_forms_of_programs() -> None:
    for line, endpoint in {
        "connect ECONNREFUSED ::1:5432": Endpoint("::1", 5432),
        "read ECONNRESET ::ffff:10.0.0.1": Endpoint("10.0.0.1", 0),
        "read ECONNRESET [2001:DB8::1]:80": Endpoint("2001:db8::1", 80),
        "10:58:23 read ECONNRESET 2001:db8::1": Endpoint("2001:db8::1", 0),
        "localhost/127.0.0.1:80 read ECONNRESET": Endpoint("127.0.0.1", 80),
    }.items():
        (event,) = events(line)
        assert endpoint in event.reading.endpoints, line
    (event,) = events("connect ECONNREFUSED http://db:5432/")
    assert (event.reading.endpoints, event.reading.loose_ports) == ((), (5432,))


def test_the_other_end_is_told_by_nginx() -> None:
    rest = 'client: 10.0.0.5, server: _, request: "GET /", upstream: "http://10.0.0.1:8080/"'
    (of_upstream,) = events(f"recv() failed (104: Connection reset by peer) while reading upstream, {rest}")
    assert of_upstream.reading.peer == (Endpoint("10.0.0.1", 8080),)
    (of_client,) = events(
        f"recv() failed (104: Connection reset by peer) while reading client request line, {rest}"
    )
    assert of_client.reading.peer == (Endpoint("10.0.0.5", 0),)


def test_where_lines_come_from(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.log", tmp_path / "a.log.1.gz"
    plain.write_bytes(b"one\xff\ntwo\n")
    packed.write_bytes(gzip.compress(b"one\n"))
    for source, told in (
        (plain, ["one\ufffd\n", "two\n"]),
        (str(packed), ["one\n"]),
        ("read ECONNRESET", ["read ECONNRESET"]),
        (["a", "b"], ["a", "b"]),
    ):
        assert list(open_log(source)[1]) == told


def test_what_is_no_log_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xd4\xc3\xb2\xa1\0\0")
    (tmp_path / "b.gz").write_bytes(b"no gzip")
    for name in ("a", "b.gz", "missing", "."):
        with pytest.raises(UserError) as caught:
            list(open_log(str(tmp_path / name))[1])
        assert caught.value.where == str(tmp_path / name)
