"""``pmon check`` itself: one line after the other, and the exit code."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from pmon.cli.check.findings import Finding, Verdict, note, ok, show, wrong
from pmon.cli.settings_flags import EXIT_SETTINGS, setting_options, settings_of
from pmon.outputs.log import configure
from pmon.settings import SETTINGS, Settings, SettingsError, unknown_variables

OWN_MEANING = "media"
"""The setting whose flag means something else here; its variable counts all the same."""
FIELDS = [setting.field for setting in SETTINGS if setting.field != OWN_MEANING]


@click.command(params=setting_options(*FIELDS))
@click.option(
    "--media",
    "with_sound",
    is_flag=True,
    help="Also send a tone through a room made for it, to pmon's own ears. (How audio comes in is"
    " PMON_MEDIA's to say, without a flag here.)",
)
def check(with_sound: bool, **flags: str | None) -> None:
    """Say whether a worker could work here: each line is ok, or says what to do.

    Settings are taken as pmon-worker takes them. The exit code is 0 if all is well, 1 if something
    is wrong, and 2 if the settings are.
    """
    configure("console", "critical", sys.stderr)  # what goes wrong is said in the lines
    try:
        settings = settings_of(flags)
    except SettingsError as error:
        show(wrong("settings", str(error)))
        sys.exit(EXIT_SETTINGS)
    sys.exit(asyncio.run(_check(settings, with_sound)))


async def _check(settings: Settings, with_sound: bool) -> int:
    # The SDK takes a second to load: too long for --help and bad settings.
    from pmon.cli.check.machine import check_database, check_folders, check_media_path
    from pmon.cli.check.server import check_server
    from pmon.cli.check.sound import check_sound

    verdicts: list[Verdict] = []

    def say(finding: Finding) -> None:
        verdicts.append(finding.verdict)
        show(finding)

    say(_settings())
    for finding in (*check_folders(settings), *check_database(settings)):
        say(finding)
    media_path, tier = await check_media_path(settings)
    say(media_path)
    fit = await check_server(settings, say)
    if with_sound and fit:
        for finding in await check_sound(settings, tier):
            say(finding)
    elif with_sound:
        say(note("sound", "not tried, since the server is not fit for it"))
    return int("wrong" in verdicts)


def _settings() -> Finding:
    unknown = unknown_variables(os.environ)
    if unknown:
        return note("settings", f"{', '.join(unknown)}: no such variable, and ignored")
    return ok("settings", "can be used")
