"""Tables as data frames of Polars, and the files that it writes of them. It is imported only then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer import __version__
from analyzer.errors import UserError, unwritable
from analyzer.reports.new_folder import NewFolder
from analyzer.reports.tables.schema import (
    BETWEEN,
    BOOL,
    NUMBERS,
    ONLY_WHERE,
    TEXT,
    TEXTS,
    TIME,
    VERSION,
    WHOLE,
)

if TYPE_CHECKING:
    import polars

_ISO = "%Y-%m-%dT%H:%M:%S%.9fZ"

ABOUT = "_errnoscope.json"
"""Says of which version the tables are; written last, so that where it is missing they are not whole."""


class Folder:
    """A new folder for tables, a folder for each; ``form`` is ``parquet`` or ``csv``."""

    def __init__(self, path: Path, form: str, where: str, *, made: bool = False) -> None:
        """``made``: it was made already, and other reports may stand in it.

        Raises UserError where Polars is missing, or the folder cannot be made or is not empty.
        """
        refuse_without_polars(where)
        import polars

        self._polars: Any = polars
        self._path, self._form, self._where = path, form, where
        self._types = _types(self._polars)
        self._parts: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        """How many were written of each table."""
        self.give_up = (lambda: None) if made else NewFolder(path, where).give_up

    def write(self, table: str, schema: Mapping[str, str], columns: Mapping[str, Any]) -> None:
        """Another file of this table: a column a name, an array or a list. Raises UserError."""
        types = {name: self._types[schema[name]] for name in schema}
        frame = self._polars.DataFrame(
            {name: self._series(name, columns[name], schema[name]) for name in schema}, schema=types
        )
        frame = frame.with_columns(_only_where(self._polars, schema))
        number = self._parts.get(table, 0)
        self._parts[table] = number + 1
        self.rows[table] = self.rows.get(table, 0) + len(frame)
        path = self._path / table / f"part-{number:05d}.{self._form}"
        try:
            path.parent.mkdir(exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            self._write(frame, part, table, schema)
            part.replace(path)
        except OSError as error:
            raise unwritable(self._where, error) from error

    def ensure(self, table: str, schema: Mapping[str, str]) -> None:
        """A file without rows where there is none, so that every table can be read. Raises UserError."""
        if table not in self._parts:
            self.write(table, schema, {name: [] for name in schema})

    def finish(self) -> None:
        """All tables are whole. Raises UserError."""
        about = {"schema": VERSION, "tool": {"name": "errnoscope", "version": __version__}, "rows": self.rows}
        try:
            (self._path / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise unwritable(self._where, error) from error

    def _series(self, name: str, values: Any, kind: str) -> polars.Series:
        """A column; times are numbers first, as Polars takes them."""
        made = self._polars.Series(name, values, dtype=self._polars.Int64 if kind == TIME else None)
        cast: polars.Series = made.cast(self._types[kind])
        return cast

    def _write(self, frame: polars.DataFrame, path: Path, table: str, schema: Mapping[str, str]) -> None:
        try:
            if self._form == "csv":
                frame.with_columns(_joined(self._polars, schema)).write_csv(path, datetime_format=_ISO)
            else:
                told = {
                    "errnoscope.schema": VERSION,
                    "errnoscope.table": table,
                    "errnoscope.version": __version__,
                }
                frame.write_parquet(path, compression_level=1, metadata=told)
        except self._polars.exceptions.PolarsError as error:
            raise OSError(0, str(error)) from error


def _joined(polars: Any, schema: Mapping[str, str]) -> Sequence[Any]:
    """Lists as text, for CSV has none."""
    text = polars.List(polars.String)
    lists = {name: BETWEEN[kind] for name, kind in schema.items() if kind in BETWEEN}
    return [polars.col(name).cast(text).list.join(between) for name, between in lists.items()]


def _only_where(polars: Any, schema: Mapping[str, str]) -> Sequence[Any]:
    """Null instead of 0 where a column does not apply."""
    known = {name: condition for name, condition in ONLY_WHERE.items() if name in schema}
    return [polars.when(condition).then(name).alias(name) for name, condition in known.items()]


def refuse_without_polars(where: str) -> None:
    """Raises UserError where it is not installed; does not import it."""
    if find_spec("polars") is None:
        what = "what writes tables is not installed"
        raise UserError("missing-extra", where, what, "pip install 'errnoscope[tables]'")


def _types(polars: Any) -> dict[str, Any]:
    return {
        TIME: polars.Datetime("ns", "UTC"),
        BOOL: polars.Boolean,
        TEXT: polars.String,
        WHOLE: polars.Int64,
        TEXTS: polars.List(polars.String),
        NUMBERS: polars.List(polars.Int64),
        "u8": polars.UInt8,
        "u16": polars.UInt16,
        "u32": polars.UInt32,
    }
