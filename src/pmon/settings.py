"""The worker's settings: one table drives the environment variables, the flags and their help."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import Literal
from urllib.parse import SplitResult, urlsplit

import durationpy
import msgspec

from pmon.durations import DAY_S, parse_duration

LogFormat = Literal["json", "console"]
ListenMode = Literal["auto", "always", "adaptive"]
VideoMode = Literal["auto", "always", "adaptive", "off"]
MediaTier = Literal["auto", "native", "portable"]
JobType = Literal["participant", "room"]
IdentityMode = Literal["plain", "hash"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
EVENT_TYPES = (
    "session_started",
    "session_ended",
    "participant_connected",
    "participant_disconnected",
    "track_published",
    "track_unpublished",
    "track_muted",
    "track_unmuted",
    "speaking_started",
    "speaking_stopped",
    "connection_quality",
    "video_state",
    "issue_raised",
    "issue_updated",
    "issue_resolved",
)
"""As ``monitor.events`` has them, which stands above this."""
DATABASES = {
    "sqlite": "history",
    "sqlite+pysqlite": "history",
    "postgres": "postgres",
    "postgresql": "postgres",
    "postgresql+psycopg": "postgres",
}
"""What a history can be kept in, by the scheme of its URL, and the extra that brings it."""
SOME_DATABASE = (
    "should be sqlite:///file.db, sqlite:////absolute/file.db,"
    " or postgresql://user:password@host/database"
)
SHORTEST_TOKEN = 16


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker was told. Durations are seconds; ``SETTINGS`` says what each value means."""

    url: str = "ws://localhost:7880"
    api_key: str
    api_secret: str
    connection_quality_threshold: float = 0.5
    inactivity_timeout_s: float = 300.0
    speaking_threshold: float = 0.01
    enable_notifications: bool = True
    agent_name: str = "participant-monitor"
    job_type: JobType = "participant"
    hidden: bool = True
    opt_out: bool = True
    reconcile: bool = True
    media: MediaTier = "auto"
    listen: ListenMode = "auto"
    video: VideoMode = "auto"
    workers: int = 1
    max_jobs: int = 0
    load_threshold: float = 0.85
    http_host: str = "127.0.0.1"
    http_port: int = 8081
    http_token: str | None = None
    record: str | None = None
    database: str | None = None
    retention_s: float = 90 * DAY_S
    """0: for ever."""
    identity: IdentityMode = "plain"
    identity_key: str | None = None
    webhook_url: str | None = None
    webhook_events: frozenset[str] | None = None
    state_dir: str | None = None
    trace: str | None = None
    log_format: LogFormat = "json"
    log_level: LogLevel = "info"
    max_rss: int = 1 << 30
    drain_timeout_s: float = 15.0

    def __repr__(self) -> str:
        """Every setting but the secret, which must not reach a log or a traceback."""
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"Settings({shown})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """The same for rich, whose tracebacks print local variables."""
        secret = {setting.field for setting in SETTINGS if setting.secret}
        return [
            (name, "***" if name in secret else getattr(self, name))
            for name in self.__struct_fields__
        ]


class SettingsError(ValueError):
    """Settings that a worker cannot start with; the message names every one of them."""


@dataclass(frozen=True)
class Setting:
    """One row of the table: how a field of ``Settings`` is called outside and how it is read.

    ``parse`` turns stripped text into the field's value or raises ``ValueError`` saying what the
    text should be, without repeating it.
    """

    field: str
    variable: str
    parse: Callable[[str], object]
    help: str
    secret: bool = False

    @property
    def flag(self) -> str:
        """The command's option: the variable without its prefix."""
        name = self.variable.removeprefix("LIVEKIT_").removeprefix("PMON_")
        return "--" + name.lower().replace("_", "-")

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return _struct_field(self.field).required

    @property
    def default(self) -> str:
        """The default as one would write it, "" for none."""
        field = _struct_field(self.field)
        if field.required or field.default is None:
            return ""
        if isinstance(field.default, bool):
            return str(field.default).lower()
        if self.field == "max_rss":
            return f"{field.default >> 30}GiB"
        if self.field == "retention_s":
            return f"{field.default / DAY_S:g}d"
        if self.field.endswith("_s"):
            return str(durationpy.to_str(timedelta(seconds=field.default)))
        return str(field.default)


