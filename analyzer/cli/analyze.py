"""``errnoscope analyze CAPTURE...``: read captures, print the report."""

from __future__ import annotations

import click

from analyzer.cli.messages import complain
from analyzer.cli.output import Target, opened, output_option
from analyzer.cli.progress import Progress


@click.command("analyze", context_settings={"max_content_width": 80})
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...", type=click.Path(path_type=str))
@output_option()
def command(captures: tuple[str, ...], outputs: list[Target]) -> int:
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
      errnoscope analyze node-*.pcap.gz -o text -o json=report.json
    """
    from analyzer.pipeline import analyze

    with opened(outputs, captures) as reports:
        with Progress() as progress:
            report = analyze(*captures, progress=progress.show)
        reports.write(report)
    damaged = [capture.damage for capture in report.captures if capture.damage]
    for damage in damaged:
        complain(damage)
    return 2 if damaged else 0
