"""A job's metadata: the JSON that stands in its dispatch.

Whoever may create a dispatch writes it, so it is untrusted: bounded in size, refused by key path
when a value has the wrong type or range, and no error repeats a value.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

import msgspec

from pmon.durations import parse_duration

MAX_BYTES = 64 * 1024

MonitoringType = Literal["full", "audio", "video", "connection"]
Recipients = Literal["others", "participant", "all", "none"]
Alert = Literal[
    "welcome",
    "speaking_alerts",
    "quality_alerts",
    "video_alerts",
    "mic_alerts",
    "talk_time_alerts",
]

_LabelName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_LabelValue = Annotated[str, msgspec.Meta(max_length=256)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Rms = Annotated[float, msgspec.Meta(gt=0, le=1)]


class MetadataError(ValueError):
    """Metadata that cannot be used; ``key`` is the dotted path, "" for the document itself."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key or 'metadata'} {problem}")
        self.key = key


class RecipientsByAlert(msgspec.Struct, frozen=True, kw_only=True):
    """Recipients when each alert has its own."""

    welcome: Recipients = "participant"
    speaking_alerts: Recipients = "others"
    quality_alerts: Recipients = "others"
    video_alerts: Recipients = "others"
    mic_alerts: Recipients = "others"
    talk_time_alerts: Recipients = "others"


class NotificationPreferences(msgspec.Struct, frozen=True, kw_only=True):
    """Which in-room notices a job wants, and who gets them; docs/notices.md says what they are."""

    welcome: bool = True
    speaking_alerts: bool = True
    quality_alerts: bool = True
    video_alerts: bool = True
    mic_alerts: bool = True
    talk_time_alerts: bool = False
    recipients: Recipients | RecipientsByAlert = "others"

    def recipients_of(self, alert: Alert) -> Recipients:
        """Who gets this alert, "none" when it is switched off.

        The welcome tells the participant that they are monitored, so one word for all alerts
        does not redirect it; only a map that names ``welcome`` does.
        """
        if not getattr(self, alert):
            return "none"
        if isinstance(self.recipients, RecipientsByAlert):
            chosen: Recipients = getattr(self.recipients, alert)
            return chosen
        return "participant" if alert == "welcome" else self.recipients


class CustomSettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={
        "inactivity_timeout_s": "inactivity_timeout",
        "join_timeout_s": "join_timeout",
        "away_timeout_s": "away_timeout",
        "idle_after_s": "idle_after",
    },
):
    """What a job overrides; None inherits the worker's setting.

    Durations are Go-style strings in the dispatch and seconds here and between processes.
    ``join_timeout_s`` and ``away_timeout_s`` fall back to ``inactivity_timeout_s``.
    Only where ``idle_after_s`` is given is anybody called idle.
    """

    speaking_threshold: _Rms | None = None
    connection_quality_threshold: _Share | None = None
    inactivity_timeout_s: float | None = None
    join_timeout_s: float | None = None
    away_timeout_s: float | None = None
    idle_after_s: float | None = None


class JobMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a dispatch asks for. An empty ``participant_identity`` means the job's participant."""

    participant_identity: str = ""
    monitoring_type: MonitoringType = "full"
    end_on_disconnect: bool = False
    labels: Annotated[dict[_LabelName, _LabelValue], msgspec.Meta(max_length=8)] = msgspec.field(
        default_factory=dict
    )
    notification_preferences: NotificationPreferences = msgspec.field(
        default_factory=NotificationPreferences
    )
    custom_settings: CustomSettings = msgspec.field(default_factory=CustomSettings)


