"""Map and reduce give the report of a single process, however the captures are cut and shared out."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bench.flows import plan
from tests.bench.generate import generate
from tests.cluster.place import SAMPLES, differences, frames_of, in_one, in_shares
from tests.cluster.place import small as small  # a fixture
from tests.sources import build

SECOND = 10**9
PORTIONS = 8


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_every_sample(portion: int, small: Callable[[int, int], None]) -> None:
    small(portion, 5)
    for path in SAMPLES[portion::PORTIONS]:
        generator = random.Random(path)
        every = generator.random() < 0.3
        shares = in_shares(
            path,
            every=every,
            shards=generator.randint(1, 5),
            slice_rows=generator.choice([1, 5, 40, 10**6]),
            batch_rows=generator.choice([1, 7, 10**5]),
        )
        assert (path, differences(in_one(path, all_flows=every), shares)) == (path, [])


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    seed=st.integers(0, 10**6),
    count=st.sampled_from([1, 3, 10, 30]),
    files=st.sampled_from([1, 2, 4, 9, 20]),
    serial=st.booleans(),
    spoilt=st.sampled_from(["", "", "cut", "damaged"]),
    shards=st.integers(1, 6),
    rows=st.sampled_from([1, 30, 1000, 10**6]),
)
def test_rotations_of_many_captures(
    seed: int,
    count: int,
    files: int,
    serial: bool,
    spoilt: str,
    shards: int,
    rows: int,
    small: Callable[[int, int], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    generator = random.Random(seed)
    paths = rotation(generator, tmp_path_factory.mktemp("cut"), count, files, serial=serial, spoilt=spoilt)
    small(seed, 4)
    shares = in_shares(*paths, shards=shards, slice_rows=rows, batch_rows=generator.choice([1, 50, 10**5]))
    assert differences(in_one(*paths), shares) == []


def rotation(
    generator: random.Random, folder: Path, count: int, files: int, *, serial: bool, spoilt: str
) -> list[str]:
    """Samples behind each other or laid over each other, in so many files; in any order."""
    frames: list[build.Frame] = []
    at = 1_700_000_000 * SECOND
    for path in generator.sample(SAMPLES, count):
        own = frames_of(path)
        own = [one for one in own if one.link_type == (frames or own)[0].link_type]
        if not own:
            continue
        shift = at - own[0].time
        frames += [one._replace(time=max(one.time + shift, 0)) for one in own]
        if serial:
            at = max(frames[-1].time, at) + generator.choice([0, 10**6, SECOND, 20 * SECOND, 100 * SECOND])
    frames.sort(key=lambda one: one.time)
    cuts = sorted(generator.randrange(len(frames) + 1) for _ in range(files - 1))
    paths = []
    for number, (begin, end) in enumerate(zip([0, *cuts], [*cuts, len(frames)], strict=True)):
        own = frames[begin:end]
        link = frames[0].link_type if frames else 1
        made = build.pcapng(own) if number % 5 == 4 else build.pcap(own, magic=0xA1B23C4D, link_type=link)
        if spoilt == "cut" and number == files // 2:
            made = made[:-5]
        if spoilt == "damaged" and number == files // 2:
            made = made[: len(made) // 2] + b"\xff" * 30 + made[len(made) // 2 + 30 :]
        path = folder / f"cap.pcap{number}"
        path.write_bytes(made)
        paths.append(str(path))
    generator.shuffle(paths)
    return paths


def test_connections_that_are_there_twice_in_two_shards(
    small: Callable[[int, int], None],
) -> None:
    twice = [path for path in SAMPLES if '"counted_once": [\n' in in_one(path)]
    for path in twice[::3]:
        for seed in range(2):
            small(seed, 5)
            shares = in_shares(path, shards=5 + seed, slice_rows=3)
            assert (path, differences(in_one(path), shares)) == (path, [])
    assert len(twice) > 3


def test_a_state_that_was_handed_over_grows(small: Callable[[int, int], None], tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    generate(path, plan("synflood", 9000, None, 1, 60.0), snaplen=96)
    small(1, 3)
    assert differences(in_one(str(path)), in_shares(str(path), shards=2, slice_rows=800)) == []
