"""What many flows say together: when a service answered each client, how long a pause was survived.

Summaries of ended flows go in, in any order and in any portions; nothing of a single flow is left but its
share of a row for its client, service and second. So memory grows with those, not with flows: 5,000
connections of one client to one service in one second are one row of 80 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.model.columns import TCP
from analyzer.model.flow import CLIENT, SERVER, Endpoint, address_text
from analyzer.model.numbers import among
from analyzer.model.records import joined, take, where
from analyzer.model.summary import Summary, SummaryRows

SECOND = 10**9
REACHED, EMPTY = 0, 1
"""Kinds of moments: the service answered; connected and closed by the client at once, without a byte."""

_SERVICE = (
    *(("protocol", "u1"), ("version", "u1"), ("tunnel", "u8")),
    *(("server_hi", "u8"), ("server_lo", "u8"), ("server_port", "u2")),
)
_CLIENT = (("client_hi", "u8"), ("client_lo", "u8"))
_SERVICE_NAMES = tuple(name for name, _ in _SERVICE)
_PAIR_NAMES = (*_SERVICE_NAMES, *(name for name, _ in _CLIENT))

MOMENT = np.dtype(
    [*_SERVICE, *_CLIENT, ("kind", "u1"), ("second", "i8"), ("count", "i8"), ("first", "i8"), ("last", "i8")]
)
"""Flows of one client, service, kind and second (since the epoch) of their start; first and last start."""

SERVICE = np.dtype(
    [
        *_SERVICE,
        *(("flows", "i8"), ("survived", "i8"), ("survivors", "i8"), ("largest", "i8", (2,))),
        *(("ttl_low", "u1"), ("ttl_high", "u1")),
        *(("idle_closes", "i8"), ("idle_low", "i8"), ("idle_high", "i8")),
    ]
)
"""Flows of a service: the longest pause that one survived (ns), how many survived one; by side the largest
payload of those without a verdict whose every byte was acknowledged; lowest and highest TTL of the server but
of its resets (255 and 0 where there was none); how many idle connections it closed, after how long (ns)."""

Pair = tuple[int, ...]
"""Service and client: the values of _PAIR_NAMES."""

_ENOUGH = 1 << 16
"""Rows that are not worth folding yet: some 6 MB."""

_AT_ONCE_NS = SECOND
"""A connection that lasts longer is no mere look whether somebody answers."""


_service: Callable[[Summary], Pair] = attrgetter(*_SERVICE_NAMES)
_pair: Callable[[Summary], Pair] = attrgetter(*_PAIR_NAMES)


def service_of(summary: Summary) -> Pair:
    """The service as a key."""
    return _service(summary)


_HOST_NAMES = ("version", "tunnel", "server_hi", "server_lo")


def host_of(service: Pair) -> Pair:
    """The host of a service, as a key."""
    values = dict(zip(_SERVICE_NAMES, service, strict=True))
    return tuple(values[name] for name in _HOST_NAMES)


def pair_of(summary: Summary) -> Pair:
    """The service and the client as a key."""
    return _pair(summary)


def is_empty(rows: SummaryRows) -> NDArray[np.bool_]:
    """Connected, then closed or reset by the client within a second, and no byte either way: bool (n,)."""
    connected = (rows["protocol"] == TCP) & ~rows["client_guessed"] & (rows["answered"] > 0)
    done = (rows["fin"][:, CLIENT] | rows["reset"][:, CLIENT]) & ~rows["reset"][:, SERVER]
    short = rows["end"] - rows["start"] < _AT_ONCE_NS
    silent = (rows["payload"][:, CLIENT] == 0) & (rows["payload"][:, SERVER] == 0)
    empty: NDArray[np.bool_] = connected & done & short & silent
    return empty


def is_reached(rows: SummaryRows, empty: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The service answered, so that the client got what it wanted: bool (n,); ``empty`` as of is_empty."""
    answered = rows["payload"][:, SERVER] > 0
    connected = (rows["completed"] > 0) & (answered | ~_has_reset(rows))
    reached: NDArray[np.bool_] = np.where(rows["protocol"] == TCP, connected, answered) & ~empty
    return reached


def _has_reset(rows: SummaryRows) -> NDArray[np.bool_]:
    """Either end sent a reset: bool (n,)."""
    reset: NDArray[np.bool_] = rows["reset"][:, CLIENT] | rows["reset"][:, SERVER]
    return reset


