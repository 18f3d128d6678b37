"""Settings: what is refused, how it is told, and that nothing is ignored in silence."""

from __future__ import annotations

from importlib.util import find_spec
from typing import get_args

import pytest
from rich.pretty import pretty_repr

from pmon.durations import parse_duration
from pmon.monitor import events
from pmon.settings import (
    EVENT_TYPES,
    SETTINGS,
    Settings,
    SettingsError,
    load_settings,
    unknown_variables,
)

KEYS = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "hush-hush"}

BAD = {
    "LIVEKIT_URL": ["localhost:7880", "ftp://host", "ws://", "ws://a b", "ws://host:0", "ws://h:99999",
                    "wss://user:pass@host", "ws://host?x=1", "ws://[::1"],
    "LIVEKIT_API_KEY": ["two words", "a\nb"],
    "LIVEKIT_API_SECRET": ["two words", "a\tb"],
    "CONNECTION_QUALITY_THRESHOLD": ["1.01", "-0.1", "nan", "inf", "half", "1_0", "0x1", "\u0660"],
    "INACTIVITY_TIMEOUT": ["5", "0", "0s", "-5m", "5 minutes", "5m foo 1s", "5M", "1.2.3s", "1mm",
                           "31d", "9" * 400 + "h", "+5m"],
    "SPEAKING_THRESHOLD": ["0", "1.5", "-1", "nan", "loud"],
    "ENABLE_NOTIFICATIONS": ["2", "maybe", "enabled", "t"],
    "LIVEKIT_AGENT_NAME": ["a\x1b[31mb", "x" * 129],
    "PMON_JOB_TYPE": ["publisher", "JT_ROOM", "rooms"],
    "PMON_HIDDEN": ["hidden"],
    "PMON_OPT_OUT": ["None"],
    "PMON_RECONCILE": ["perhaps"],
    "PMON_MEDIA": ["alsa", "natives"],
    "PMON_LISTEN": ["off", "sometimes"],
    "PMON_VIDEO": ["on"],
    "PMON_WORKERS": ["0", "-1", "65", "two"],
    "PMON_MAX_RSS": ["0", "1GB", "512", "1KiB", "-1MiB", "1 GiB"],
    "PMON_MAX_JOBS": ["-1", "1.5", "many", "\u0663", "9999999"],
    "PMON_LOAD_THRESHOLD": ["0", "1.1", "nan"],
    "PMON_HTTP_HOST": ["http://host", "a b", "host/path", "a..b", ".", "a" * 64, "-x"],
    "PMON_HTTP_PORT": ["65536", "-1", "http", "8_0"],
    "PMON_HTTP_TOKEN": ["fifteen-letters", "many words and no token"],
    "PMON_RECORD": ["a\x00b"],
    "PMON_DATABASE": ["mysql://host/db", "history.db", "sqlite://", "sqlite:///:memory:",
                      "sqlite:///a.db?mode=ro", "postgresql://host", "postgresql://h:port/db",
                      "postgresql+asyncpg://host/db", "sqlite:///a\x1bb"],
    "PMON_RETENTION": ["90", "-1d", "90m", "1ms", "for ever", "40000d"],
    "PMON_IDENTITY": ["secret", "sha256"],
    "PMON_IDENTITY_KEY": ["too-short", "two words of some length", "a\tb" * 8],
    "PMON_WEBHOOK_URL": ["host/hook", "ftp://host", "http://", "http://a b", "http://h:0",
                         "http://host/#part"],
    "PMON_WEBHOOK_EVENTS": ["speaking", "issue_raised;issue_resolved", ","],
    "PMON_STATE_DIR": ["a\x00b"],
    "PMON_TRACE": ["a\x00b"],
    "PMON_LOG_FORMAT": ["xml", "colored"],
    "LIVEKIT_LOG_LEVEL": ["loud", "trace"],
    "PMON_DRAIN_TIMEOUT": ["15", "-1s", "25h"],
}  # fmt: skip

