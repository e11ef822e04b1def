"""TLS as real programs speak it, cut at different places."""

from __future__ import annotations

import ssl
from dataclasses import replace

import pytest

from analyzer.messages.read import read
from tests.lab.tls.wire import Wire
from tests.messages.said import talk, talk_of

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def wire(request: pytest.FixtureRequest) -> Wire:
    made = Wire(request.param)
    made.shake_hands()
    return made


def test_a_client_hello_without_an_answer(wire: Wire) -> None:
    hello = Wire(ssl.TLSVersion.TLSv1_3)
    with pytest.raises(ssl.SSLWantReadError):
        hello.client.do_handshake()
    hello.carry()
    found = read(talk_of(hello))
    assert (found.protocol, found.answer, found.because) == ("tls", "due", "no-answer")
    assert (found.handshake, found.server_name) == ("client-hello", "lab.example")
    assert found.told == "TLS, server name lab.example."


@pytest.mark.parametrize(
    ("number", "name"), [(70, "protocol_version"), (112, "unrecognized_name"), (200, "alert 200")]
)
def test_an_alert_in_place_of_the_server_hello(wire: Wire, number: int, name: str) -> None:
    alert = bytes([21, 3, 3, 0, 2, 2, number])
    found = read(talk(wire.said["client"], alert))
    assert (found.answer, found.because, found.alert, found.alert_from) == ("due", "alert", name, "server")


def test_a_warning_is_no_refusal(wire: Wire) -> None:
    """Servers warn of a name that they do not know, and go on."""
    warning = bytes([21, 3, 3, 0, 2, 1, 112])
    assert read(talk(wire.said["client"], warning + wire.said["server"])).because != "alert"


def test_a_farewell_is_no_alert(wire: Wire) -> None:
    assert read(talk(wire.said["client"], bytes([21, 3, 3, 0, 2, 1, 0]))).alert == ""


def test_a_connection_that_is_never_used(wire: Wire) -> None:
    found = read(talk_of(wire))
    assert (found.handshake, found.answer, found.because) == ("complete", "not-due", "unused")


def test_a_request_may_be_anything(wire: Wire) -> None:
    wire.client.write(b"GET / HTTP/1.1\r\n\r\n")
    wire.carry()
    assert (read(talk_of(wire)).handshake, read(talk_of(wire)).answer) == ("complete", "unknown")


def test_the_clients_farewell(wire: Wire) -> None:
    wire.client.write(b"x" * 100)
    wire.carry()
    wire.farewell(wire.client)
    assert read(talk_of(wire)).because == "goodbye"


def test_a_record_that_ends_early(wire: Wire) -> None:
    wire.client.write(b"x" * 100)
    wire.carry()
    wire.server.write(b"y" * 5000)
    wire.carry()
    assert not read(talk_of(wire)).in_record
    cut = read(talk_of(wire, server=-1000))
    assert (cut.in_record, cut.answer, cut.because) == (True, "cut", "record-cut")
    in_its_header = read(talk_of(wire, server=len(wire.said["server"]) - 5000 - 22 - 16))
    assert in_its_header.handshake == "complete"


def test_what_was_not_captured_is_not_judged(wire: Wire) -> None:
    all_of_it = talk_of(wire)
    short = replace(all_of_it, server=replace(all_of_it.server, total=all_of_it.server.total + 500))
    assert (read(short).answer, read(short).in_record) == ("unknown", False)


def test_last_bytes_that_are_as_short_as_a_farewell(wire: Wire) -> None:
    wire.client.write(b"x" * 100)
    wire.carry()
    assert read(talk_of(wire)).farewell == "no"
    wire.farewell(wire.client)
    assert read(talk_of(wire)).farewell == "yes"
    assert read(talk(b"one more order, and more")).farewell == "no"
    whole = talk_of(wire)
    short = replace(whole, client=replace(whole.client, total=whole.client.total + 1))
    assert read(short).farewell == "unknown"
