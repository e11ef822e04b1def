"""The process that serves the counts, which come as lines of JSON on its standard input.

Arguments: address, port. Says on stdout where it serves, or why it cannot. It ends with its input.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from prometheus_client import start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

_COUNTERS = (
    ("packets", "Packets that were read."),
    ("dropped", "Packets that the kernel dropped for want of room."),
)
_GAUGES = (
    ("open_flows", "Flows that are followed now."),
    ("lag_seconds", "For how long the latest packets were under way, against the quickest."),
)
_VERDICTS = (
    ("verdicts", "Ends of connections of which a failure was told."),
    ("verdicts_taken_back", "Of those: withdrawn since, for the connection went on."),
)
_LABELS = ("errno", "rule", "port")


class Counts(Collector):
    """The latest counts."""

    def __init__(self) -> None:
        self.latest: dict[str, Any] = {}

    def collect(self) -> Iterator[Metric]:
        """As the library wants them."""
        for name, doc in _COUNTERS:
            yield CounterMetricFamily(f"errnoscope_{name}", doc, value=self.latest.get(name, 0))
        for name, doc in _GAUGES:
            yield GaugeMetricFamily(f"errnoscope_{name}", doc, value=self.latest.get(name, 0))
        for name, doc in _VERDICTS:
            family = CounterMetricFamily(f"errnoscope_{name}", doc, labels=_LABELS)
            for *labels, count in self.latest.get(name, ()):
                family.add_metric(labels, count)
            yield family


def main(host: str, port: int) -> int:
    """Serve until the input ends."""
    counts, registry = Counts(), CollectorRegistry()
    registry.register(counts)
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        print("failed", error.strerror or error, flush=True)
        return 1
    shown = f"[{host}]" if ":" in host else host
    print("serving", f"http://{shown}:{server.server_port}/metrics", flush=True)
    for line in sys.stdin:
        counts.latest = json.loads(line)
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