GOOD = [
    ("LIVEKIT_URL", " wss://livekit.example.com/path ", "url", "wss://livekit.example.com/path"),
    ("CONNECTION_QUALITY_THRESHOLD", "0", "connection_quality_threshold", 0.0),
    ("CONNECTION_QUALITY_THRESHOLD", "1", "connection_quality_threshold", 1.0),
    ("INACTIVITY_TIMEOUT", "1h30m", "inactivity_timeout_s", 5400.0),
    ("INACTIVITY_TIMEOUT", "1.5s", "inactivity_timeout_s", 1.5),
    ("SPEAKING_THRESHOLD", "5e-3", "speaking_threshold", 0.005),
    ("ENABLE_NOTIFICATIONS", "OFF", "enable_notifications", False),
    ("ENABLE_NOTIFICATIONS", "Yes", "enable_notifications", True),
    ("PMON_JOB_TYPE", "Room", "job_type", "room"),
    ("PMON_HTTP_HOST", "::1", "http_host", "::1"),
    ("PMON_HTTP_PORT", "0", "http_port", 0),
    ("PMON_HTTP_TOKEN", "sixteen-letters!", "http_token", "sixteen-letters!"),
    ("LIVEKIT_LOG_LEVEL", "WARN", "log_level", "warning"),
    ("PMON_DRAIN_TIMEOUT", "0", "drain_timeout_s", 0.0),
    ("PMON_RECORD", "/var/lib/pmon", "record", "/var/lib/pmon"),
    ("PMON_DATABASE", "sqlite:///h.db", "database", "sqlite:///h.db"),
    ("PMON_DATABASE", "sqlite:////var/lib/h.db", "database", "sqlite:////var/lib/h.db"),
    ("PMON_DATABASE", "postgresql://u:p@h:5432/d", "database", "postgresql://u:p@h:5432/d"),
    ("PMON_RETENTION", "30d", "retention_s", 30 * 86_400.0),
    ("PMON_RETENTION", "36h", "retention_s", 36 * 3600.0),
    ("PMON_RETENTION", "0", "retention_s", 0.0),
    ("PMON_RETENTION", "Forever", "retention_s", 0.0),
    ("PMON_TRACE", "traces", "trace", "traces"),
    ("PMON_STATE_DIR", "/var/lib/pmon", "state_dir", "/var/lib/pmon"),
    ("PMON_WEBHOOK_URL", "https://h/p?token=x", "webhook_url", "https://h/p?token=x"),
    (
        "PMON_WEBHOOK_EVENTS",
        "Issue_Raised, issue_resolved",
        "webhook_events",
        frozenset({"issue_raised", "issue_resolved"}),
    ),
]


@pytest.mark.parametrize(
    ("variable", "text"), [(name, text) for name, texts in BAD.items() for text in texts]
)
def test_a_bad_value_is_refused_by_name(variable: str, text: str) -> None:
    """A bad value that fell back to the default would be noticed in production at best."""
    with pytest.raises(SettingsError) as caught:
        load_settings({**KEYS, variable: text})
    assert variable in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2  # the others are fine


def test_every_setting_that_can_be_bad_has_a_bad_example() -> None:
    assert set(BAD) == {setting.variable for setting in SETTINGS}


def test_one_message_names_everything_bad_and_missing() -> None:
    """Otherwise one fixes a setting, starts, and is told of the next."""
    environ = {variable: texts[0] for variable, texts in BAD.items()}
    del environ["LIVEKIT_API_KEY"]
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    lines = str(caught.value).splitlines()[1:]
    assert [line.split()[0] for line in lines] == [setting.variable for setting in SETTINGS]
    assert "LIVEKIT_API_KEY (--api-key) is missing" in str(caught.value)


def test_the_message_says_what_is_there_and_what_should_be() -> None:
    with pytest.raises(SettingsError, match=r"PMON_HTTP_PORT .* is '70000': it should be a whole"):
        load_settings({**KEYS, "PMON_HTTP_PORT": "70000"})


