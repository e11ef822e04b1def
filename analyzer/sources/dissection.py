"""What tshark reads in a capture's payload, by pyshark; imported only where it is asked for.

Arguments, as a program: path, Dissection as JSON. It prints a Dissected a line.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import Any

from analyzer.data import load
from analyzer.errors import UserError
from analyzer.model.application import Dissection
from analyzer.sources.secrets import without_secrets
from analyzer.sources.tshark import tshark

OPTION = "--app"
_LONGEST = 300
_FIELD = re.compile(r"\{(\w+)(\.\w+)?\}")


@dataclass(frozen=True, slots=True)
class Dissected:
    """A message; ``frame`` counts from 1, ``port`` is the sender's."""

    frame: int
    port: int
    layer: str
    kind: str
    text: str


def dissect(path: Path, wanted: Dissection) -> Iterator[Dissected]:
    """The messages of a capture, in its order. Raises UserError where tshark is missing or fails.

    In a process of its own: pyshark replaces what asyncio knows of child processes, for all of its process.
    """
    tshark(OPTION)
    with (
        _reachable(wanted) as reachable,
        TemporaryFile("w+") as errors,
        subprocess.Popen(  # noqa: S603 - no shell
            _command(path, reachable), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as child,
    ):
        try:
            for line in child.stdout or ():
                yield Dissected(**json.loads(line))
        except BaseException:
            child.kill()  # nobody waits for the rest
            raise
        if child.wait():
            errors.seek(0)
            said = errors.read().strip().splitlines() or ["it ended without a word"]
            raise UserError("tshark-failed", OPTION, f"tshark failed: {said[-1]}")


def _command(path: Path, wanted: Dissection) -> list[str]:
    return [sys.executable, "-m", __name__, str(path), json.dumps(asdict(wanted))]


@contextmanager
def _reachable(wanted: Dissection) -> Iterator[Dissection]:
    """With secrets that another process can read: a pipe such as /dev/fd/63 is this process's alone."""
    if not wanted.keylog or not Path(wanted.keylog).is_fifo():
        yield wanted
        return
    with NamedTemporaryFile() as secrets:  # its owner alone may read it
        secrets.write(Path(wanted.keylog).read_bytes())
        secrets.flush()
        yield replace(wanted, keylog=secrets.name)


def _messages(path: str, wanted: Dissection) -> Iterator[Dissected]:
    """The same in this process. Raises what pyshark raises."""
    import pyshark

    messages: dict[str, list[dict[str, str]]] = load("applications")
    settings = {"tls.keylog_file": wanted.keylog} if wanted.keylog else None
    packets = pyshark.FileCapture(
        path, display_filter=" or ".join(messages), keep_packets=False, override_prefs=settings
    )
    try:
        for packet in packets:
            yield from _of_packet(packet, messages, show=wanted.secrets)
    finally:
        packets.close()


def _of_packet(packet: Any, messages: dict[str, list[dict[str, str]]], *, show: bool) -> Iterator[Dissected]:
    ports = [int(layer.srcport) for layer in packet.layers if layer.layer_name in ("tcp", "udp")]
    for layer in packet.layers if ports else ():
        entries = messages.get(layer.layer_name, ())
        entry = next((one for one in entries if layer.get_field(one["has"]) is not None), None)
        if entry:
            text = _line(layer, entry["text"])
            text = _cut(text if show else without_secrets(text))
            yield Dissected(int(packet.number), ports[-1], layer.layer_name, entry["kind"], text)


def _line(layer: Any, template: str) -> str:
    return " ".join(_FIELD.sub(partial(_value, layer), template).split())


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _value(layer: Any, found: re.Match[str]) -> str:
    """The field that the braces name; empty where the layer has none."""
    name, form = found.groups()
    field = layer.get_field(name)
    if field is None:
        return ""
    if form == ".names":
        return " ".join(str(one.showname_value or one.show) for one in field.all_fields)
    return str(field.showname_value if form and field.showname_value else field.show)


if __name__ == "__main__":
    for _message in _messages(sys.argv[1], Dissection(**json.loads(sys.argv[2]))):
        print(json.dumps(asdict(_message)), flush=True)
