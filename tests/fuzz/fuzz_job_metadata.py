"""One input of the fuzzer: the metadata of a dispatch, which is valid or refused by a known key."""

from __future__ import annotations

import msgspec

from pmon.metadata import (
    CustomSettings,
    JobMetadata,
    MetadataError,
    NotificationPreferences,
    RecipientsByAlert,
    decode_metadata,
    unknown_keys,
)

LONGEST_S = 30 * 86_400.0


def _names(known: type) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(known)}


NESTED = {
    "notification_preferences.recipients": RecipientsByAlert,
    "notification_preferences": NotificationPreferences,
    "custom_settings": CustomSettings,
}
KEYS = {"", *_names(JobMetadata)} | {
    f"{place}.{name}" for place, known in NESTED.items() for name in _names(known)
}
"""Of these an error may speak: any other word in it would be the dispatcher's own."""


def one(data: bytes) -> None:
    try:
        found = decode_metadata(data)
    except MetadataError as error:
        assert error.key in KEYS, "an error names a key that there is"
        assert len(str(error)) < 200
        assert str(error).isprintable()
        return
    assert msgspec.convert(msgspec.to_builtins(found), JobMetadata) == found
    custom = found.custom_settings
    for seconds in (
        custom.inactivity_timeout_s,
        custom.join_timeout_s,
        custom.away_timeout_s,
        custom.idle_after_s,
    ):
        assert seconds is None or 0.001 <= seconds <= LONGEST_S
    msgspec.json.encode(found)  # it goes to another process
    keys = unknown_keys(data)
    assert len(keys) <= 8
    assert all(key.isprintable() and len(key) < 130 for key in keys)
