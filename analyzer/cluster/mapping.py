"""Map: a piece of a file is decoded, and its rows are shared out by the keys of their flows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.cluster import parquet
from analyzer.cluster.job import Job
from analyzer.cluster.late import Note, Noted
from analyzer.cluster.store import Store
from analyzer.decode.link import LINK_TYPES
from analyzer.decode.packets import decode
from analyzer.errors import UserError
from analyzer.flows.keys import flow_keys
from analyzer.flows.legs import SYN, syns
from analyzer.model.blocks import FrameBlock
from analyzer.model.capture import Capture
from analyzer.model.columns import NEIGHBOUR, ROW_FIELDS, PacketColumns, Undecoded, joined
from analyzer.pipeline.problems import Counts
from analyzer.sources.inputs import Input, beginning
from analyzer.sources.pieces import Piece, open_piece
from analyzer.sources.series import Seam
from analyzer.sources.tally import Tally


@dataclass(slots=True)
class Mapped:
    """What is known of a piece whose rows are in the store, by its own numbers and its own clock.

    beginning: of a file's first piece, how many frames its first block has that tells whether the file
    carries on another (0: none), and the lowest of their times. rows, written: rows and bytes of each shard.
    ahead: the rows of that block, where it has more frames than the piece. constants, dtypes: of the columns,
    see ``parquet``.
    """

    name: str
    tally: Tally
    counts: Counts = field(default_factory=Counts)
    seam: Seam = field(default_factory=Seam)
    clock_end: int = 0
    beginning: tuple[int, int] = (0, 0)
    ahead: PacketColumns | None = None
    neighbours: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, NEIGHBOUR))
    syns: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, SYN))
    notes: list[Note] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)


def rows_of(name: str, shard: int) -> str:
    """Where in the store the rows of that piece and shard are."""
    return f"rows/{name}-{shard}.parquet"


def map_piece(store: Store, job: Job, name: str, piece: Piece, shards: int) -> Mapped:
    """Decode a piece and put its rows into the store. Raises UserError where that cannot be written."""
    try:
        source = open_piece(piece, 0)
    except UserError as error:
        return Mapped(name, Tally(Capture(piece.path, "", damage=error)))
    mapped, parts = Mapped(name, source.tally), []
    fragments = Noted()
    for block in source.blocks():
        mapped.seam.note(block)
        fragments.begin(block, mapped.clock_end)
        columns = decode(block, fragments)
        parts.append(_counted(mapped, block, columns))
    mapped.notes = fragments.notes
    if not piece.begin and (begin := beginning(Input(piece.path))):
        mapped.beginning = (len(begin), int(begin.times.min()))
        if len(begin) > mapped.tally.capture.packets:
            mapped.ahead = decode(begin)
    if any(map(len, parts)):
        _share_out(store, job, mapped, joined(parts), shards)
    return mapped


def shards_of(keys: NDArray[np.uint64], shards: int) -> NDArray[np.uint16]:
    """The shard of each key (n,): by bits by which nothing sorts or finds flows, as they are alike in it."""
    return ((keys >> np.uint64(32)).astype(np.uint16) % np.uint16(shards)).astype(np.uint16)


def _counted(mapped: Mapped, block: FrameBlock, columns: PacketColumns) -> PacketColumns:
    """The rows of a block, with the clock of the piece."""
    counts = mapped.counts
    counts.packets += columns.packets
    counts.shortened += columns.shortened
    counts.undecoded += columns.undecoded
    if columns.undecoded[Undecoded.UNKNOWN_LINK_TYPE]:
        counts.unknown_links |= set(np.unique(block.link_types).tolist()) - LINK_TYPES
    mapped.neighbours = np.concatenate([mapped.neighbours, columns.neighbours])
    mapped.clock_end = max(mapped.clock_end, columns.clock_end)
    return columns


def _share_out(store: Store, job: Job, mapped: Mapped, columns: PacketColumns, shards: int) -> None:
    """Write the rows of each shard into a file of its own."""
    keys, _ = flow_keys(columns, np.uint64(job.seed))
    tally = mapped.tally.clock
    mapped.syns = syns(columns, keys, tally.first or 0)
    mapped.dtypes = {name: getattr(columns, name).dtype.str for name in ROW_FIELDS}
    arrays, mapped.constants = parquet.shape(columns)
    shard = shards_of(keys, shards)
    order = np.argsort(shard, kind="stable")
    ends = np.searchsorted(shard[order], np.arange(shards + 1))
    arrays = {name: values.take(order) for name, values in arrays.items()}
    for number in range(shards):
        part = slice(int(ends[number]), int(ends[number + 1]))
        size = 0
        if part.stop > part.start:
            data = parquet.written({name: values[part] for name, values in arrays.items()})
            store.write(rows_of(mapped.name, number), data)
            size = len(data)
        mapped.rows.append(part.stop - part.start)
        mapped.written.append(size)


def rows(
    store: Store, mapped: Mapped, shard: int, *, capture: int, before: int, clock: int
) -> PacketColumns | None:
    """The rows of a piece and shard, as they stand in the capture: None where there are none.

    ``before`` frames stand before the piece's first one, ``clock`` is the largest time of these.
    """
    if not mapped.rows or not mapped.rows[shard]:
        return None
    arrays = parquet.read(store.read(rows_of(mapped.name, shard)))
    columns = parquet.whole(arrays, mapped.constants, mapped.dtypes)
    columns["number"] = columns["number"] + before
    columns["clock"] = np.maximum(columns["clock"], clock)
    none = np.zeros(len(Undecoded), np.int64)
    return PacketColumns(capture, 0, int(columns["clock"][-1]), none, 0, **columns)


def beginning_of(mapped: Mapped, columns: PacketColumns | None, before: int) -> PacketColumns | None:
    """The rows by which is told whether a file carries on another; ``columns`` are those of its first piece.

    With ``ahead`` they are of all shards: the others' rows belong to no flow that this one knows.
    """
    if mapped.ahead is not None or columns is None:
        return mapped.ahead
    return columns.take(np.flatnonzero(columns.number <= before + mapped.beginning[0]))
