"""How the command uses memory."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from analyzer.cli.memory import give_freed_back, keep_freed

_FAULTS = """
import resource
import numpy as np
from analyzer.cli.memory import keep_freed

{call}
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(1 << 17) for _ in range(8)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(call: str) -> int:
    """Pages that the system gives for 8 MiB of arrays like those that were freed just before."""
    return int(subprocess.check_output([sys.executable, "-c", _FAULTS.format(call=call)], timeout=60))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_kept() -> None:
    assert _faults("") > 1000, "the test shows nothing: the C library keeps it anyway"
    assert _faults("keep_freed()") < 100


@pytest.mark.parametrize("library", [object(), None])
def test_another_c_library_is_left_alone(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: None) -> object:
        if library is None:  # as on Windows
            raise TypeError
        return library

    monkeypatch.setattr("ctypes.CDLL", load)
    keep_freed()
    give_freed_back()