@dataclass(slots=True)
class Services:
    """The fold. ``late_resets``: flows without a verdict in which a reset came although both had closed."""

    late_resets: int = 0
    _moments: list[NDArray[np.void]] = field(default_factory=list)
    _services: list[NDArray[np.void]] = field(default_factory=list)
    _folded: int = 0
    _rows: int = 0
    _is_joined: bool = False
    _keyed: dict[tuple[int | None, Sequence[str]], _Keyed] = field(default_factory=dict)
    """The rows, by the kind of moments (None: services) and the columns that they are asked for."""

    def add(self, rows: SummaryRows, failed: Iterable[int] = ()) -> None:
        """Take flows that ended; ``failed`` are the numbers of those among them that have a verdict.

        Of a connection that is there twice only the flow that was seen first counts.
        """
        if (rows["first_leg"] != 0).any():
            rows = where(rows, rows["first_leg"] == 0)
        if not len(rows):
            return
        is_fine = ~among(rows["flow"], np.fromiter(failed, np.int64))
        empty = is_empty(rows)
        reached = is_reached(rows, empty)
        late = (rows["protocol"] == TCP) & rows["fin"][:, CLIENT] & rows["fin"][:, SERVER] & _has_reset(rows)
        late &= is_fine & ~empty
        self.late_resets += int(late.sum())
        parts = _moments(rows, is_fine & reached, REACHED), _moments(rows, empty, EMPTY)
        self._moments.extend(parts)
        self._services.append(_folded_services(_services(rows, is_fine)))
        self._is_joined = False
        self._rows += sum(map(len, parts)) + len(self._services[-1])
        if self._rows > 2 * self._folded + _ENOUGH:
            self._fold()

    def merge(self, other: Services) -> None:
        """Take all that the other one has."""
        self.late_resets += other.late_resets
        self._is_joined = other._is_joined and not self._services
        self._keyed = dict(other._keyed) if self._is_joined else {}
        self._moments.extend(other._moments)
        self._services.extend(other._services)
        self._rows += other._rows

    def moments(self, kind: int, keys: Iterable[Pair], *, by_service: bool = False) -> dict[Pair, Moments]:
        """The moments of that kind of these pairs (or services), in order of time."""
        return self.moments_of(kind, _SERVICE_NAMES if by_service else _PAIR_NAMES, keys)

    def moments_of(self, kind: int, names: Sequence[str], keys: Iterable[Pair]) -> dict[Pair, Moments]:
        """The moments of that kind with these values in the named columns, in order of time."""
        wanted = set(keys)
        chosen = self._by(kind, names).chosen(wanted) if wanted else {}
        return {key: Moments(rows) for key, rows in chosen.items()}

    def repeated(self) -> dict[Pair, Moments]:
        """The empty connections of every client and service that have three or more."""
        groups = _groups(self._by(EMPTY, _PAIR_NAMES).rows, _PAIR_NAMES)
        return {pair: Moments(group) for pair, group in groups.items() if int(group["count"].sum()) >= 3}

    def service(self, keys: Iterable[Pair]) -> dict[Pair, NDArray[np.void]]:
        """The one SERVICE row of each of these services."""
        wanted = set(keys)
        chosen = self._by(None, _SERVICE_NAMES).chosen(wanted) if wanted else {}
        return {key: rows[0] for key, rows in chosen.items()}

    def host_ttls(self, keys: Iterable[Pair]) -> dict[Pair, tuple[int, int]]:
        """Lowest and highest TTL of all but resets from the hosts of these services, where any is known."""
        wanted = set(keys)
        hosts = self._by(None, _HOST_NAMES).chosen({host_of(key) for key in wanted})
        found = {}
        for key in wanted:
            rows = hosts.get(host_of(key), self._services[0][:0])
            low, high = int(rows["ttl_low"].min(initial=255)), int(rows["ttl_high"].max(initial=0))
            if high:
                found[key] = (low, high)
        return found

    def longest_pause(self) -> tuple[int, str]:
        """The longest pause that a connection survived (ns), and at which service."""
        self._join()
        rows = self._services[0]
        if not len(rows):
            return 0, ""
        row = rows[int(rows["survived"].argmax())]
        address = address_text(int(row["version"]), int(row["server_hi"]), int(row["server_lo"]))
        return int(row["survived"]), str(Endpoint(address, int(row["server_port"])))

    def _by(self, kind: int | None, names: Sequence[str]) -> _Keyed:
        """The moments of that kind, or all services, to be found by these columns."""
        self._join()
        if (kind, names) not in self._keyed:
            rows = self._services[0] if kind is None else self._of_kind(kind)
            self._keyed[kind, names] = _Keyed.of(rows, names)
        return self._keyed[kind, names]

    def _of_kind(self, kind: int) -> NDArray[np.void]:
        """The moments of that kind, copied once at most: there is one for each second of each client."""
        known = (keyed.rows for (one, _), keyed in self._keyed.items() if one == kind)
        rows = next(known, None)
        if rows is None:
            rows = where(self._moments[0], self._moments[0]["kind"] == kind)
        return rows

    def _join(self) -> None:
        """Fold, and put the moments in order of time; those of the same time in the order of the fold."""
        if self._is_joined:
            return
        self._is_joined = True
        self._keyed.clear()
        self._fold()
        moments = self._moments[0]
        self._moments = [take(moments, np.argsort(moments["first"], kind="stable"))]

    def _fold(self) -> None:
        """Moments of the same client, service, kind and second become one, and rows of the same service."""
        self._moments = [_folded_moments(joined([np.zeros(0, MOMENT), *self._moments]))]
        self._services = [_folded_services(joined([np.zeros(0, SERVICE), *self._services]))]
        self._rows = self._folded = len(self._moments[0]) + len(self._services[0])


