"""Times in the formats of the usual programs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from analyzer.logs.times import time_of

SECOND = 10**9
NEAR = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) * SECOND
AT = int(datetime(2026, 11, 21, 5, 58, 23, tzinfo=UTC).timestamp()) * SECOND
MS, US = SECOND // 1000, SECOND // 1_000_000

LINES = [
    ("2026-11-21T05:58:23Z x", AT, SECOND, 0),
    ("2026-11-21T07:58:23.123456+02:00 x", AT + 123456 * US, US, 7200),
    ("2026-11-21T00:28:23.5-0530 x", AT + SECOND // 2, SECOND // 10, -19800),
    ("<34>1 2026-11-21T05:58:23.003Z host app 1 - - x", AT + 3 * MS, MS, 0),
    ("2026-11-21 05:58:23,123 ERROR Python", AT + 123 * MS, MS, None),
    ("2026-11-21 05:58:23.123 UTC [77] LOG:  PostgreSQL", AT + 123 * MS, MS, 0),
    ("2026-11-21 05:58:23.123 CET [77] LOG:  PostgreSQL", AT + 123 * MS, MS, None),
    ("[2026-11-21 05:58:23,123] WARN Kafka", AT + 123 * MS, MS, None),
    ("2026/11/21 05:58:23 [error] 7#7: nginx", AT, SECOND, None),
    ("2026/11/21 05:58:23.000123 Go", AT + 123 * US, US, None),
    ('10.0.0.1 - - [21/Nov/2026:07:58:23 +0200] "GET', AT, SECOND, 7200),
    ("10.0.0.1:4000 [21/Nov/2026:05:58:23.123] fe HAProxy", AT + 123 * MS, MS, None),
    ("12:M 21 Nov 2026 05:58:23.123 * Redis", AT + 123 * MS, MS, None),
    ("21-Nov-2026 05:58:23.123 SEVERE [main] Tomcat", AT + 123 * MS, MS, None),
    ("Sat, 21 Nov 2026 05:58:23 GMT", AT, SECOND, 0),
    ("[Sat Nov 21 05:58:23.123456 2026] [core:error] Apache", AT + 123456 * US, US, None),
    ("Nov 21, 2026 5:58:23 AM com.example.Main run", AT, SECOND, None),
    ("Nov 21, 2026 12:58:23 AM com.example.Main run", AT - 5 * 3600 * SECOND, SECOND, None),
    ("Nov 21 05:58:23 host app[77]: x", AT, SECOND, None),
    ("I1121 05:58:23.123456      77 file.go:12] x", AT + 123456 * US, US, None),
    ("1795240703.123456 x", AT + 123456 * US, US, 0),
    ("[pid  7] 1795240703.123456 recvfrom(3", AT + 123456 * US, US, 0),
    ("1795240703123 x", AT + 123 * MS, MS, 0),
    ('{"level":"error","ts":1795240703.123,"msg":"x"}', AT + 123 * MS, MS, 0),
    ('{"MESSAGE":"x","__REALTIME_TIMESTAMP":"1795240703123456"}', AT + 123456 * US, US, 0),
    ('{"@timestamp":"2026-11-21T05:58:23.123Z"}', AT + 123 * MS, MS, 0),
    ("05:58:23.123 [main] ERROR logback", AT + 123 * MS, MS, None),
    ("7 05:58:23.123456 recvfrom(3", AT + 123456 * US, US, None),
]


@pytest.mark.parametrize(("line", "time", "resolution", "zone"), LINES, ids=[line[0][:40] for line in LINES])
def test_a_time_is_read(line: str, time: int, resolution: int, zone: int | None) -> None:
    told = time_of(line, NEAR)
    assert told
    assert (told.time, told.resolution, told.zone) == (time, resolution, zone)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no time",
        "2026-13-45 99:99:99",
        "Feb 30 05:58:23 host",
        "10.0.0.1:5432 refused",
        "9" * 5000,
        "1234567",
    ],
)
def test_what_is_no_time_is_none(line: str) -> None:
    assert time_of(line, NEAR) is None


def test_the_year_is_the_captures() -> None:
    new_year = int(datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC).timestamp()) * SECOND
    told = time_of("Dec 31 23:59:59 host app: x", new_year)
    assert told
    assert new_year - told.time == 6 * SECOND


def test_the_first_time_of_a_line_counts() -> None:
    told = time_of("2026-11-21T05:58:23Z order 7 of 2020-01-01T00:00:00Z failed", NEAR)
    assert told
    assert told.time == AT
