"""Options of the tests."""

from __future__ import annotations

import os

import pytest

pytest_plugins = ["pytester"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-snapshots",
        action="store_true",
        help="write tests/snapshots/*.txt anew instead of comparing with them",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-snapshots") and os.environ.get("CI"):
        raise pytest.UsageError("--update-snapshots is not for CI: there snapshots are compared")
