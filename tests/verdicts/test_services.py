"""The fold of ended flows: portions and order do not matter, and it says what the flows said."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.model.columns import TCP, UDP
from analyzer.model.summary import SUMMARY, Summary, summaries
from analyzer.verdicts.services import (
    EMPTY,
    REACHED,
    SECOND,
    Services,
    is_empty,
    is_reached,
    pair_of,
    service_of,
)

flags = st.tuples(st.booleans(), st.booleans())


@st.composite
def rows(draw: st.DrawFn, most: int = 40) -> np.ndarray:
    """Ended flows of a few clients and services within a few seconds."""
    count = draw(st.integers(0, most))
    out = np.zeros(count, SUMMARY)
    for index in range(count):
        start = draw(st.integers(1, 6 * SECOND))
        answered = start + draw(st.sampled_from([0, 5]))
        values = {
            "protocol": draw(st.sampled_from([TCP, TCP, TCP, UDP])),
            "version": draw(st.sampled_from([4, 6])),
            "client_lo": draw(st.integers(1, 2)),
            "server_lo": draw(st.integers(1, 2)),
            "server_port": draw(st.integers(80, 81)),
            "start": start,
            "end": start + draw(st.sampled_from([10, 3 * SECOND])),
            "answered": answered if answered > start else 0,
            "completed": answered + 1 if answered > start else 0,
            "survived": draw(st.integers(0, 9)) * SECOND,
            "payload": draw(st.sampled_from([(0, 0), (0, 0), (10, 0), (10, 20)])),
            "fin": draw(flags),
            "reset": draw(flags),
            "ttl": draw(st.sampled_from([(0, 0), (64, 62), (64, 63)])),
            "idle_close": draw(st.sampled_from([0, 0, SECOND, 75 * SECOND])),
            "first_leg": draw(st.sampled_from([0, 0, 0, 7])),
            "unacknowledged": draw(flags),
            "largest": draw(st.sampled_from([(0, 0), (500, 1400)])),
        }
        for name, value in values.items():
            out[name][index] = value
    out["flow"] = np.arange(count)
    return out


def everything(services: Services, of: np.ndarray) -> list[object]:
    """All that can be asked."""
    flows = summaries(of)
    pairs, places = {pair_of(flow) for flow in flows}, {service_of(flow) for flow in flows}
    asked = [services.moments(kind, pairs) for kind in (REACHED, EMPTY)]
    asked.append(services.moments(REACHED, places, by_service=True))
    moments = [sorted((key, m.rows.tolist()) for key, m in found.items()) for found in asked]
    known = sorted((key, str(row.tolist())) for key, row in services.service(places).items())
    return [services.late_resets, *moments, known, sorted(services.host_ttls(places).items())]


@settings(max_examples=80, deadline=None)
@given(rows(), st.data())
def test_portions_and_order_do_not_matter(of: np.ndarray, data: st.DataObject) -> None:
    failed = data.draw(st.sets(st.integers(0, 40)))
    whole = Services()
    whole.add(of, failed)
    expected = everything(whole, of)
    mixed = of[np.array(data.draw(st.permutations(range(len(of)))), np.int64)]
    cut = data.draw(st.integers(0, len(of)))
    one, other = Services(), Services()
    for row in range(cut):
        one.add(mixed[row : row + 1], failed)
    other.add(mixed[cut:], failed)
    merged = data.draw(st.sampled_from([(one, other), (other, one)]))
    merged[0].merge(merged[1])
    assert everything(merged[0], of) == expected


@settings(max_examples=60, deadline=None)
@given(rows())
def test_moments_are_the_flows_that_were_served(of: np.ndarray) -> None:
    services = Services()
    services.add(of)
    reached = is_reached(of, is_empty(of)) & (of["first_leg"] == 0)
    served = [flow for flow, was in zip(summaries(of), reached, strict=True) if was]
    for pair in {pair_of(flow) for flow in summaries(of)}:
        starts = sorted(flow.start for flow in served if pair_of(flow) == pair)
        found = services.moments(REACHED, [pair]).get(pair)
        assert (found.count if found else 0) == len(starts)
        if not found:
            continue
        assert int(found.rows["first"].min()) == starts[0]
        assert int(found.rows["last"].max()) == starts[-1]
        for time in (0, starts[0], starts[len(starts) // 2], starts[-1]):
            assert (found.first_after(time) > time) == any(start > time for start in starts)
            assert found.last_before(time) in {0, *starts}
            assert bool(found.last_before(time)) == any(0 < start < time for start in starts)


def flow(**values: object) -> Summary:
    row = np.zeros(1, SUMMARY)
    usual = {"protocol": TCP, "version": 4, "answered": 2, "completed": 3, "start": 1, "end": 9}
    for name, value in (usual | values).items():
        row[name] = value
    return summaries(row)[0]


def test_many_flows_of_a_second_are_one_row() -> None:
    rows = np.zeros(50_000, SUMMARY)
    for name, value in (("protocol", TCP), ("version", 4), ("answered", 2), ("completed", 3)):
        rows[name] = value
    rows["start"] = np.arange(len(rows)) * 100_000
    rows["payload"] = 10
    services = Services()
    for part in np.split(rows, 50):
        services.add(part)
    pair = pair_of(flow())
    moments = services.moments(REACHED, [pair])[pair]
    assert (len(moments.rows), moments.count) == (5, 50_000)


CLIENTS = ("version", "client_hi", "client_lo")


def test_each_of_many_keys_gets_its_moments_in_order_of_time() -> None:
    """Also those whose flows began at the same time, in any portions, and none that nobody asked for."""
    rows = np.zeros(2_000, SUMMARY)
    for name, value in (("protocol", TCP), ("version", 4), ("answered", 2), ("completed", 3)):
        rows[name] = value
    order = np.arange(len(rows)) * 7919 % len(rows)
    rows["start"] = (order // 2 + 1) * (SECOND // 2)
    rows["client_lo"], rows["server_lo"] = order % 601, order % 5
    wanted = {(4, 0, client) for client in range(1, 1_000)}
    asked = []
    for portions, step in ((1, 1), (7, -1)):
        services = Services()
        for part in np.array_split(rows[::step], portions):
            services.add(part)
        found = services.moments_of(REACHED, CLIENTS, wanted)
        asked.append({key: moments.rows.tolist() for key, moments in found.items()})
        assert found.keys() == {(4, 0, client) for client in range(1, 601)}
        for (_, _, client), moments in found.items():
            starts = rows["start"][rows["client_lo"] == client]
            assert moments.count == len(starts)
            assert moments.rows["first"].tolist() == sorted(set(starts.tolist()))
    assert asked[0] == asked[1]


def test_a_merged_fold_answers_as_the_one_that_it_took_over() -> None:
    services, other = Services(), Services()
    rows = np.zeros(1, SUMMARY)
    for name, value in (("protocol", TCP), ("version", 4), ("answered", 2), ("completed", 3), ("start", 1)):
        rows[name] = value
    pair = pair_of(summaries(rows)[0])
    other.add(rows)
    assert other.moments(REACHED, [pair])[pair].count == 1
    services.merge(other)
    assert services.moments(REACHED, [pair])[pair].count == 1
    services.add(rows)
    assert services.moments(REACHED, [pair])[pair].count == 2
    assert other.moments(REACHED, [pair])[pair].count == 1
