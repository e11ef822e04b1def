"""What all tests of sources share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def frames_of_1970() -> Iterator[None]:
    """The frames that these tests make are of 1970, which the sources would always say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analyzer.sources.clock.EARLIEST", 0)
        yield
