"""One input of the fuzzer: an environment and a command line, which make settings or an error.

The input is lines: ``NAME=value`` is a variable, ``--flag=value`` stands on the command line.
"""

from __future__ import annotations

from inspect import getsource

from pmon.settings import SETTINGS, SettingsError, load_settings, table, unknown_variables, values

BY_NAME = {name: s for s in SETTINGS for name in (s.variable, s.flag)}
SECRETS = [setting for setting in SETTINGS if setting.secret]
OUR_WORDS = getsource(table) + getsource(values)
"""What an error says by itself is no secret, though somebody may have taken it for one."""
SHORTEST_SECRET = 8
"""A shorter one may stand in any sentence."""


def one(data: bytes) -> None:
    environ: dict[str, str] = {}
    flags: dict[str, str] = {}
    # As Python decodes variables and arguments that are not UTF-8.
    for line in data.decode(errors="surrogateescape").split("\n"):
        name, _, value = line.partition("=")
        if name.startswith("--") and name in BY_NAME:
            flags[BY_NAME[name].variable] = value
        else:
            environ[name] = value
    unknown_variables(environ)
    given = {**environ, **flags}
    secrets = {given.get(s.variable, "").strip() for s in SECRETS}
    try:
        settings = load_settings(environ, flags)
    except SettingsError as error:
        check_error(str(error), secrets)
        return
    shown = repr(settings)
    told = {repr(getattr(settings, s.field)) for s in SETTINGS if not s.secret}
    for secret in secrets:
        may_stand_there = len(secret) < SHORTEST_SECRET or any(secret in text for text in told)
        assert may_stand_there or secret not in shown, "settings show a secret"


def check_error(message: str, secrets: set[str]) -> None:
    _, *problems = message.split("\n")
    assert problems, "an error says nothing"
    for problem in problems:
        assert problem.split(" ", 1)[0] in BY_NAME, "a problem names its variable"
        assert problem.isprintable()
        assert len(problem) < 1000
    for secret in secrets:
        ours = len(secret) < SHORTEST_SECRET or secret in OUR_WORDS
        assert ours or secret not in message or stands_elsewhere(secret, problems)


def stands_elsewhere(secret: str, problems: list[str]) -> bool:
    """Whether it is also the value of something that is no secret."""
    names = {setting.variable for setting in SECRETS}
    return not any(secret in p for p in problems if p.split(" ", 1)[0] in names)