def _folded_moments(rows: NDArray[np.void]) -> NDArray[np.void]:
    """One row for each client, service, kind and second, in any order."""
    rows, starts = runs(rows, (*_PAIR_NAMES, "kind", "second"))
    if len(starts) == len(rows):
        return rows
    folded = take(rows, starts)
    folded["count"] = np.add.reduceat(rows["count"], starts)
    folded["first"] = np.minimum.reduceat(rows["first"], starts)
    folded["last"] = np.maximum.reduceat(rows["last"], starts)
    return folded


def _folded_services(rows: NDArray[np.void]) -> NDArray[np.void]:
    """One row for each service."""
    rows, starts = runs(rows, _SERVICE_NAMES)
    if len(starts) == len(rows):
        return rows
    services = take(rows, starts)
    for name, fold in _FOLDS.items():
        services[name] = fold.reduceat(rows[name], starts)
    return services


_FOLDS = {
    **dict.fromkeys(("flows", "survivors", "idle_closes"), np.add),
    **dict.fromkeys(("survived", "largest", "ttl_high", "idle_high"), np.maximum),
    **dict.fromkeys(("ttl_low", "idle_low"), np.minimum),
}
"""How columns of SERVICE become one."""


@dataclass(frozen=True, slots=True)
class Moments:
    """MOMENT rows in order of time, one a client and second."""

    rows: NDArray[np.void]

    @classmethod
    def none(cls) -> Moments:
        """No flow at all."""
        return cls(np.zeros(0, MOMENT))

    @property
    def count(self) -> int:
        """How many flows they are."""
        return int(self.rows["count"].sum())

    def last_before(self, time: int) -> int:
        """The start of the last flow before that time, 0 where there is none (as far as a second tells)."""
        first, last = self.rows["first"], self.rows["last"]
        starts = np.where(last < time, last, np.where(first < time, first, 0))
        return int(starts.max(initial=0))

    def first_after(self, time: int) -> int:
        """The start of the first flow after that time, 0 where there is none (as far as a second tells)."""
        first, last = self.rows["first"], self.rows["last"]
        starts = np.where(first > time, first, last)
        return int(starts[last > time].min(initial=_NEVER)) % _NEVER

    def between(self, begin: int, end: int) -> int:
        """How many flows began then; whole seconds count by their first."""
        inside = (self.rows["first"] >= begin) & (self.rows["first"] <= end)
        return int(self.rows["count"][inside].sum())


_NEVER = np.iinfo(np.int64).max


