"""Metadata comes from whoever may dispatch: nothing in it may break or flood the worker."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmon.metadata import (
    MAX_BYTES,
    Alert,
    CustomSettings,
    JobMetadata,
    MetadataError,
    NotificationPreferences,
    Recipients,
    RecipientsByAlert,
    decode_metadata,
    unknown_keys,
)

# The example of the README: every key, with values that differ from the defaults.
EXAMPLE: dict[str, Any] = {
    "participant_identity": "user123",
    "monitoring_type": "audio",
    "end_on_disconnect": True,
    "labels": {"appointment": "A-17"},
    "notification_preferences": {
        "welcome": False,
        "speaking_alerts": False,
        "quality_alerts": False,
        "video_alerts": False,
        "mic_alerts": False,
        "talk_time_alerts": True,
        "recipients": {"speaking_alerts": "all"},
    },
    "custom_settings": {
        "speaking_threshold": 0.02,
        "inactivity_timeout": "5m",
        "join_timeout": "2s",
        "away_timeout": "1h",
        "idle_after": "90s",
        "connection_quality_threshold": 1,
    },
}


def test_every_key_is_taken() -> None:
    assert unknown_keys(json.dumps(EXAMPLE)) == []
    assert decode_metadata(json.dumps(EXAMPLE)) == JobMetadata(
        participant_identity="user123",
        monitoring_type="audio",
        end_on_disconnect=True,
        labels={"appointment": "A-17"},
        notification_preferences=NotificationPreferences(
            welcome=False,
            speaking_alerts=False,
            quality_alerts=False,
            video_alerts=False,
            mic_alerts=False,
            talk_time_alerts=True,
            recipients=RecipientsByAlert(speaking_alerts="all"),
        ),
        custom_settings=CustomSettings(
            speaking_threshold=0.02,
            inactivity_timeout_s=300.0,
            join_timeout_s=2.0,
            away_timeout_s=3600.0,
            idle_after_s=90.0,
            connection_quality_threshold=1.0,
        ),
    )


@pytest.mark.parametrize("raw", ["", b"", " \n", "{}"])
def test_nothing_means_the_defaults(raw: str | bytes) -> None:
    assert decode_metadata(raw) == JobMetadata()


def test_null_inherits() -> None:
    names = [*EXAMPLE["custom_settings"]]
    raw = json.dumps({"custom_settings": dict.fromkeys(names)})
    assert decode_metadata(raw).custom_settings == CustomSettings()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("participant_identity", 1),
        ("participant_identity", None),
        ("monitoring_type", "everything"),
        ("monitoring_type", ["full"]),
        ("end_on_disconnect", "yes"),
        ("end_on_disconnect", 1),
        ("labels", []),
        ("labels", {"a": 1}),
        ("labels", {"": "no name"}),
        ("labels", {"a" * 65: "b"}),
        ("labels", {"a": "b" * 257}),
        ("labels", {str(n): "" for n in range(9)}),
        ("notification_preferences", None),
        ("notification_preferences.welcome", "true"),
        ("notification_preferences.talk_time_alerts", 0),
        ("notification_preferences.recipients", "nobody"),
        ("notification_preferences.recipients", ["others"]),
        ("notification_preferences.recipients.welcome", "nobody"),
        ("notification_preferences.recipients.mic_alerts", None),
        ("custom_settings", "x"),
        ("custom_settings.speaking_threshold", 0),
        ("custom_settings.speaking_threshold", 1.01),
        ("custom_settings.speaking_threshold", True),
        ("custom_settings.speaking_threshold", "0.1"),
        ("custom_settings.connection_quality_threshold", -0.01),
        ("custom_settings.connection_quality_threshold", 1.01),
        ("custom_settings.inactivity_timeout", 300),
        ("custom_settings.inactivity_timeout", "5"),
        ("custom_settings.join_timeout", ""),
        ("custom_settings.join_timeout", "0s"),
        ("custom_settings.away_timeout", "-5m"),
        ("custom_settings.idle_after", "1000000h"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(key: str, value: object) -> None:
    document: object = value
    for part in reversed(key.split(".")):
        document = {part: document}
    with pytest.raises(MetadataError) as caught:
        decode_metadata(json.dumps(document))
    assert caught.value.key == key
    assert str(caught.value).startswith(f"{key} should be ")


@pytest.mark.parametrize(
    "raw",
    [
        "not JSON",
        "[]",
        '"text"',
        "null",
        "{",
        "[" * 60_000,
        '{"a":' * 10_000,
        "9" * 5_000,
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        '{"participant_identity": "\\ud800"}',
        "\ud800",
        '{"custom_settings": {"speaking_threshold": NaN}}',
        '{"custom_settings": {"speaking_threshold": 1e999}}',
        "{" + " " * MAX_BYTES + "}",
        json.dumps({"labels": {"a": "ü" * MAX_BYTES}}, ensure_ascii=False),
    ],
)
@pytest.mark.parametrize("read", [decode_metadata, unknown_keys])
def test_what_is_no_small_json_object_is_refused_as_a_whole(raw: str | bytes, read: object) -> None:
    assert callable(read)
    with pytest.raises(MetadataError) as caught:
        read(raw)
    assert caught.value.key == ""
    assert len(str(caught.value)) < 100


def test_64_kib_are_taken() -> None:
    assert decode_metadata("{" + " " * (MAX_BYTES - 2) + "}") == JobMetadata()


def test_unknown_keys_are_named_by_path() -> None:
    raw = json.dumps(
        {
            "participant": "x",
            "labels": {"free": "text"},
            "notification_preferences": {"recipients": {"wellcome": "all"}, "sms": True},
            "custom_settings": {"join_timeout_s": 1, "recipients": {}},
        }
    )
    assert decode_metadata(raw).labels == {"free": "text"}
    assert unknown_keys(raw) == [
        "participant",
        "notification_preferences.recipients.wellcome",
        "notification_preferences.sms",
        "custom_settings.join_timeout_s",
        "custom_settings.recipients",
    ]


def test_unknown_keys_cannot_flood_or_forge_the_log() -> None:
    raw = json.dumps({f"{n}\n\x1b[2J" + "x" * 1000: 1 for n in range(50)})
    found = unknown_keys(raw)
    assert len(found) == 8
    assert all(len(key) <= 64 and key.isprintable() for key in found)


@pytest.mark.parametrize(
    ("preferences", "alert", "recipients"),
    [
        (NotificationPreferences(), "welcome", "participant"),
        (NotificationPreferences(), "speaking_alerts", "others"),
        (NotificationPreferences(), "talk_time_alerts", "none"),
        (NotificationPreferences(recipients="all"), "welcome", "participant"),
        (NotificationPreferences(recipients="none"), "quality_alerts", "none"),
        (NotificationPreferences(recipients="all", mic_alerts=False), "mic_alerts", "none"),
        (NotificationPreferences(recipients=RecipientsByAlert()), "welcome", "participant"),
        (NotificationPreferences(recipients=RecipientsByAlert(welcome="all")), "welcome", "all"),
        (NotificationPreferences(recipients=RecipientsByAlert()), "mic_alerts", "others"),
    ],
)  # fmt: skip
def test_recipients(
    preferences: NotificationPreferences, alert: Alert, recipients: Recipients
) -> None:
    assert preferences.recipients_of(alert) == recipients


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
known_names = st.sampled_from(
    [*EXAMPLE, *EXAMPLE["notification_preferences"], *EXAMPLE["custom_settings"]]
)
nearly_metadata = st.dictionaries(
    known_names, json_values | st.dictionaries(known_names, json_values)
)


@given(st.binary() | st.text() | nearly_metadata.map(json.dumps))
def test_any_input_decodes_or_is_refused(raw: str | bytes) -> None:
    """Anything else raised here would take the worker's websocket down with it."""
    try:
        metadata = decode_metadata(raw)
    except MetadataError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 250
    else:
        assert msgspec.json.decode(msgspec.json.encode(metadata), type=JobMetadata) == metadata
        assert all(path.isprintable() for path in unknown_keys(raw))


