"""The writer of long JSON documents."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.reports.json_text import write_json

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def written(document: dict[str, Any]) -> str:
    out = io.StringIO()
    write_json(document, out)
    return out.getvalue()


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=4), _values, min_size=1, max_size=4))
def test_what_is_written_is_what_was_given(document: dict[str, Any]) -> None:
    assert json.loads(written(document)) == document


def test_items_are_made_as_they_are_written() -> None:
    items = [{"number": number} for number in range(1234)]
    text = written({"items": iter(items), "none": [], "after": 1})
    assert json.loads(text) == {"items": items, "none": [], "after": 1}
    assert len(text.splitlines()) == 1 + 1 + 1234 + 1 + 1 + 1 + 1