def _struct_field(name: str) -> msgspec.structs.FieldInfo:
    return next(field for field in msgspec.structs.fields(Settings) if field.name == name)


def _url(text: str) -> str:
    message = "should be ws://host, wss://host, http:// or https://, with an optional port and path"
    url, host = _split(text, ("ws", "wss", "http", "https"), message)
    if "@" in url.netloc or url.query or url.fragment:
        raise ValueError("should have no user, password, query or fragment")
    if not _is_host(host):
        raise ValueError("should have a valid host name or address")
    return text


def _webhook_url(text: str) -> str:
    message = "should be http://host or https://host, with an optional port, path and query"
    url, host = _split(text, ("http", "https"), message)
    if url.fragment or not _is_host(host):
        raise ValueError(message)
    return text


def _split(text: str, schemes: tuple[str, ...], message: str) -> tuple[SplitResult, str]:
    """The parts of a URL with one of these schemes, and its host, which is not looked at."""
    if not text.isprintable() or " " in text:
        raise ValueError(message)
    try:
        url = urlsplit(text)
        port_is_fine = url.port is None or url.port > 0
    except ValueError:
        raise ValueError(message) from None
    if url.scheme not in schemes or not url.hostname or not port_is_fine:
        raise ValueError(message)
    return url, url.hostname


def _database(text: str) -> str:
    scheme = text.partition(":")[0]
    if scheme not in DATABASES:
        raise ValueError(SOME_DATABASE)
    extra = DATABASES[scheme]
    needed = ["sqlalchemy", "alembic", *(["psycopg"] if extra == "postgres" else [])]
    if any(find_spec(module) is None for module in needed):
        raise ValueError(f"needs an extra: pip install 'pmon-livekit[{extra}]'")
    names_file = re.fullmatch(r"[a-z+]+:///[^?#:][^?#]*", text) is not None
    is_whole = names_file if extra == "history" else _is_database_url(text)
    if not text.isprintable() or not is_whole:
        raise ValueError(SOME_DATABASE)
    return text


def _is_database_url(text: str) -> bool:
    from sqlalchemy import exc, make_url  # an optional extra, and not for those who need none

    try:
        url = make_url(text)
    except (exc.ArgumentError, ValueError):
        return False
    return bool(url.database)


def _retention(text: str) -> float:
    if text.lower() == "forever":
        return 0.0
    seconds = parse_duration(text, zero=True, longest_s=36_500 * DAY_S)
    if 0.0 < seconds < DAY_S:  # 90m would not be three months
        raise ValueError("should be 1d or more, such as 90d, or forever")
    return seconds


def _identity_key(text: str) -> str:
    if not text.isprintable() or " " in text or len(text) < 16:
        raise ValueError("should be one word of 16 characters or more, which nobody can guess")
    return text


def _event_types(text: str) -> frozenset[str]:
    types = frozenset(word.strip().lower() for word in text.split(","))
    unknown = sorted(types - set(EVENT_TYPES))
    if unknown:
        raise ValueError("should be some of " + ", ".join(EVENT_TYPES) + ", with commas")
    return types


def _is_host(text: str) -> bool:
    """An IPv6 address, or a name or IPv4 address whose labels the resolver can take."""
    if ":" in text:
        return re.fullmatch(r"[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9._-]{1,32})?", text) is not None
    label = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    return len(text) <= 253 and re.fullmatch(rf"{label}(\.{label})*\.?", text) is not None


def _credential(text: str) -> str:
    if not text.isprintable() or " " in text:
        raise ValueError("should be one word without spaces or control characters")
    return text


def _token(text: str) -> str:
    if len(_credential(text)) < SHORTEST_TOKEN:
        raise ValueError(f"should have at least {SHORTEST_TOKEN} characters, for nobody to guess")
    return text


def _name(text: str) -> str:
    if not text.isprintable() or len(text) > 128:
        raise ValueError("should be at most 128 printable characters")
    return text


