"""The worker's settings."""

from pmon.settings.load import load_settings, unknown_variables
from pmon.settings.table import (
    SETTINGS,
    IdentityMode,
    JobType,
    ListenMode,
    LogFormat,
    MediaTier,
    Setting,
    Settings,
    SettingsError,
    VideoMode,
)
from pmon.settings.values import EVENT_TYPES

__all__ = [
    "EVENT_TYPES",
    "SETTINGS",
    "IdentityMode",
    "JobType",
    "ListenMode",
    "LogFormat",
    "MediaTier",
    "Setting",
    "Settings",
    "SettingsError",
    "VideoMode",
    "load_settings",
    "unknown_variables",
]
