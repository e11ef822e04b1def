"""Lengths of HTTP responses: many at once, against one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.decode.http_heads import SHORTEST, response_size, response_sizes
from analyzer.model.columns import UNKNOWN_END

_LONGEST = 4096
_STARTS = [
    "HTTP/1.1 200 OK",
    "HTTP/1.0 404 Not Found",
    "HTTP/1.1 301\r",
    "HTTP/1.1 100",
    "HTTP/2.0 200 ",
    "Help me, I ",
]
_NAMES = [
    "Content-Length",
    "content-length",
    "CONTENT-LENGTH",
    "Content\rLength",
    "Content-Lengths",
    "X-Pad",
    "Server",
]
_VALUES = [
    "0",
    "7",
    "1234567",
    "123456789012345",
    "1234567890123456",
    "x",
    "",
    "12 ",
    "1\t",
    "1 2",
    "x" * 300,
    "x" * 900,
]
_ENDS = ["\r\n"] * 8 + ["\n", "\r", "\n\r\n"]
FIELDS = st.tuples(
    st.sampled_from(_NAMES),
    st.sampled_from([":", ": ", ": ", " : ", ":\t", ":  "]),
    st.sampled_from(_VALUES),
    st.sampled_from(_ENDS),
).map("".join)
HEADS = st.builds(
    lambda start, end, fields, blank, body: (
        (start + end + "".join(fields) + blank + body).encode().ljust(SHORTEST, b"-")
    ),
    st.sampled_from(_STARTS),
    st.sampled_from(_ENDS),
    st.lists(FIELDS, max_size=8),
    st.sampled_from(["\r\n", "\r\n", "\n", ""]),
    st.sampled_from(["", "x", "\r\n\r\nContent-Length: 9\r\n\r\n", "Content-Length: 9\r\n\r\n", "y" * 5000]),
)


def sizes(heads: list[bytes], seen: list[int]) -> list[int]:
    """Of heads that stand behind each other in a buffer, at least so many of them that they go together."""
    heads, seen = heads * 40, seen * 40
    ends = np.cumsum([len(head) for head in heads], dtype=np.int64)
    at = ends - [len(head) for head in heads]
    found = response_sizes(np.frombuffer(b"".join(heads), np.uint8), at, at + seen)
    assert found.tolist()[: len(found) // 40] * 40 == found.tolist()
    return found.tolist()[: len(found) // 40]


@settings(deadline=None)
@given(st.lists(st.tuples(HEADS, st.integers(0, 6000)), min_size=1, max_size=8))
def test_told_as_one_by_one(drawn: list[tuple[bytes, int]]) -> None:
    heads = [head for head, _ in drawn]
    seen = [max(SHORTEST, min(len(head), count)) if count < 3000 else len(head) for head, count in drawn]
    plain = [
        response_size(memoryview(head)[: min(count, _LONGEST)])
        for head, count in zip(heads, seen, strict=True)
    ]
    assert sizes(heads, seen) == plain


@pytest.mark.parametrize(
    ("head", "size"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n", 240, id="as usual"),
        pytest.param(b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH:\t200\r\n\r\n", 240, id="otherwise"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 200\n\n", 237, id="bare line feeds"),
        pytest.param(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", 0, id="no length"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nContent-Length: 200\r\n\r\n", 0, id="in the body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 600 + b"\r\nContent-Length: 200\r\n\r\n", 845, id="long"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n", UNKNOWN_END, id="no end"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"\r" * 600 + b"\n\n", 0, id="no lines"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"x\n" * 200 + b"\n", 0, id="many lines"),
        pytest.param(b"Hm" + b"\n" * 500, 0, id="nothing but lines"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000 + b"\r\n\r\n", 0, id="too long"),
    ],
)
def test_of_heads(head: bytes, size: int) -> None:
    assert sizes([head], [len(head)]) == [size]
    assert response_size(memoryview(head)[:_LONGEST]) == size
