"""The scenarios: what the two programs do, and what happens to their connection."""

from . import (
    basic,
    datagrams,
    end_of_file,
    files,
    forged,
    handshakes,
    many,
    messages,
    paths,
    patience,
    ports,
    proxied,
    queues,
    restarts,
    seen_twice,
    tunnels,
    windows,
)
from .registry import SCENARIOS, Scenario

__all__ = [
    "SCENARIOS",
    "Scenario",
    "basic",
    "datagrams",
    "end_of_file",
    "files",
    "forged",
    "handshakes",
    "many",
    "messages",
    "paths",
    "patience",
    "ports",
    "proxied",
    "queues",
    "restarts",
    "seen_twice",
    "tunnels",
    "windows",
]
