"""From what both ends said to what a rule may know of it."""

from __future__ import annotations

from dataclasses import asdict, replace

from analyzer.messages.dns import read_dns
from analyzer.messages.facts import Facts
from analyzer.messages.http import inside, is_http, read_http
from analyzer.messages.http2 import is_http2, read_http2
from analyzer.messages.languages import read_language
from analyzer.messages.reset import reset_says
from analyzer.messages.tls import farewell, is_tls, read_tls
from analyzer.model.event import UNREAD, MessageView
from analyzer.model.talk import Talk


def read(talk: Talk) -> MessageView:
    """The facts; of a language that is not known, whether the server's last words answer the client's."""
    says = reset_says(talk.reset)
    if not talk.placed:
        return replace(UNREAD, reset_says=says)
    facts = _facts(talk)
    cut_short = talk.cut and facts.answer == "unknown"
    if facts.answer == "unknown" and talk.server.total and 0 < talk.client.total <= talk.server.heard:
        facts = Facts(**{**asdict(facts), "answer": "complete", "because": "answered"})
    return MessageView(
        **asdict(facts),
        lacks=_lacks(facts),
        server_asks=talk.server_first,
        told=_told(facts),
        farewell=farewell(talk.client),
        reset_says=says,
        read=True,
        cut_short=cut_short,
    )


def _lacks(facts: Facts) -> str:
    if facts.answer != "cut":
        return ""
    if facts.missing == 1:
        return "The last byte of the answer is missing."
    return f"{facts.missing:,} bytes of the answer are missing." if facts.missing else "Its rest is missing."


def _told(facts: Facts) -> str:
    if facts.request:
        return f"The request: {facts.request}."
    if facts.protocol == "tls":
        name = f", server name {facts.server_name}" if facts.server_name else ""
        alert = f"; alert of the {facts.alert_from}: {facts.alert}" if facts.alert else ""
        return f"TLS{name}{alert}."
    return "" if facts.protocol == "unknown" else f"The protocol: {facts.protocol}."


def _facts(talk: Talk) -> Facts:
    if talk.datagrams:
        return read_dns(talk)
    if is_tls(talk):
        return read_tls(talk)
    if is_http2(talk):
        return read_http2(talk)
    if is_http(talk):
        tunnelled = inside(talk)
        facts = _facts(tunnelled) if tunnelled else Facts("unknown")
        return read_http(talk) if facts.protocol == "unknown" else facts
    return read_language(talk) or Facts("unknown")
