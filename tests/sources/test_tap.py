"""The pipe of a capture that goes on: everything that comes is read, and nothing is waited for for ever."""

from __future__ import annotations

import io
import os
import threading

from analyzer.sources.tap import STEP, Tap, widen

MUCH = 40 << 20


def test_all_of_a_fast_writer_is_read() -> None:
    read_end, write_end = os.pipe()
    sent = os.urandom(1 << 20) * (MUCH >> 20)

    def write() -> None:
        with io.FileIO(write_end, "wb") as out:
            left = memoryview(sent)
            while left:
                left = left[out.write(left) :]

    writer = threading.Thread(target=write)
    tap = Tap(io.FileIO(read_end, "rb"), lambda: False)
    writer.start()
    buffer, got = memoryview(bytearray(1 << 22)), []
    while count := tap.readinto(buffer):
        got.append(bytes(buffer[:count]))
    writer.join()
    tap.close()
    assert b"".join(got) == sent


def test_nothing_is_no_end() -> None:
    read_end, write_end = os.pipe()
    tap = Tap(io.FileIO(read_end, "rb"), lambda: False)
    buffer = memoryview(bytearray(100))
    assert tap.readinto(buffer) is None
    os.write(write_end, b"abc")
    assert tap.readinto(buffer) == 3
    os.close(write_end)
    assert tap.readinto(buffer) == 0
    tap.close()


def test_a_pipe_that_fills_is_looked_at_sooner() -> None:
    read_end, write_end = os.pipe()
    tap = Tap(io.FileIO(read_end, "rb"), lambda: False)
    size = widen(io.FileIO(read_end, "rb", closefd=False))
    assert size >= 1 << 16
    for _ in range(20):
        tap._adapt(size)
    assert 0 < tap._step < STEP / 8
    tap._adapt(size // 4)
    assert tap._step < STEP / 8
    for _ in range(20):
        tap._adapt(0)
    assert tap._step == STEP
    tap.close()
    os.close(write_end)
