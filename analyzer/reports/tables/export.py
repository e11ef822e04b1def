"""Writes segments and flows as they are seen, and verdicts at the end: see ``schema`` for the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.model.columns import TCP
from analyzer.model.flow import CLIENT, SERVER, address_text
from analyzer.model.report import Report
from analyzer.model.seen import SeenRows
from analyzer.model.summary import SummaryRows
from analyzer.model.tunnel import tunnel_text
from analyzer.reports.tables.frames import Folder
from analyzer.reports.tables.rows import capture_rows, verdict_rows
from analyzer.reports.tables.schema import CAPTURES, FLOWS, SEGMENTS, VERDICTS

ROWS = 1 << 20
"""Rows of a file: as many as fit well into memory while they wait."""

_CHUNK_BITS = 16
_CHUNK = np.dtype([("client_packets", "i8"), ("packets", "i8"), ("frame", "i8"), ("capture", "u4")])


class Export:
    """Is shown everything (``model.seen.Seeing``), and writes it. What it raises is UserError."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._capture = self._before = 0
        self._segments: list[dict[str, NDArray[Any]]] = []
        self._waiting = 0
        self._flows: list[SummaryRows] = []
        self._watched: list[tuple[SummaryRows, NDArray[np.void]]] = []
        self._counts = _Counts()

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each table."""
        return self._folder.rows

    def begin(self, capture: int, before: int) -> None:
        """See Seeing."""
        self._capture, self._before = capture, before

    def segments(self, seen: SeenRows) -> None:
        """See Seeing."""
        order = np.argsort(seen.rows.number, kind="stable")
        rows, count = seen.rows, len(order)
        icmp = rows.is_icmp[order]
        columns = {
            "capture": np.full(count, self._capture, np.uint32),
            "frame": rows.number[order] - self._before,
            "time": rows.time[order],
            "flow": seen.flow[order],
            "from_client": seen.side[order] == CLIENT,
            "payload": rows.payload[order].astype(np.uint32),
            "icmp": icmp,
            "kinds": seen.kinds[order].astype(np.uint16),
            **{name: getattr(rows, name)[order] for name in _AS_THEY_ARE},
        }
        self._counts.add(columns, seen.begins[order])
        self._segments.append(columns)
        self._waiting += count
        if self._waiting >= ROWS:
            self._write_segments()

    def flows(self, rows: SummaryRows) -> None:
        """See Seeing. Those that may have a verdict wait for the report."""
        watched = rows["watched"]
        if watched.any():
            kept = rows[watched]
            self._watched.append((kept, self._counts.of(kept["flow"])))
        self._flows.append(rows[~watched])
        if sum(map(len, self._flows)) >= ROWS >> 2:
            self._write_quiet()

    def finish(self, report: Report) -> None:
        """Write what has waited, and what was found."""
        self._write_segments()
        self._write_quiet()
        found = list(verdict_rows(report))
        if self._watched:
            rows, counts = map(np.concatenate, zip(*self._watched, strict=True))
            first = _first_verdicts(found)
            for begin in range(0, len(rows), ROWS):
                part = slice(begin, begin + ROWS)
                self._write_flows(rows[part], counts[part], first)
        write_table(self._folder, "verdicts", VERDICTS, found)
        write_table(self._folder, "captures", CAPTURES, list(capture_rows(report.captures)))
        for table, schema in (("segments", SEGMENTS), ("flows", FLOWS)):
            self._folder.ensure(table, schema)
        self._folder.finish()

    def _write_segments(self) -> None:
        parts, self._segments, self._waiting = self._segments, [], 0
        if parts:
            columns = {name: np.concatenate([part[name] for part in parts]) for name in SEGMENTS}
            self._folder.write("segments", SEGMENTS, columns)

    def _write_quiet(self) -> None:
        parts, self._flows = self._flows, []
        if sum(map(len, parts)):
            rows = np.concatenate(parts)
            self._write_flows(rows, self._counts.of(rows["flow"]), {})

    def _write_flows(
        self, rows: SummaryRows, counts: NDArray[np.void], verdicts: Mapping[int, Mapping[str, Any]]
    ) -> None:
        found = [verdicts.get(flow) for flow in rows["flow"].tolist()] if verdicts else [None] * len(rows)
        self._folder.write(
            "flows",
            FLOWS,
            {
                "flow": rows["flow"],
                "capture": counts["capture"],
                "frame": counts["frame"],
                **_between(rows),
                "client_guessed": rows["client_guessed"],
                "start": rows["start"],
                "end": rows["end"],
                "state": _states(rows),
                "answered": _some(rows["answered"]),
                "client_packets": counts["client_packets"],
                "server_packets": counts["packets"] - counts["client_packets"],
                "client_bytes": rows["payload"][:, CLIENT],
                "server_bytes": rows["payload"][:, SERVER],
                "same_as": _some(rows["first_leg"], shift=1),
                "failed": [one is not None for one in found],
                **{name: [one and one[name] for one in found] for name in _OF_VERDICT},
            },
        )


_AS_THEY_ARE = ("flags", "seq", "ack", "window", "ttl", "icmp_type", "icmp_code")
_OF_VERDICT = ("endpoint", "errno", "call", "rule", "confidence")


class _Counts:
    """Of each flow its packets by sender, and where it began, until it has been asked for."""

    def __init__(self) -> None:
        self._chunks: dict[int, NDArray[np.void]] = {}
        self._asked: dict[int, int] = {}

    def add(self, columns: Mapping[str, NDArray[Any]], begins: NDArray[np.bool_]) -> None:
        """Count the rows; ICMP is no packet of either end."""
        flow = columns["flow"]
        own = ~columns["icmp"]
        for number in np.unique(flow >> _CHUNK_BITS).tolist():
            chunk = self._chunks.setdefault(number, np.zeros(1 << _CHUNK_BITS, _CHUNK))
            inside = (flow >> _CHUNK_BITS) == number
            place = flow - (number << _CHUNK_BITS)
            for name, rows in (("packets", own), ("client_packets", own & columns["from_client"])):
                chunk[name] += np.bincount(place[inside & rows], minlength=len(chunk))
            first = inside & begins
            chunk["frame"][place[first]] = columns["frame"][first]
            chunk["capture"][place[first]] = columns["capture"][first]

    def of(self, flows: NDArray[np.int64]) -> NDArray[np.void]:
        """The counts of these flows, which are over: _CHUNK (n,)."""
        found = np.zeros(len(flows), _CHUNK)
        chunks = flows >> _CHUNK_BITS
        for number in np.unique(chunks).tolist():
            rows = np.flatnonzero(chunks == number)
            chunk = self._chunks.get(number)
            if chunk is not None:
                found[rows] = chunk[flows[rows] - (number << _CHUNK_BITS)]
            self._asked[number] = self._asked.get(number, 0) + len(rows)
            if self._asked[number] == 1 << _CHUNK_BITS:
                self._chunks.pop(number, None)
        return found


def _between(rows: SummaryRows) -> dict[str, Any]:
    """The ends of the flows, in words."""
    ends: dict[str, Any] = {
        "protocol": np.where(rows["protocol"] == TCP, "tcp", "udp"),
        "tunnel": _texts(rows["tunnel"], lambda value: tunnel_text(value) or None),
    }
    for side in ("client", "server"):
        ends[side] = _addresses(rows["version"], rows[f"{side}_hi"], rows[f"{side}_lo"])
        ends[f"{side}_port"] = rows[f"{side}_port"]
    return ends


def _texts(values: NDArray[Any], text: Any) -> list[Any]:
    """A text for each value, made once for equal ones."""
    distinct, places = np.unique(values, return_inverse=True)
    made = np.array([text(value) for value in distinct.tolist()], object)
    return list(made[places])


def _addresses(version: NDArray[Any], hi: NDArray[Any], lo: NDArray[Any]) -> list[str]:
    ends = np.empty(len(version), [("version", "u1"), ("hi", "u8"), ("lo", "u8")])
    ends["version"], ends["hi"], ends["lo"] = version, hi, lo
    return _texts(ends, lambda value: address_text(*value))


def _states(rows: SummaryRows) -> NDArray[np.str_]:
    """How far a flow came: see docs/tables.md."""
    tcp, fin = rows["protocol"] == TCP, rows["fin"].sum(axis=1)
    return np.select(
        [~tcp, rows["reset"].any(axis=1), fin == 2, fin == 1, rows["completed"] != 0, rows["answered"] != 0],
        ["datagrams", "reset", "closed", "half-closed", "established", "answered"],
        np.where(rows["client_guessed"], "established", "asked"),
    )


def _some(values: NDArray[np.int64], shift: int = 0) -> list[int | None]:
    """The values less ``shift``; None where there was none (0)."""
    return [value - shift if value else None for value in values.tolist()]


def _first_verdicts(found: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Of each flow with verdicts the earliest."""
    return {row["flow"]: row for row in sorted(found, key=lambda row: row["time"], reverse=True)}


def write_table(
    folder: Folder, table: str, schema: Mapping[str, str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Rows as dictionaries, some thousands a file. Raises UserError."""
    for begin in range(0, max(len(rows), 1), ROWS):
        part = rows[begin : begin + ROWS]
        folder.write(table, schema, {name: [row[name] for row in part] for name in schema})


def write_report(report: Report, path: Path, where: str) -> None:
    """The verdicts of a report alone, and the captures, into a folder that is there. Raises UserError."""
    folder = Folder(path, "parquet", where, made=True)
    write_table(folder, "verdicts", VERDICTS, list(verdict_rows(report)))
    write_table(folder, "captures", CAPTURES, list(capture_rows(report.captures)))
    folder.finish()
