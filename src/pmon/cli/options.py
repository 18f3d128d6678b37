"""Options of commands that are settings of the worker, too: same variable, same rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pmon.settings import SETTINGS

F = TypeVar("F", bound=Callable[..., Any])


def setting_option(field: str, help_text: str) -> Callable[[F], F]:
    """``--flag`` of this setting; its variable counts where the flag is not given."""
    setting = next(setting for setting in SETTINGS if setting.field == field)

    def parse(_context: click.Context, _parameter: click.Parameter, text: str | None) -> object:
        if text is None or not text.strip():
            return None
        try:
            return setting.parse(text.strip())
        except ValueError as error:  # the text itself may be a secret
            raise click.BadParameter(f"it {error}") from None

    return click.option(
        setting.flag,
        field,
        metavar="TEXT",
        envvar=setting.variable,
        show_envvar=True,
        callback=parse,
        help=help_text,
    )
