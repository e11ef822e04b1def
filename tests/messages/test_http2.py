"""HTTP/2 and gRPC in the clear: which streams were answered."""

from __future__ import annotations

import pytest

from analyzer.messages.http2 import PREFACE
from analyzer.messages.read import read
from analyzer.model.talk import Said, Talk
from tests.messages.said import talk

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM = 1


def frame(kind: int, stream: int = 0, payload: bytes = b"", flags: int = 0) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


ASKS = PREFACE + frame(SETTINGS) + frame(HEADERS, 1, b"...", END_STREAM)
BEGINS = frame(SETTINGS) + frame(HEADERS, 1, b"...")
ANSWERS = BEGINS + frame(DATA, 1, b"hello", END_STREAM)
BYE = frame(GOAWAY, payload=bytes(8) + b"done")


@pytest.mark.parametrize(
    ("client", "server", "answer", "because"),
    [
        pytest.param(ASKS, frame(SETTINGS), "due", "no-answer", id="nothing"),
        pytest.param(ASKS, ANSWERS, "complete", "answered", id="answered"),
        pytest.param(ASKS, BEGINS, "cut", "answer-cut", id="the stream is not ended"),
        pytest.param(ASKS, ANSWERS[:-1], "cut", "answer-cut", id="the last frame is cut"),
        pytest.param(ASKS, BEGINS + frame(HEADERS, 1, b".", 1), "complete", "answered", id="trailer"),
        pytest.param(ASKS, frame(RST_STREAM, 1, bytes(4)), "complete", "answered", id="refused"),
        pytest.param(ASKS + frame(RST_STREAM, 1, bytes(4)), BEGINS, "complete", "answered", id="cancelled"),
        pytest.param(ASKS + frame(PING, payload=bytes(8)), ANSWERS + BYE, "complete", "answered", id="ping"),
        pytest.param(ASKS + frame(HEADERS, 3, b".", 1), ANSWERS + BYE, "due", "no-answer", id="2nd"),
        pytest.param(PREFACE + frame(SETTINGS), frame(SETTINGS), "not-due", "goodbye", id="never used"),
    ],
)  # fmt: skip
def test_what_became_of_the_streams(client: bytes, server: bytes, answer: str, because: str) -> None:
    found = read(talk(client, server))
    assert (found.protocol, found.answer, found.because) == ("http2", answer, because)


def test_the_goodbye_of_a_long_talk() -> None:
    """Of which the middle was not kept."""
    client = Said(ASKS, 1 << 20, tail=b"..." + BYE)
    assert read(Talk(client, Said(ANSWERS, 1 << 20))).answer == "not-due"
    assert read(Talk(Said(ASKS, 1 << 20, tail=b"..."), Said(ANSWERS, 1 << 20))).answer == "unknown"
