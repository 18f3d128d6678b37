"""What the worker protocol tells its owner: one frozen struct for each thing that happened.

Only named fields leave the protocol. A job also carries its room's TURN password and an
assignment a join token; neither is in any of these, so they may all be logged.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from pmon.metadata import JobMetadata
from pmon.monitor.events import ParticipantKind

DeclineReason = Literal[
    "bad_metadata", "wrong_target", "no_participant", "job_type", "full", "drain"
]


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """The server took the worker; jobs may come from now on."""

    worker_id: str
    server_version: str
    warnings: tuple[str, ...] = ()
    """What this server is too old for, in words for the log."""


class JobAssigned(msgspec.Struct, frozen=True, kw_only=True):
    """A job is ours, and the server has been told that it runs."""

    job: str
    dispatch: str
    room: str
    room_sid: str
    participant: str
    """Whom to watch; empty: everybody in the room."""
    participant_sid: str
    participant_kind: ParticipantKind
    metadata: JobMetadata
    agent_name: str


class JobTerminated(msgspec.Struct, frozen=True, kw_only=True):
    """The server wants this job to end. It says neither why nor whether others will follow."""

    assigned: JobAssigned


class JobDeclined(msgspec.Struct, frozen=True, kw_only=True):
    """A job was not taken."""

    job: str
    dispatch: str
    room: str
    participant: str
    reason: DeclineReason
    problem: str
    """One sentence for the log; it repeats no value of the metadata."""
    key: str = ""
    """The offending path in the metadata, such as ``custom_settings.speaking_threshold``."""
    repeated: bool = False
    """Another job of this dispatch was declined for the same reason, so this needs no log line."""


class MetadataKeysIgnored(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata of a dispatch has keys that mean nothing; told once a dispatch."""

    job: str
    dispatch: str
    room: str
    keys: tuple[str, ...]


class AssignmentTimedOut(msgspec.Struct, frozen=True, kw_only=True):
    """A job was accepted but never assigned: the server gave up first. Its slot is free again."""

    job: str
    dispatch: str
    room: str


class FrameRefused(msgspec.Struct, frozen=True, kw_only=True):
    """A frame of ``size`` bytes was no message of the protocol; it was dropped."""

    size: int


class ConnectionStale(msgspec.Struct, frozen=True, kw_only=True):
    """The connection is of no use: close it and connect again."""

    problem: str


Action = (
    Registered
    | JobAssigned
    | JobTerminated
    | JobDeclined
    | MetadataKeysIgnored
    | AssignmentTimedOut
    | FrameRefused
    | ConnectionStale
)
