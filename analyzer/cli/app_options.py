"""``--app --tls-keylog --show-secrets``: what the programs of failing connections had said."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click


def app_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the three options, as its parameter ``dissection``: None where nothing is asked for."""

    @click.option("--app", is_flag=True, help="Ask tshark what the programs of failing connections had said.")
    @click.option(
        "--tls-keylog",
        "keylog",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, readable=True),
        help="With the secrets in this file (SSLKEYLOGFILE) also of encrypted ones; implies --app.",
    )
    @click.option("--show-secrets", is_flag=True, help="With passwords and tokens, which are left out else.")
    @wraps(command)
    def with_dissection(
        *arguments: Any, app: bool, keylog: str | None, show_secrets: bool, **others: Any
    ) -> Any:
        if not app and not keylog:
            return command(*arguments, dissection=None, **others)
        from analyzer.model.application import Dissection

        return command(*arguments, dissection=Dissection(keylog or "", show_secrets), **others)

    return with_dissection
