"""``errnoscope analyze CAPTURE...``: read captures, print the report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli.app_options import app_options
from analyzer.cli.cluster_options import analyzed, cluster_options, refuse_with_cluster
from analyzer.cli.copies import (
    draw,
    key_of,
    refuse_what_cannot_be_carved,
    refuse_what_cannot_be_copied,
    write_carved,
    write_copies,
)
from analyzer.cli.filter_options import filter_options
from analyzer.cli.host_options import host_options
from analyzer.cli.memory import keep_freed
from analyzer.cli.messages import complain
from analyzer.cli.numbers import Whole
from analyzer.cli.output import Target, new_folders, opened, output_option
from analyzer.cli.progress import Progress
from analyzer.cli.rule_options import RuleOptions, rule_options
from analyzer.cli.tables import apart, place, write_folders
from analyzer.errors import UserError
from analyzer.model.filter import Filter
from analyzer.model.flow import MAX_FLOWS
from analyzer.model.host import Host
from analyzer.reports.formats import COPIES, FOLDERS, FORMATS

if TYPE_CHECKING:
    from analyzer.cluster.run import Cluster
    from analyzer.model.application import Dissection
    from analyzer.model.report import Report
    from analyzer.pipeline.begun import Begun


@click.command("analyze", context_settings={"max_content_width": 80})
@click.argument(
    "captures", nargs=-1, required=True, metavar="CAPTURE...", type=click.Path(readable=False, path_type=str)
)
@output_option(FORMATS | COPIES | FOLDERS)
@filter_options
@host_options
@rule_options
@click.option("--all-flows", is_flag=True, help="List every TCP and UDP flow, also those without a finding.")
@click.option(
    "--carve",
    metavar="DIR",
    help="Write each failing flow into a capture of its own in this new directory, with an index.",
)
@click.option(
    "--log",
    "logs",
    multiple=True,
    metavar="FILE|LINE|-",
    help="Say which connection explains each line of this log (or this one line, or standard input); may be "
    "given several times.",
)
@click.option(
    "--anonymize",
    is_flag=True,
    help="With --carve: other addresses (neighbours stay neighbours), no payload. The key is that of "
    "ERRNOSCOPE_ANONYMIZE_KEY, else a new one.",
)
@click.option(
    "--decoder",
    type=click.Choice(["own", "tshark"]),
    default="own",
    help="tshark: have it read the captures, slowly, for formats, link types and tunnels that only it knows.",
)
@app_options
@click.option(
    "--group",
    type=Whole(min=1),
    metavar="N",
    help="Of the text: only the kind of failure of this number, with every connection.",
)
@click.option(
    "--jobs",
    type=Whole(min=1),
    metavar="N",
    help="Processes that work: of 2 one reads and decodes while the other follows the flows, of 3 or more "
    "the others each follow a share of them (of a single file). "
    "[default: 2 for files from 64 MiB on, where there are two processors]",
)
@cluster_options
@click.option(
    "--max-flows",
    type=Whole(min=1),
    default=MAX_FLOWS,
    metavar="N",
    help="Flows that may be open at a time, for each some 1.5 KB of memory; beyond that those that have "
    "been silent longest are let go, and the report says so. [default: 1000000]",
)
def command(
    captures: tuple[str, ...],
    *,
    outputs: list[Target],
    only: Filter,
    hosts: tuple[Host, Host],
    chosen: RuleOptions,
    all_flows: bool,
    group: int | None,
    jobs: int | None,
    max_flows: int,
    cluster: Cluster | None,
    carve: str | None,
    logs: tuple[str, ...],
    anonymize: bool,
    decoder: str,
    dissection: Dissection | None,
) -> int:
    """Say which errno each end of the captured connections got, from which call, and why.

    CAPTURE is a pcap or pcapng file, as tcpdump -w or Wireshark write it, also compressed (gzip, xz, zstd,
    lz4); a directory stands for every capture below it; - reads standard input. Files that carry on each
    other, as those of tcpdump -C, -G or -W do, are read as one capture, in whatever order they are given.

    Exit status: 0 if everything was read, whatever was found in it; 2 if the command was not used rightly, or
    if a capture cannot be read or is damaged in the middle. What could be read is reported all the same.

    \b
    Examples:
      errnoscope analyze trace.pcap
      tcpdump -c 1000 -w - | errnoscope analyze -
      errnoscope analyze trace.pcap --host 10.0.9.30 --errno EPIPE --since +5m
      errnoscope analyze trace.pcap --server-os freebsd --set tcp_retries2=8
      errnoscope analyze trace.pcap --group 2
      errnoscope analyze trace.pcap --log app.log --log /var/log/nginx/error.log
      errnoscope analyze node-*.pcap.gz -o text -o html=report.html
      errnoscope analyze archive/ --engine dask --work /scratch/run -o json=r.json
      errnoscope analyze trace.pcap -o pcapng=annotated.pcapng --carve failed
    """
    if group and not any("group" in target.known.options for target in outputs):
        raise UserError(
            "no-text", f"--group {group}", "is for the text report", "add -o text, or leave it out"
        )
    if (*captures, *logs).count("-") > 1:
        raise UserError(
            "two-inputs", "-", "standard input can be read once only", "give files for the others"
        )
    outputs, folders = apart(outputs)
    refuse_what_cannot_be_copied(outputs, captures)
    refuse_what_cannot_be_carved(carve, captures)
    refuse_with_cluster(cluster, captures, decoder)
    if decoder == "tshark" and jobs is not None and jobs > 1:
        what = "with --decoder tshark one process follows what that decodes"
        raise UserError("no-effect", f"--jobs {jobs}", what, "leave one of the two out.")
    key = key_of(carve, anonymize=anonymize)
    read_by = "" if decoder == "own" else decoder
    with (
        _begun(captures, read_by, jobs, cluster) or nullcontext() as first,
        new_folders(_places(folders, carve)),  # before a report's file is made in one of them
        opened(outputs, captures) as reports,
        Progress() as progress,
    ):
        rules = chosen.load()
        only = replace(only, rules=rules.names)
        common: dict[str, Any] = {
            "rules": rules.rules,
            "only": only,
            "all_flows": all_flows,
            "max_flows": max_flows,
            "logs": logs,
            "dissection": dissection,
        }
        if cluster:
            report = analyzed(cluster, captures, hosts=hosts, **common)
        else:
            common |= {"jobs": jobs, "decoder": read_by, "begun": first, "progress": progress.show}
            report = _here(captures, hosts, **common)
        has_pictures = any("pictures" in target.known.options for target in outputs)
        shown = draw(report, progress) if has_pictures else {}
        progress.end()
        reports.write(report, group=group, pictures=shown, rules=rules.rules)
        write_copies(reports, report, progress)
        write_carved(carve, report, key, progress)
        write_folders(folders, report)
    damaged = [capture.damage for capture in report.captures if capture.damage]
    for damage in damaged:
        complain(damage)
    return 2 if damaged else 0


def _begun(captures: Sequence[str], decoder: str, jobs: int | None, cluster: Cluster | None) -> Begun | None:
    """The only capture, if a process of its own pays that reads it while the rules are loaded."""
    from analyzer.pipeline.begun import begin

    keep_freed()
    return None if cluster else begin(captures, decoder=decoder, jobs=jobs)


def _here(captures: Sequence[str], hosts: tuple[Host, Host], **options: Any) -> Report:
    """The report, made by this process. Raises UserError."""
    from analyzer.pipeline.files import analyze

    return analyze(*captures, client=hosts[0], server=hosts[1], **options)


def _places(folders: Sequence[Target], carve: str | None) -> list[tuple[str, str]]:
    """The directories that are to be written, each beside the option that names it."""
    places = [(place(target), target.path) for target in folders]
    return [*places, (f"--carve {carve}", carve)] if carve is not None else places
