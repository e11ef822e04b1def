"""Where a failure is found elsewhere: in the logs of programs, and in Wireshark."""

from __future__ import annotations

from analyzer.data import load
from analyzer.model.finding import Verdict
from analyzer.model.flow import CLIENT, Flow


def log_lines(verdict: Verdict, flow: Flow) -> list[str]:
    """What programs print for this failure, whole, so that it can be searched for."""
    table = verdict.table
    result = table.calls[table.call]
    peer = flow.server if verdict.side == CLIENT else flow.client
    entries = load("logs").get(table.call, {}).get(result, [])
    winsock = load("errno")["winsock"]["platform"]  # its texts are its own; elsewhere programs print the same
    own = winsock if verdict.platform == winsock else "linux"
    told = [entry for entry in entries if entry.get("os", "linux") == own and "protocol" not in entry]
    lines = []
    for entry in told:
        text = entry["text"].format(
            number=verdict.number,
            text=load("errno")["errno"].get(result, {"text": ""})["text"],
            address=peer.address,
            port=peer.port,
            local=flow.client if verdict.side == CLIENT else flow.server,
            n="N",
        )
        lines.append(f"{entry['program']}: {text}")
    return lines


def display_filter(flow: Flow) -> str:
    """Wireshark's display filter for the flow."""
    ip = "ip" if flow.version == 4 else "ipv6"
    addresses = f"{ip}.addr=={flow.client.address} && {ip}.addr=={flow.server.address}"
    ports = " && ".join(f"{flow.protocol}.port=={end.port}" for end in (flow.client, flow.server))
    return f"{addresses} && {ports}"