def _folder(text: str) -> str:
    if not text.isprintable():
        raise ValueError("should be the path of a folder")
    return text


def _host(text: str) -> str:
    if not _is_host(text):
        raise ValueError("should be an address or a host name such as 127.0.0.1")
    return text


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "yes": True, "on": True}
    values |= {"false": False, "0": False, "no": False, "off": False}
    if text.lower() not in values:
        raise ValueError("should be true or false (or 1, 0, yes, no, on, off)")
    return values[text.lower()]


def _share(text: str) -> float:
    value = _number(text)
    if value is None or not 0 <= value <= 1:
        raise ValueError("should be a number from 0 to 1")
    return value


def _positive_share(text: str) -> float:
    value = _number(text)
    if value is None or not 0 < value <= 1:
        raise ValueError("should be a number above 0 and up to 1")
    return value


def _number(text: str) -> float | None:
    # float() alone also takes "nan", "inf" and "1_0".
    plain = re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text)
    return float(text) if plain else None


def _whole(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > most:
            raise ValueError(f"should be a whole number from 0 to {most}")
        return int(text)

    return parse


def _workers(text: str) -> int:
    count = _whole(64)(text)
    if count == 0:
        raise ValueError("should be a whole number from 1 to 64")
    return count


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,9})(B|KiB|MiB|GiB)", text)
    size = int(found[1]) << {"B": 0, "KiB": 10, "MiB": 20, "GiB": 30}[found[2]] if found else 0
    if size < 1 << 20:
        raise ValueError("should be a size from 1MiB on, such as 512MiB or 1GiB")
    return size


