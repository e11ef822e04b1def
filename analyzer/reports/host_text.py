"""What the ends were taken for, in words."""

from __future__ import annotations

from analyzer.model.host import Host

SYSTEM_NAMES = {"linux": "Linux", "freebsd": "FreeBSD", "macos": "macOS", "windows": "Windows"}


def taken_for(hosts: tuple[Host, Host]) -> str:
    """A sentence about the systems and settings of client and server."""
    client, server = hosts
    if client == server:
        return f"Both ends are taken to run {_host(client)}."
    return f"The client is taken to run {_host(client)}, the server {_host(server)}."


def _host(host: Host) -> str:
    settings = ", ".join(f"{name}={value:g}" for name, value in host.settings)
    return f"{SYSTEM_NAMES[host.system]} with {settings or 'default settings'}"
