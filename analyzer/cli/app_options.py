"""``--app --tls-keylog --show-secrets``: what the programs of failing connections had said."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from analyzer.cli.refusals import refuse_what_is_no_file, without_effect


def app_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the three options, as its parameter ``dissection``: None where nothing is asked for."""

    @click.option("--app", is_flag=True, help="Ask tshark what the programs of failing connections had said.")
    @click.option(
        "--tls-keylog",
        "keylog",
        metavar="FILE",
        help="With the secrets in this file (SSLKEYLOGFILE) also of encrypted ones; implies --app.",
    )
    @click.option("--show-secrets", is_flag=True, help="With passwords and tokens, which are left out else.")
    @wraps(command)
    def with_dissection(
        *arguments: Any, app: bool, keylog: str | None, show_secrets: bool, **others: Any
    ) -> Any:
        if not app and not keylog:
            if show_secrets:
                raise without_effect("--show-secrets", "--app")
            return command(*arguments, dissection=None, **others)
        if keylog:
            hint = "programs write it where the variable SSLKEYLOGFILE says."
            refuse_what_is_no_file(f"--tls-keylog {keylog}", keylog, hint)
        from analyzer.model.application import Dissection

        return command(*arguments, dissection=Dissection(keylog or "", show_secrets), **others)

    return with_dissection
