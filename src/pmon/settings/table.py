"""All settings: one table drives the environment variables, the flags and their help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Literal

import durationpy
import msgspec

from pmon.durations import DAY_S, parse_duration
from pmon.settings import values

LogFormat = Literal["json", "console"]
ListenMode = Literal["auto", "always", "adaptive"]
VideoMode = Literal["auto", "always", "adaptive", "off"]
MediaTier = Literal["auto", "native", "portable"]
JobType = Literal["participant", "room"]
IdentityMode = Literal["plain", "hash"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]


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


@cache  # msgspec looks at all types anew each time, which takes milliseconds
def _struct_field(name: str) -> msgspec.structs.FieldInfo:
    return next(field for field in msgspec.structs.fields(Settings) if field.name == name)


SETTINGS: tuple[Setting, ...] = (
    Setting("url", "LIVEKIT_URL", values.url, "The LiveKit server."),
    Setting("api_key", "LIVEKIT_API_KEY", values.credential, "An API key of the LiveKit server."),
    Setting(
        "api_secret",
        "LIVEKIT_API_SECRET",
        values.credential,
        "The key's secret. Other users of the machine can see flags: prefer the variable.",
        secret=True,
    ),
    Setting(
        "connection_quality_threshold",
        "CONNECTION_QUALITY_THRESHOLD",
        values.share,
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
        values.positive_share,
        "RMS level, above 0 and up to 1, that the loudest 100 ms of a run must reach to be speech.",
    ),
    Setting(
        "enable_notifications",
        "ENABLE_NOTIFICATIONS",
        values.boolean,
        "Whether participants get notices in the room at all.",
    ),
    Setting("agent_name", "LIVEKIT_AGENT_NAME", values.name, "The name that dispatches ask for."),
    Setting(
        "job_type",
        "PMON_JOB_TYPE",
        values.one_of("participant", "room"),
        "A job for each participant, or one that watches everybody in the room.",
    ),
    Setting(
        "hidden",
        "PMON_HIDDEN",
        values.boolean,
        "Whether the monitor is a hidden agent or one that everybody in the room sees.",
    ),
    Setting(
        "opt_out",
        "PMON_OPT_OUT",
        values.boolean,
        "Whether the participant attribute pmon.monitor=off stops the monitoring.",
    ),
    Setting(
        "reconcile",
        "PMON_RECONCILE",
        values.boolean,
        "Whether participants of dispatched rooms whom nobody watches are taken up by themselves.",
    ),
    Setting(
        "media",
        "PMON_MEDIA",
        values.one_of("auto", "native", "portable"),
        "How audio comes in: auto is native where that works, which costs the least.",
    ),
    Setting(
        "listen",
        "PMON_LISTEN",
        values.one_of("auto", "always", "adaptive"),
        "Decode all microphones always, or adaptively only where there is something to hear;"
        " auto is always until the load is high.",
    ),
    Setting(
        "video",
        "PMON_VIDEO",
        values.one_of("auto", "always", "adaptive", "off"),
        "Look at videos always, now and then (adaptive), or never (off); auto as with PMON_LISTEN.",
    ),
    Setting(
        "workers",
        "PMON_WORKERS",
        values.workers,
        "Media processes: one for each core that pmon may use. A room stays in one of them.",
    ),
    Setting(
        "max_jobs",
        "PMON_MAX_JOBS",
        values.whole(1_000_000),
        "Refuse jobs above this many; 0 lets the load decide.",
    ),
    Setting(
        "load_threshold",
        "PMON_LOAD_THRESHOLD",
        values.positive_share,
        "The share, above 0 and up to 1, of a core or of its part of the CPU limit at which a"
        " media process is full.",
    ),
    Setting(
        "http_host",
        "PMON_HTTP_HOST",
        values.host,
        "The address that health, metrics, API and dashboard listen on.",
    ),
    Setting(
        "http_port", "PMON_HTTP_PORT", values.whole(65_535), "Their port; 0 takes any free one."
    ),
    Setting(
        "http_token",
        "PMON_HTTP_TOKEN",
        values.token,
        "Opens metrics, API and dashboard, also beyond this machine; health needs none. Other"
        " users of the machine can see flags: prefer the variable.",
        secret=True,
    ),
    Setting(
        "record",
        "PMON_RECORD",
        values.folder,
        "A folder for daily files of events, one JSON object a line.",
    ),
    Setting(
        "database",
        "PMON_DATABASE",
        values.database,
        "Where the history of meetings is kept: sqlite:///file.db or"
        " postgresql://user:password@host/database.",
        secret=True,
    ),
    Setting(
        "retention_s",
        "PMON_RETENTION",
        values.retention,
        "How long record and history keep what they have; 0 or forever: until somebody deletes it.",
    ),
    Setting(
        "identity",
        "PMON_IDENTITY",
        values.one_of("plain", "hash"),
        "hash: pseudonyms stand for identities, and for the names of rooms with phone numbers, in"
        " log, record, history and webhooks.",
    ),
    Setting(
        "identity_key",
        "PMON_IDENTITY_KEY",
        values.identity_key,
        "The secret that pseudonyms are made with; the same key makes the same ones.",
        secret=True,
    ),
    Setting(
        "webhook_url",
        "PMON_WEBHOOK_URL",
        values.webhook_url,
        "Where each event is posted, shaped and signed as LiveKit's own webhooks are.",
        secret=True,
    ),
    Setting(
        "webhook_events",
        "PMON_WEBHOOK_EVENTS",
        values.event_types,
        "The types of events to post, with commas; all if unset.",
    ),
    Setting(
        "state_dir",
        "PMON_STATE_DIR",
        values.folder,
        "A folder where what is not delivered yet outlives the worker; in memory if unset.",
    ),
    Setting(
        "trace",
        "PMON_TRACE",
        values.folder,
        "A folder for traces, from which pmon analyze --replay tells the events of a room again:"
        " identities and attributes are in them, no audio. For looking into a fault.",
    ),
    Setting("log_format", "PMON_LOG_FORMAT", values.one_of("json", "console"), "json or console."),
    Setting(
        "log_level",
        "LIVEKIT_LOG_LEVEL",
        values.one_of("debug", "info", "warning", "error", "critical", warn="warning"),
        "debug, info, warning, error or critical.",
    ),
    Setting(
        "max_rss",
        "PMON_MAX_RSS",
        values.size,
        "A media process with more resident memory than this is replaced by another one.",
    ),
    Setting(
        "drain_timeout_s",
        "PMON_DRAIN_TIMEOUT",
        values.drain_timeout,
        "How long a worker that is told to stop may take to end its sessions.",
    ),
)
