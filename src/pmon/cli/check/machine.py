"""This machine: does the native media path work, and can the folders be written to?"""

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
