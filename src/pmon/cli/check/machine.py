"""This machine: does the native media path work, and can be written where the settings say?"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pmon.cli.check.findings import Finding, note, ok, wrong
from pmon.media import sdk, tiers
from pmon.media.portable import PortableTier
from pmon.media.tap import AudioTier
from pmon.settings import SETTINGS, Settings

FOLDERS = ("record", "state_dir", "trace")


async def check_media_path(settings: Settings) -> tuple[Finding, AudioTier]:
    """How audio would come in, and the tier that brings it."""
    if settings.media == "portable":
        sdk.quiet()
        return ok("media path", "portable, as PMON_MEDIA says"), PortableTier()
    try:
        tier = await tiers.native()
    except Exception as error:
        problem = str(error) or repr(error)
        sdk.quiet()
        found = note("media path", f"portable, which costs more: the native one fails, {problem}")
        if settings.media == "native":
            found = wrong("media path", f"PMON_MEDIA is native, which fails here: {problem}")
        return found, PortableTier()
    return ok("media path", "native: a tone came through as it was"), tier


def check_folders(settings: Settings) -> list[Finding]:
    """Of each folder that the settings name."""
    found = []
    for setting in SETTINGS:
        folder = getattr(settings, setting.field) if setting.field in FOLDERS else None
        if folder is not None:
            found.append(_folder(setting.variable, Path(folder)))
    return found


def check_database(settings: Settings) -> list[Finding]:
    """Whether the history's database answers; nothing is made or changed there."""
    if settings.database is None:
        return []
    from sqlalchemy import inspect  # an optional extra, without which the setting is refused

    from pmon.outputs.history import database

    engine = database.open_engine(settings.database, reads_only=True)
    file = database.file_of(engine)
    if file is not None and not file.exists():
        return [_folder("PMON_DATABASE", file.parent)]
    try:
        with database.told(engine, is_start=True), engine.connect() as connection:
            inspect(connection).get_table_names()
    except (database.HistoryError, database.UnavailableError) as error:
        problem = str(error).removeprefix("PMON_DATABASE (--database): ")
        return [wrong("PMON_DATABASE", f"the database cannot be used: {problem}")]
    finally:
        engine.dispose()
    return [ok("PMON_DATABASE", "the database answers")]


def _folder(name: str, folder: Path) -> Finding:
    """Nothing stays behind of the look: a folder that is not there is not made."""
    try:
        if folder.exists():
            with tempfile.TemporaryFile(dir=folder):
                pass
            return ok(name, f"{folder} can be written to")
        nearest = next(parent for parent in folder.absolute().parents if parent.exists())
    except OSError as error:
        return wrong(name, f"cannot write to {folder}: {error.strerror}")
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return ok(name, f"{folder} can be made")
    return wrong(name, f"{folder} cannot be made in {nearest}")