durations = st.none() | st.sampled_from([0.001, 0.5, 90.0, 5400.25])
recipients = st.sampled_from(["others", "participant", "all", "none"])
good_metadata = st.builds(
    JobMetadata,
    participant_identity=st.text(),
    monitoring_type=st.sampled_from(["full", "audio", "video", "connection"]),
    labels=st.dictionaries(st.text(min_size=1, max_size=64), st.text(max_size=256), max_size=8),
    notification_preferences=st.builds(
        NotificationPreferences,
        welcome=st.booleans(),
        recipients=recipients | st.builds(RecipientsByAlert, quality_alerts=recipients),
    ),
    custom_settings=st.builds(
        CustomSettings,
        speaking_threshold=st.none() | st.floats(0, 1, exclude_min=True),
        connection_quality_threshold=st.none() | st.floats(0, 1),
        inactivity_timeout_s=durations,
        join_timeout_s=durations,
    ),
)


@given(good_metadata)
def test_what_a_client_writes_is_what_the_worker_reads(metadata: JobMetadata) -> None:
    document = msgspec.to_builtins(metadata)
    custom = document["custom_settings"]
    for name in ("inactivity_timeout", "join_timeout"):
        if custom[name] is not None:
            custom[name] = f"{custom[name]:f}s"
    assert decode_metadata(json.dumps(document)) == metadata
    assert unknown_keys(json.dumps(document)) == []


@given(good_metadata)
def test_it_passes_between_processes(metadata: JobMetadata) -> None:
    for codec in (msgspec.json, msgspec.msgpack):
        assert codec.decode(codec.encode(metadata), type=JobMetadata) == metadata