_RECIPIENTS = "should be one of " + ", ".join(get_args(Recipients))
_DURATIONS = ("inactivity_timeout", "join_timeout", "away_timeout", "idle_after")
_SHOULD_BE = {
    "": "should be a JSON object",
    "participant_identity": "should be a string",
    "monitoring_type": "should be one of " + ", ".join(get_args(MonitoringType)),
    "labels": "should be an object of at most 8 names (up to 64 characters) and"
    " strings (up to 256 characters)",
    "notification_preferences": "should be an object",
    "notification_preferences.recipients": f"{_RECIPIENTS}, or an object from alert to one of them",
    "custom_settings": "should be an object",
    "custom_settings.speaking_threshold": "should be an RMS level above 0 and up to 1",
    "custom_settings.connection_quality_threshold": "should be a number from 0 to 1",
}


def decode_metadata(raw: str | bytes) -> JobMetadata:
    """The metadata of a dispatch; nothing at all means the defaults.

    Raises ``MetadataError`` for anything but a JSON object of at most ``MAX_BYTES`` whose known
    keys have the right types and ranges. Unknown keys are left to ``unknown_keys``.
    """
    document = _durations_as_seconds(_document(raw))
    try:
        return msgspec.convert(document, JobMetadata)
    except msgspec.ValidationError as error:
        key = _path(str(error))
        raise MetadataError(key, _should_be(key)) from None


def unknown_keys(raw: str | bytes, limit: int = 8) -> list[str]:
    """Dotted paths of at most ``limit`` keys that mean nothing, cut and cleaned for a log line.

    Raises ``MetadataError`` like ``decode_metadata`` when there is no JSON object to look at.
    """
    found: list[str] = []
    _collect_unknown(_document(raw), JobMetadata, "", found, limit)
    return found


def _document(raw: str | bytes) -> dict[str, Any]:
    try:
        data = raw.encode() if isinstance(raw, str) else raw
        if len(data) > MAX_BYTES:
            raise MetadataError("", f"should be at most {MAX_BYTES // 1024} KiB")
        document = msgspec.json.decode(data) if data.strip() else {}
    except MetadataError:
        raise
    except (ValueError, RecursionError):  # not UTF-8, not JSON, or nested a thousand deep
        raise MetadataError("", "is not valid JSON; it should be a JSON object") from None
    if not isinstance(document, dict):
        raise MetadataError("", _SHOULD_BE[""])
    return document


def _durations_as_seconds(document: dict[str, Any]) -> dict[str, Any]:
    custom = document.get("custom_settings")
    if not isinstance(custom, dict):
        return document
    seconds: dict[str, float] = {}
    for name in _DURATIONS:
        value = custom.get(name)
        if value is None:
            continue
        try:
            seconds[name] = parse_duration(value if isinstance(value, str) else "")
        except ValueError as error:
            raise MetadataError(f"custom_settings.{name}", str(error)) from None
    return {**document, "custom_settings": {**custom, **seconds}}


def _path(message: str) -> str:
    """The dotted path at the end of a msgspec error: "Expected `str`, ... - at `$.labels[...]`"."""
    found = re.search(r"`\$\.?([\w.]*)[^`]*`$", message)
    return found[1] if found else ""


def _should_be(key: str) -> str:
    if key in _SHOULD_BE:
        return _SHOULD_BE[key]
    if key.startswith("notification_preferences.recipients."):
        return _RECIPIENTS
    return "should be true or false"  # what is left: the booleans


def _collect_unknown(
    document: dict[str, Any], known: type, prefix: str, found: list[str], limit: int
) -> None:
    nested = {
        "notification_preferences": NotificationPreferences,
        "recipients": RecipientsByAlert,
        "custom_settings": CustomSettings,
    }
    names = {field.encode_name for field in msgspec.structs.fields(known)}
    for key, value in document.items():
        if len(found) >= limit:
            return
        if key not in names:
            found.append(prefix + _clean(key))
        elif key in nested and isinstance(value, dict):
            _collect_unknown(value, nested[key], f"{prefix}{key}.", found, limit)


def _clean(key: str) -> str:
    """A key as it may stand in a log line: short and printable."""
    text = "".join(char if char.isprintable() else "?" for char in key[:65])
    return text if len(text) <= 64 else text[:63] + "…"
