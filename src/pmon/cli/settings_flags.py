"""The settings as flags of a command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from pmon.settings import SETTINGS, Setting, Settings, SettingsError, load_settings

F = TypeVar("F", bound=Callable[..., Any])

EXIT_SETTINGS = 2
SERVER = ("url", "api_key", "api_secret")
"""What says which server it is, and how to sign for it."""


def _option(setting: Setting) -> click.Option:
    """The flag of a setting.

    Values stay text, and click does not read the environment: ``load_settings`` checks all of
    them at once, wherever they come from.
    """
    default = "required" if setting.required else f"default: {setting.default or 'unset'}"
    return click.Option(
        [setting.flag, setting.field],
        metavar="TEXT",
        help=f"{setting.help} [{setting.variable}, {default}]",
    )


def setting_options(*fields: str) -> list[click.Parameter]:
    """The flags of these settings; of all, if none is named."""
    return [_option(s) for s in SETTINGS if not fields or s.field in fields]


def settings_of(flags: Mapping[str, str | None]) -> Settings:
    """Settings from the flags over the environment. Raises SettingsError."""
    given = {s.variable: flags[s.field] or "" for s in SETTINGS if flags.get(s.field) is not None}
    return load_settings(os.environ, given)


def settings_or_exit(program: str, flags: Mapping[str, str | None]) -> Settings:
    """The same for a command: what is wrong is said, and the exit code is 2."""
    try:
        return settings_of(flags)
    except SettingsError as error:
        click.echo(f"{program}: {error}", err=True)
        sys.exit(EXIT_SETTINGS)


def one_setting(field: str, help_text: str) -> Callable[[F], F]:
    """A decorator for a command that needs this setting and not all that a worker does: the same
    flag, variable and rules, checked by click.
    """
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
