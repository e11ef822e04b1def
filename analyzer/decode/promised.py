"""What a payload says of what is to come after it: see http_heads.py, and RFC 8446 sections 5 and 6."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analyzer.decode.http_heads import SHORTEST, response_sizes
from analyzer.decode.spans import gather
from analyzer.model.columns import UNKNOWN_END

_RECORD = np.dtype([("type", "u1"), ("major", "u1"), ("minor", "u1"), ("length", ">u2")])
_ALERT = 21
_FATAL = 2
_RECORDS = 16
"""TLS records of one segment that are looked at."""
_TO_COME = 1 << 20
"""Bytes that stand for an answer that does not come any more, after an alert."""


def promised(
    buffer: NDArray[np.uint8], at: NDArray[np.int64], end: NDArray[np.int64], payload: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """How many bytes from ``at`` on there will be, as payloads say of which more is to come than they hold.

    ``end`` is one behind the last byte captured, ``payload`` the length on the wire; all int64 (n,). 0 where
    nothing is said, UNKNOWN_END where that was not captured; None where nothing is anywhere. An HTTP
    response is as long as its head and its Content-Length, a TLS record as its header says; after a TLS
    alert that is no farewell the answer is still to come.
    """
    first = buffer.take(at, mode="clip")
    heads, records = np.flatnonzero(first == ord("H")), np.flatnonzero(first - np.uint8(20) <= 3)
    heads, records = heads[end[heads] - at[heads] >= SHORTEST], records[end[records] - at[records] >= 5]
    rows = np.concatenate((heads, records))
    if not len(rows):
        return None
    said = np.concatenate(
        (
            response_sizes(buffer, at[heads], end[heads]),
            _of_records(buffer, at[records], end[records], payload[records]),
        )
    )
    is_cut = (said == UNKNOWN_END) & (at[rows] + payload[rows] > end[rows])
    said[said <= payload[rows]] = 0
    said[is_cut] = UNKNOWN_END
    if not said.any():
        return None
    found = np.zeros(len(at), np.int64)
    found[rows] = said
    return found


def _of_records(
    buffer: NDArray[np.uint8], at: NDArray[np.int64], end: NDArray[np.int64], payload: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Where the last TLS record that begins in each payload ends, as bytes from the payload's begin.

    UNKNOWN_END where there is another one whose header is not there.
    """
    found = np.zeros(len(at), np.int64)
    rows, ahead = np.arange(len(at)), np.zeros(len(at), np.int64)
    for _ in range(_RECORDS):
        place = at[rows] + ahead
        header = gather(buffer, _RECORD, place)
        length = header["length"].astype(np.int64)
        is_record = (header["type"] >= 20) & (header["type"] <= 23) & (header["major"] == 3)
        is_record &= (header["minor"] <= 4) & (length <= 1 << 15)
        alert = is_record & (header["type"] == _ALERT) & (length == 2) & (place + 7 <= end[rows])
        refusal = alert & (buffer.take(place + 5, mode="clip") == _FATAL)
        found[rows[is_record]] = (ahead + 5 + length)[is_record]
        found[rows[refusal]] = _TO_COME
        ahead = ahead + 5 + length
        on = is_record & ~refusal & (ahead < payload[rows])
        seen = at[rows] + ahead + 5 <= end[rows]
        found[rows[on & ~seen]] = UNKNOWN_END
        rows, ahead = rows[on & seen], ahead[on & seen]
        if not len(rows):
            break
    return found
