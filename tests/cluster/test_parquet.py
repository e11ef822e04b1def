"""Columns come back from Parquet as they went in."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.cluster import parquet
from analyzer.decode.packets import decode
from analyzer.model.columns import ROW_FIELDS, PacketColumns, is_constant
from analyzer.sources.open import open_capture
from tests.cluster.place import SAMPLES


def back(columns: PacketColumns) -> dict[str, np.ndarray]:
    arrays, constants = parquet.shape(columns)
    dtypes = {name: getattr(columns, name).dtype.str for name in ROW_FIELDS}
    return parquet.whole(parquet.read(parquet.written(arrays)), constants, dtypes)


@pytest.mark.parametrize("path", SAMPLES[::25])
def test_samples(path: str) -> None:
    for block in open_capture(path, 0, max_frames=7).blocks():
        columns = decode(block)
        if not len(columns):
            continue
        for name, values in back(columns).items():
            assert values.dtype == getattr(columns, name).dtype
            assert values.tolist() == getattr(columns, name).tolist()


def test_only_what_says_nothing_is_constant() -> None:
    """A single row has one value in every column, which means something all the same."""
    seen = 0
    for block in open_capture("samples/tls-alert-unrecognized-name/client.pcap", 0, max_frames=1).blocks():
        columns = decode(block)
        if len(columns):
            seen += int(columns.promised.any())
            assert not [
                name for name, values in back(columns).items() if is_constant(values) and values.any()
            ]
    assert seen
