"""What one job asks for: its metadata with the worker's settings filled in."""

from __future__ import annotations

import msgspec

from pmon.metadata import JobMetadata
from pmon.settings import Settings


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """How a session is to be watched. Every value is final: nothing is inherited any more."""

    monitoring_type: str
    end_on_disconnect: bool
    labels: dict[str, str]
    speaking_threshold: float
    connection_quality_threshold: float
    join_timeout_s: float
    away_timeout_s: float
    idle_after_s: float | None = None
    """Without a sign of life for so long somebody is idle; None: nobody asked."""
    pictures: bool = True
    """Whether the worker looks at video at all; then a camera that has nothing to say of the link
    is not even received, since a disabled one costs too."""

    @property
    def audio(self) -> bool:
        """Whether microphones are listened to."""
        return self.monitoring_type in ("full", "audio")

    @property
    def video(self) -> bool:
        """Whether cameras and screen shares are looked at."""
        return self.pictures and self.monitoring_type in ("full", "video")


def resolve(metadata: JobMetadata, settings: Settings) -> Watch:
    """Fill what the metadata leaves open from the worker's settings."""
    custom = metadata.custom_settings
    inactivity_s = _first(custom.inactivity_timeout_s, settings.inactivity_timeout_s)
    return Watch(
        monitoring_type=metadata.monitoring_type,
        end_on_disconnect=metadata.end_on_disconnect,
        labels=dict(metadata.labels),
        speaking_threshold=_first(custom.speaking_threshold, settings.speaking_threshold),
        connection_quality_threshold=_first(
            custom.connection_quality_threshold, settings.connection_quality_threshold
        ),
        join_timeout_s=_first(custom.join_timeout_s, inactivity_s),
        away_timeout_s=_first(custom.away_timeout_s, inactivity_s),
        idle_after_s=custom.idle_after_s,
        pictures=settings.video != "off",
    )


def _first(value: float | None, default: float) -> float:
    return default if value is None else value
