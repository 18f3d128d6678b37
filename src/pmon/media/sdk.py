"""The LiveKit SDK's vocabulary in the monitor's words, and its start-up."""

from __future__ import annotations

import atexit
import ctypes
import time
from typing import Any, cast

import structlog
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc.version import __version__

from pmon import _tap
from pmon.monitor.events import ParticipantKind, QualityLevel, TrackKind, TrackSource
from pmon.monitor.inputs import ParticipantInfo, TrackInfo

log = structlog.get_logger("pmon.media")

KINDS: dict[int, ParticipantKind] = {
    rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD: "standard",
    rtc.ParticipantKind.PARTICIPANT_KIND_INGRESS: "ingress",
    rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS: "egress",
    rtc.ParticipantKind.PARTICIPANT_KIND_SIP: "sip",
    rtc.ParticipantKind.PARTICIPANT_KIND_AGENT: "agent",
    rtc.ParticipantKind.PARTICIPANT_KIND_CONNECTOR: "connector",
    rtc.ParticipantKind.PARTICIPANT_KIND_BRIDGE: "bridge",
}
QUALITIES: dict[int, QualityLevel] = {
    rtc.ConnectionQuality.QUALITY_EXCELLENT: "excellent",
    rtc.ConnectionQuality.QUALITY_GOOD: "good",
    rtc.ConnectionQuality.QUALITY_POOR: "poor",
    rtc.ConnectionQuality.QUALITY_LOST: "lost",
}
SOURCES: dict[int, TrackSource] = {
    rtc.TrackSource.SOURCE_CAMERA: "camera",
    rtc.TrackSource.SOURCE_MICROPHONE: "microphone",
    rtc.TrackSource.SOURCE_SCREENSHARE: "screen_share",
    rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO: "screen_share_audio",
}
TRACK_KINDS: dict[int, TrackKind] = {
    rtc.TrackKind.KIND_AUDIO: "audio",
    rtc.TrackKind.KIND_VIDEO: "video",
}


LAST_EVENTS_S = 0.1
"""Threads that wait for the GIL already are not seen, but get it when nobody else wants it."""


def quiet() -> None:
    """Turn off the SDK's capture of native log lines.

    It formats every line of libwebrtc, hands it to Python and throws it away there, which costs
    1 ms/s a room and doubles the cost of connecting. Initializing again only swaps that setting.
    """
    try:
        initialize = _ffi_client.FfiClient.instance._ffi_lib.livekit_ffi_initialize
        callback = _ffi_client.ffi_event_callback
        known = len(initialize.argtypes) == 4
    except (AttributeError, TypeError):  # private names, which another version may lack
        known = False
    if not known:
        log.warning("the SDK's log capture stays on: its start-up call has another shape")
        return
    initialize(callback, False, b"python", __version__.encode("ascii"))
    atexit.unregister(go_deaf)
    atexit.register(go_deaf)


def go_deaf() -> None:
    """Let C code drop all events from now on, for the interpreter is about to end.

    A thread of the SDK that wants the GIL of an interpreter that ends is made to exit, which Rust
    does not survive: the process would abort instead of ending.
    """
    _tap.close()
    initialize = _ffi_client.FfiClient.instance._ffi_lib.livekit_ffi_initialize
    initialize(tap_callback(), False, b"python", __version__.encode("ascii"))
    time.sleep(LAST_EVENTS_S)


def tap_callback() -> Any:
    """The tap in the form that ``livekit_ffi_initialize`` wants."""
    return ctypes.cast(_tap.callback(), _ffi_client.ffi_cb_fnc)


def track_info(publication: rtc.RemoteTrackPublication) -> TrackInfo:
    """A publication as the monitor knows it."""
    return TrackInfo(
        sid=publication.sid,
        kind=TRACK_KINDS.get(publication.kind, "unknown"),
        source=SOURCES.get(publication.source, "unknown"),
        muted=publication.muted,
        encrypted=publication.encryption_type != rtc.EncryptionType.NONE,
    )


def participant_info(participant: rtc.RemoteParticipant) -> ParticipantInfo:
    """A participant as the monitor knows it."""
    publications = cast("dict[str, rtc.RemoteTrackPublication]", participant.track_publications)
    return ParticipantInfo(
        identity=participant.identity,
        sid=participant.sid,
        kind=KINDS.get(participant.kind, "unknown"),
        attributes=participant.attributes,
        tracks=tuple(track_info(publication) for publication in publications.values()),
    )


def leave_reason(participant: rtc.RemoteParticipant) -> str:
    """Why somebody left, in lower case; ``unknown`` where the server does not say."""
    reason = participant.disconnect_reason
    if reason is None:
        return "unknown"
    return rtc.DisconnectReason.Name(reason).lower()