@pytest.mark.parametrize(
    ("variable", "text", "secret"),
    [
        ("LIVEKIT_API_SECRET", "my secret", "my secret"),
        ("LIVEKIT_URL", "wss://user:hunter2@host", "hunter2"),
        ("PMON_DATABASE", "postgresql://user:hunter2@host:port/db", "hunter2"),
        ("PMON_IDENTITY_KEY", "hunter2", "hunter2"),
        ("PMON_HTTP_TOKEN", "hunter2", "hunter2"),
        ("PMON_WEBHOOK_URL", "ftp://host/hunter2", "hunter2"),
    ],
)
def test_a_refused_secret_is_not_shown(variable: str, text: str, secret: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({**KEYS, variable: text})
    assert secret not in str(caught.value)


def test_a_refused_value_is_shown_short_and_on_one_line() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({**KEYS, "PMON_RECORD": "x\n" * 10_000})
    assert len(str(caught.value)) < 300
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(("variable", "text", "field", "value"), GOOD)
def test_a_good_value_is_decoded(variable: str, text: str, field: str, value: object) -> None:
    found = getattr(load_settings({**KEYS, variable: text}), field)
    assert found == value
    assert type(found) is type(value)


def test_empty_means_unset() -> None:
    """Compose files and unit files pass variables that were left empty."""
    empty = {setting.variable: " " for setting in SETTINGS}
    assert load_settings({**empty, **KEYS}) == load_settings(KEYS)


def test_flags_win_over_variables() -> None:
    environ = {**KEYS, "PMON_HTTP_PORT": "1"}
    assert load_settings(environ, {"PMON_HTTP_PORT": "2"}).http_port == 2


def test_a_bad_variable_that_a_flag_overrides_is_no_problem() -> None:
    environ = {**KEYS, "PMON_HTTP_PORT": "bad"}
    assert load_settings(environ, {"PMON_HTTP_PORT": "2"}).http_port == 2


def test_every_field_stands_in_the_table_with_its_default() -> None:
    """A field without a row could never be set; a row with another default would lie."""
    assert tuple(setting.field for setting in SETTINGS) == Settings.__struct_fields__
    defaults = load_settings(KEYS)
    for setting in SETTINGS:
        if setting.default:
            assert setting.parse(setting.default) == getattr(defaults, setting.field)


def test_pseudonyms_need_a_key() -> None:
    """Without one anybody could hash a list of phone numbers and compare."""
    with pytest.raises(SettingsError, match=r"PMON_IDENTITY_KEY .* is missing"):
        load_settings({**KEYS, "PMON_IDENTITY": "hash"})
    key = "k" * 16
    settings = load_settings({**KEYS, "PMON_IDENTITY": "hash", "PMON_IDENTITY_KEY": key})
    assert settings.identity_key == key
    assert key not in repr(settings)


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("sqlite:///h.db", "sqlalchemy", "history"),
        ("sqlite:///h.db", "alembic", "history"),
        ("postgresql://h/d", "psycopg", "postgres"),
    ],
)
def test_a_missing_extra_names_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, extra: str
) -> None:
    def without(name: str) -> object:
        return None if name == module else find_spec(name)

    monkeypatch.setattr("pmon.settings.values.find_spec", without)
    with pytest.raises(SettingsError, match=rf"pip install 'pmon-livekit\[{extra}\]'"):
        load_settings({**KEYS, "PMON_DATABASE": url})


@pytest.mark.parametrize("show", [repr, str, "{}".format, pretty_repr])
def test_the_secret_is_not_printed(show: object) -> None:
    """Settings land in tracebacks and debug lines; rich takes another way than repr."""
    assert callable(show)
    shown = show(load_settings(KEYS))
    assert "hush-hush" not in shown
    assert "http_port=8081" in shown


def test_misspelt_variables_are_found() -> None:
    environ = {"PMON_RECORDS": "x", "PMON_RECORD": "y", "PMON_DEBUG": "1", "HOME": "/"}
    assert unknown_variables(environ) == ["PMON_RECORDS"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300ms", 0.3), ("1h30m", 5400.0), (".5s", 0.5), ("2d", 172_800.0), ("1500us", 0.0015)],
)
def test_durations_are_go_style(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


def test_the_types_of_events_are_those_that_there_are() -> None:
    types = {event.__struct_config__.tag for event in get_args(events.AnyEvent)}
    assert set(EVENT_TYPES) == types