def _moments(rows: SummaryRows, chosen: NDArray[np.bool_], kind: int) -> NDArray[np.void]:
    """A row for each of the chosen flows."""
    index = np.flatnonzero(chosen)
    out = np.zeros(len(index), MOMENT)
    for name in _PAIR_NAMES:
        out[name] = rows[name][index]
    out["kind"], out["count"] = kind, 1
    out["first"] = out["last"] = rows["start"][index]
    out["second"] = out["first"] // SECOND
    return out


def _services(rows: SummaryRows, is_fine: NDArray[np.bool_]) -> NDArray[np.void]:
    out = np.zeros(len(rows), SERVICE)
    for name in _SERVICE_NAMES:
        out[name] = rows[name]
    out["flows"] = 1
    out["survived"], out["survivors"] = rows["survived"], rows["survived"] > 0
    ttl, idle = rows["ttl"][:, SERVER], rows["idle_close"]
    out["ttl_low"], out["ttl_high"] = np.where(ttl > 0, ttl, 255), ttl
    out["idle_closes"], out["idle_high"] = idle > 0, idle
    out["idle_low"] = np.where(idle > 0, idle, _NEVER)
    proven = ~rows["unacknowledged"] & is_fine[:, None]
    out["largest"] = np.where(proven, rows["largest"], 0)
    return out


def runs(rows: NDArray[np.void], names: Sequence[str]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """The rows of equal columns together, else in their order; and the first of each such run: int64 (g,)."""
    if not len(rows):
        return rows, np.zeros(0, np.int64)
    keys = _mixed([rows[name] for name in names])
    order = np.argsort(keys, kind="stable")
    rows, keys = take(rows, order), keys.take(order)
    differs = np.append(np.True_, keys[1:] != keys[:-1])
    alike = np.flatnonzero(~differs)  # mostly equal, but two that are not may be mixed to one number
    for name in names:
        differs[alike] |= rows[name][alike] != rows[name][alike - 1]
    return rows, np.flatnonzero(differs)


def _groups(rows: NDArray[np.void], names: Sequence[str]) -> dict[Pair, NDArray[np.void]]:
    """The rows by their values in these columns, in the order that they have."""
    rows, starts = runs(rows, names)
    keys = zip(*(rows[name][starts].tolist() for name in names), strict=True)
    return dict(zip(keys, np.split(rows, starts[1:]), strict=True)) if len(rows) else {}


def _mixed(columns: Sequence[NDArray[Any]]) -> NDArray[np.uint64]:
    """One number for each row, mostly another one for other values: uint64 (n,)."""
    mixed = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        mixed = (mixed ^ column.astype(np.uint64)) * _ODD
        mixed ^= mixed >> np.uint64(29)
    return mixed


_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class _Keyed:
    """Rows, the columns by which they are asked for, and one number for the values in these: uint64 (n,)."""

    rows: NDArray[np.void]
    names: Sequence[str]
    mixed: NDArray[np.uint64]

    @classmethod
    def of(cls, rows: NDArray[np.void], names: Sequence[str]) -> _Keyed:
        return cls(rows, names, _mixed([rows[name] for name in names]))

    def chosen(self, keys: set[Pair]) -> dict[Pair, NDArray[np.void]]:
        """The rows of each of these keys that has any, in the order that they have."""
        wanted = list(keys)
        if not wanted or not len(self.rows):
            return {}
        columns = list(np.array(wanted, np.uint64).T)
        mixed = _mixed(columns)
        marked = np.zeros(1 << 16, np.bool_)
        marked[mixed >> _TAG] = True
        index = np.flatnonzero(marked[self.mixed >> _TAG])  # nearly all others fall out, where few are wanted
        order = np.argsort(mixed)
        key = order[np.searchsorted(mixed[order[:-1]], self.mixed[index])]
        rows = take(self.rows, index)
        same = np.ones(len(rows), np.bool_)
        for name, column in zip(self.names, columns, strict=True):
            same &= rows[name] == column[key]
        rows, key = where(rows, same), key[same].astype(np.min_scalar_type(len(wanted)))
        rows = take(rows, np.argsort(key, kind="stable"))
        ends = np.cumsum(np.bincount(key, minlength=len(wanted))).tolist()
        places = zip(wanted, [0, *ends], ends, strict=False)
        return {pair: rows[begin:end] for pair, begin, end in places if begin < end}


_TAG = np.uint64(48)
"""By so much a number is shifted, of which the first 16 bits are looked up."""