def _one_of(*words: str, **also: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        word = also.get(text.lower(), text.lower())
        if word not in words:
            raise ValueError("should be one of " + ", ".join(words))
        return word

    return parse


def _drain_timeout(text: str) -> float:
    return parse_duration(text, zero=True, longest_s=DAY_S)


SETTINGS: tuple[Setting, ...] = (
    Setting("url", "LIVEKIT_URL", _url, "The LiveKit server."),
    Setting("api_key", "LIVEKIT_API_KEY", _credential, "An API key of the LiveKit server."),
    Setting(
        "api_secret",
        "LIVEKIT_API_SECRET",
        _credential,
        "The key's secret. Other users of the machine can see flags: prefer the variable.",
        secret=True,
    ),
    Setting(
        "connection_quality_threshold",
        "CONNECTION_QUALITY_THRESHOLD",
        _share,
        "Score from 0 to 1 under which a connection is poor"
        " (excellent 1, good 0.66, poor 0.33, lost 0).",
    ),
    Setting(
        "inactivity_timeout_s",
        "INACTIVITY_TIMEOUT",
        parse_duration,
        "How long a participant may be missing, before or after joining, until the job ends.",
    ),
    Setting(
        "speaking_threshold",
        "SPEAKING_THRESHOLD",
        _positive_share,
        "RMS level, above 0 and up to 1, that the loudest 100 ms of a run must reach to be speech.",
    ),
    Setting(
        "enable_notifications",
        "ENABLE_NOTIFICATIONS",
        _boolean,
        "Whether participants get notices in the room at all.",
    ),
    Setting("agent_name", "LIVEKIT_AGENT_NAME", _name, "The name that dispatches ask for."),
    Setting(
        "job_type",
        "PMON_JOB_TYPE",
        _one_of("participant", "room"),
        "A job for each participant, or one that watches everybody in the room.",
    ),
    Setting(
        "hidden",
        "PMON_HIDDEN",
        _boolean,
        "Whether the monitor is a hidden agent or one that everybody in the room sees.",
    ),
    Setting(
        "opt_out",
        "PMON_OPT_OUT",
        _boolean,
        "Whether the participant attribute pmon.monitor=off stops the monitoring.",
    ),
    Setting(
        "reconcile",
        "PMON_RECONCILE",
        _boolean,
        "Whether participants of dispatched rooms whom nobody watches are taken up by themselves.",
    ),
    Setting(
        "media",
        "PMON_MEDIA",
        _one_of("auto", "native", "portable"),
        "How audio comes in: auto is native where that works, which costs the least.",
    ),
    Setting(
        "listen",
        "PMON_LISTEN",
        _one_of("auto", "always", "adaptive"),
        "Decode all microphones always, or adaptively only where there is something to hear;"
        " auto is always until the load is high.",
    ),
    Setting(
        "video",
        "PMON_VIDEO",
        _one_of("auto", "always", "adaptive", "off"),
        "Look at videos always, now and then (adaptive), or never (off); auto as with PMON_LISTEN.",
    ),
    Setting(
        "workers",
        "PMON_WORKERS",
        _workers,
        "Media processes: one for each core that pmon may use. A room stays in one of them.",
    ),
    Setting(
        "max_jobs",
        "PMON_MAX_JOBS",
        _whole(1_000_000),
        "Refuse jobs above this many; 0 lets the load decide.",
    ),
    Setting(
        "load_threshold",
        "PMON_LOAD_THRESHOLD",
        _positive_share,
        "The share, above 0 and up to 1, of a core or of its part of the CPU limit at which a"
        " media process is full.",
    ),
    Setting(
        "http_host",
        "PMON_HTTP_HOST",
        _host,
        "The address that health, metrics, API and dashboard listen on.",
    ),
    Setting("http_port", "PMON_HTTP_PORT", _whole(65_535), "Their port; 0 takes any free one."),
    Setting(
        "http_token",
        "PMON_HTTP_TOKEN",
        _token,
        "Opens metrics, API and dashboard, also beyond this machine; health needs none. Other"
        " users of the machine can see flags: prefer the variable.",
        secret=True,
    ),
    Setting(
        "record",
        "PMON_RECORD",
        _folder,
        "A folder for daily files of events, one JSON object a line.",
    ),
    Setting(
        "database",
        "PMON_DATABASE",
        _database,
        "Where the history of meetings is kept: sqlite:///file.db or"
        " postgresql://user:password@host/database.",
        secret=True,
    ),
    Setting(
        "retention_s",
        "PMON_RETENTION",
        _retention,
        "How long record and history keep what they have; 0 or forever: until somebody deletes it.",
    ),
    Setting(
        "identity",
        "PMON_IDENTITY",
        _one_of("plain", "hash"),
        "hash: pseudonyms stand for identities, and for the names of rooms with phone numbers, in"
        " log, record, history and webhooks.",
    ),
    Setting(
        "identity_key",
        "PMON_IDENTITY_KEY",
        _identity_key,
        "The secret that pseudonyms are made with; the same key makes the same ones.",
        secret=True,
    ),
    Setting(
        "webhook_url",
        "PMON_WEBHOOK_URL",
        _webhook_url,
        "Where each event is posted, shaped and signed as LiveKit's own webhooks are.",
        secret=True,
    ),
    Setting(
        "webhook_events",
        "PMON_WEBHOOK_EVENTS",
        _event_types,
        "The types of events to post, with commas; all if unset.",
    ),
    Setting(
        "state_dir",
        "PMON_STATE_DIR",
        _folder,
        "A folder where what is not delivered yet outlives the worker; in memory if unset.",
    ),
    Setting(
        "trace",
        "PMON_TRACE",
        _folder,
        "A folder for traces, from which pmon analyze --replay tells the events of a room again:"
        " identities and attributes are in them, no audio. For looking into a fault.",
    ),
    Setting("log_format", "PMON_LOG_FORMAT", _one_of("json", "console"), "json or console."),
    Setting(
        "log_level",
        "LIVEKIT_LOG_LEVEL",
        _one_of("debug", "info", "warning", "error", "critical", warn="warning"),
        "debug, info, warning, error or critical.",
    ),
    Setting(
        "max_rss",
        "PMON_MAX_RSS",
        _bytes,
        "A media process with more resident memory than this is replaced by another one.",
    ),
    Setting(
        "drain_timeout_s",
        "PMON_DRAIN_TIMEOUT",
        _drain_timeout,
        "How long a worker that is told to stop may take to end its sessions.",
    ),
)


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
