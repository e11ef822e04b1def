"""What Linux's names are on other systems."""

from __future__ import annotations

import pytest

from analyzer.data import load
from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.host import SYSTEMS
from analyzer.reports.host_text import elsewhere_text


def test_names_of_linux_are_told_for_other_systems() -> None:
    text = "ss -ltn; raise net.core.somaxconn, or set TCP_USER_TIMEOUT"
    assert elsewhere_text(text, "linux") == ""
    assert elsewhere_text("restart it", "freebsd") == ""
    assert elsewhere_text(text, "freebsd") == (
        "On FreeBSD, for net.core.somaxconn: kern.ipc.soacceptqueue; for ss -ltn: netstat -Lan (with "
        "queues). "
        "Not known of FreeBSD: TCP_USER_TIMEOUT."
    )


@pytest.mark.parametrize("name", load("elsewhere")["names"])
def test_each_name_stands_in_a_rule_and_is_known_somewhere(name: str) -> None:
    texts = [f"{rule.explanation} {rule.fix}" for rule in load_rules(rules_folder())]
    assert any(name in text for text in texts)
    there = load("elsewhere")["names"][name]
    assert there
    assert set(there) < set(SYSTEMS)
