"""Settings from the environment and from flags, or one message for all that is wrong."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping

import msgspec

from pmon.settings.table import SETTINGS, Setting, Settings, SettingsError


def load_settings(
    environ: Mapping[str, str], overrides: Mapping[str, str] | None = None
) -> Settings:
    """Settings from variables; ``overrides``, by variable name as well, win over ``environ``.

    An empty or blank value counts as unset. Raises one ``SettingsError`` for all that is missing
    or wrong.
    """
    given = ChainMap(dict(overrides or {}), dict(environ))
    values: dict[str, object] = {}
    problems: list[str] = []
    for setting in SETTINGS:
        text = given.get(setting.variable, "").strip()
        name = f"{setting.variable} ({setting.flag})"
        if text:
            try:
                values[setting.field] = setting.parse(text)
            except ValueError as error:
                problems.append(f"{name} {_shown(text, setting)}: it {error}")
        elif setting.required:
            problems.append(f"{name} is missing: {setting.help}")
    if values.get("identity") == "hash" and not given.get("PMON_IDENTITY_KEY", "").strip():
        problems.append(
            "PMON_IDENTITY_KEY (--identity-key) is missing: PMON_IDENTITY=hash needs it"
        )
    if problems:
        raise SettingsError("\n".join(["settings are missing or wrong:", *problems]))
    return msgspec.convert(values, Settings)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like pmon's and mean nothing, such as a misspelt one.

    PMON_DEBUG means something to the build only, so it is no mistake.
    """
    known = {setting.variable for setting in SETTINGS} | {"PMON_DEBUG"}
    return sorted(name for name in environ if name.startswith("PMON_") and name not in known)


def _shown(text: str, setting: Setting) -> str:
    if setting.secret or "@" in text:  # a URL with a password in it is secret, too
        return "is wrong"
    return f"is {text if len(text) <= 60 else text[:59] + '…'!r}"
