"""Columns of packets as Parquet files, by Polars: narrow, and only those that say anything."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.model.columns import ROW_FIELDS, PacketColumns, constant, is_constant

Arrays = Mapping[str, NDArray[Any]]
Constants = Mapping[str, Any]

_UNSIGNED = (np.uint8, np.uint16, np.uint32)


def shape(columns: PacketColumns) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The columns that differ from row to row, as narrow as their values allow, and the value of the others.

    ``clock`` is left out where it is the time in every row, as it is where nothing is out of order;
    ``number`` never is.
    """
    arrays: dict[str, NDArray[Any]] = {}
    constants: dict[str, Any] = {}
    for name in ROW_FIELDS:
        values = getattr(columns, name)
        if name == "clock" and (values == columns.time).all():
            continue
        if name != "number" and (not len(values) or is_constant(values) or (values == values[0]).all()):
            constants[name] = values[0].item() if len(values) else 0
        else:
            arrays[name] = _narrow(values)
    return arrays, constants


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.itemsize <= 2 or values.dtype.kind not in "iu" or values.min() < 0:
        return values
    most = int(values.max())
    for kind in _UNSIGNED:
        if most <= np.iinfo(kind).max:
            return values.astype(kind, copy=False)
    return values


def whole(arrays: Arrays, constants: Constants, dtypes: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """All columns of rows again; ``dtypes`` are those of ROW_FIELDS."""
    count = len(arrays["number"])
    columns: dict[str, NDArray[Any]] = {}
    for name in ROW_FIELDS:
        if name in arrays:
            columns[name] = arrays[name].astype(dtypes[name], copy=False)
        elif name in constants:
            columns[name] = _filled(np.dtype(dtypes[name]).type(constants[name]), count)
    columns.setdefault("clock", columns["time"])
    return columns


def _filled(value: np.generic, count: int) -> NDArray[Any]:
    """The same value in every row; who finds a ``constant`` column takes it for one that says nothing."""
    return np.full(count, value) if value else constant(value, count)


def written(arrays: Arrays) -> bytes:
    """A Parquet file with these columns, (n,) each."""
    import polars

    out = io.BytesIO()
    frame = polars.DataFrame({name: np.ascontiguousarray(values) for name, values in arrays.items()})
    frame.write_parquet(out, compression="lz4", statistics=False)
    return out.getvalue()


def read(data: bytes) -> dict[str, NDArray[Any]]:
    """The columns of a Parquet file."""
    import polars

    frame = polars.read_parquet(io.BytesIO(data))
    return {name: frame[name].to_numpy() for name in frame.columns}
