"""Rows of what is kept of a flow become plain values."""

from __future__ import annotations

import numpy as np

from analyzer.model.summary import SUMMARY, summaries


def test_a_number_is_no_bool_though_both_are_equal() -> None:
    rows = np.zeros(2, SUMMARY)
    rows["reset"][0] = (False, True)
    rows["reset_ttl"][0] = (0, 1)
    rows["fin"][1] = (True, False)
    rows["payload"][1] = (1, 0)
    first, second = summaries(rows)
    assert repr(first.reset_ttl) == "(0, 1)"
    assert repr(first.reset) == "(False, True)"
    assert repr(second.payload) == "(1, 0)"
    assert repr(second.fin) == "(True, False)"
    assert repr(second.ttl) == "(0, 0)"
