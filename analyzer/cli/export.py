"""``errnoscope export CAPTURE... --to parquet DIR``: segments, flows and verdicts as tables."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from analyzer.cli.host_options import host_options
from analyzer.cli.memory import keep_freed
from analyzer.cli.messages import complain
from analyzer.cli.numbers import Whole
from analyzer.cli.output import refuse_url
from analyzer.cli.progress import Progress
from analyzer.cli.rule_options import RuleOptions, rule_options
from analyzer.errors import UserError
from analyzer.model.flow import MAX_FLOWS
from analyzer.model.host import Host


@click.command("export", context_settings={"max_content_width": 80})
@click.argument(
    "captures", nargs=-1, required=True, metavar="CAPTURE...", type=click.Path(readable=False, path_type=str)
)
@click.option(
    "--to",
    "to",
    nargs=2,
    required=True,
    metavar="parquet|csv DIR",
    help="Write Parquet or CSV files into this new directory, a folder a table.",
)
@host_options
@rule_options
@click.option(
    "--jobs",
    type=Whole(min=1),
    metavar="N",
    help="Processes that work: of 2 one reads and decodes while the other follows the flows. "
    "[default: 2 for files from 64 MiB on, where there are two processors]",
)
@click.option(
    "--max-flows",
    type=Whole(min=1),
    default=MAX_FLOWS,
    metavar="N",
    help="As for analyze. [default: 1000000]",
)
def command(
    captures: tuple[str, ...],
    *,
    to: tuple[str, str],
    hosts: tuple[Host, Host],
    chosen: RuleOptions,
    jobs: int | None,
    max_flows: int,
) -> int:
    """Write every segment, flow and verdict as a row, for DuckDB, Polars, pandas, Spark ...

    CAPTURE as for analyze. The directory gets the folders segments, flows, verdicts and captures, and
    _errnoscope.json once all of them are whole. docs/tables.md says what the columns are.

    Exit status: as for analyze.

    \b
    Examples:
      errnoscope export trace.pcap --to parquet tables
      errnoscope export 's3://bucket/captures/2026-11-*/' --to parquet tables
      duckdb -c "select errno, count(*) from 'tables/verdicts/*' group by 1"
    """
    from analyzer.pipeline.files import analyze
    from analyzer.reports.tables.export import Export
    from analyzer.reports.tables.frames import Folder

    keep_freed()
    form, folder = to
    if form not in ("parquet", "csv"):
        raise UserError("unknown-format", f"--to {form}", "there is no such kind of table", "parquet or csv")
    if folder.startswith("-"):
        raise UserError("no-folder", f"--to {form}", "the directory is missing", f"--to {form} DIR")
    refuse_url(f"--to {form} {folder}", folder)
    if captures.count("-") > 1:
        raise UserError("two-inputs", "-", "standard input can be read once only", "give files instead.")
    rules = chosen.load()
    tables = Folder(Path(folder), form, f"--to {form} {folder}")
    export = Export(tables)
    with ExitStack() as undo, Progress() as progress:
        undo.callback(tables.give_up)
        report = analyze(
            *captures,
            rules=rules.rules,
            client=hosts[0],
            server=hosts[1],
            progress=progress.show,
            jobs=jobs,
            max_flows=max_flows,
            seeing=export,
        )
        export.finish(report)
    damaged = [capture.damage for capture in report.captures if capture.damage]
    for damage in damaged:
        complain(damage)
    for table, rows in export.counts.items():
        click.echo(f"{folder}/{table}: {rows:,} row{'' if rows == 1 else 's'}")
    return 2 if damaged else 0
