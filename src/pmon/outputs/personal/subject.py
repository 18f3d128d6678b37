"""Whom it is about, and what stands in their place afterwards."""

from __future__ import annotations

import re
import secrets
from typing import Any

from pmon.outputs.pseudonyms import Pseudonyms

ERASED = "erased"

_SIP = re.compile(r"sip_(\+?[0-9]{6,})")


class Subject:
    """One identity, with its pseudonym where the key is known; of a SIP caller their number, too,
    since rooms are called by it.
    """

    def __init__(self, identity: str, pseudonyms: Pseudonyms | None = None) -> None:
        self.identity = identity
        self.pseudonym = None if pseudonyms is None else pseudonyms.participant(identity)
        self.names = [identity] + ([] if self.pseudonym is None else [self.pseudonym])
        """What stands for them as a participant."""
        caller = _SIP.fullmatch(identity)
        words = self.names + ([] if caller is None else [caller[1]])
        parts = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
        self._words = re.compile(rf"(?<![^\W_])(?:{parts})(?![^\W_])")

    def in_text(self, text: str) -> bool:
        """Whether they are named in it; "bob" is in "room-bob_2", and not in "bobby"."""
        return self._words.search(text) is not None

    def in_event(self, event: dict[str, Any]) -> bool:
        """Whether an event, as plain data, is about them, or names them where applications choose
        the words: in the room's name or a label.
        """
        labels = event.get("labels") or {}
        words = (event.get("room") or "", *labels, *labels.values())
        return event.get("participant") in self.names or any(map(self.in_text, words))

    def without(self, text: str) -> str:
        """The same text without their name."""
        return self._words.sub(ERASED, text)

    def without_labels(self, labels: dict[str, str]) -> dict[str, str]:
        """The same of labels."""
        return {self.without(key): self.without(value) for key, value in labels.items()}


class StandIns:
    """Names by lot, the same wherever the same thing is meant, until this is over."""

    def __init__(self) -> None:
        self._meetings: dict[str, str] = {}
        self._people: dict[str, str] = {}
        self._sessions: dict[str, str] = {}

    def learn(self, session: str, room_sid: str) -> None:
        """A session's first event comes before the sid of its room is known."""
        if room_sid:
            self._meetings[session] = room_sid

    def participant(self, session: str, room_sid: str) -> str:
        """Another one in each meeting, so that they cannot be put together again."""
        meeting = room_sid or self._meetings.get(session, session)
        return self._people.setdefault(meeting, f"{ERASED}:{secrets.token_hex(8)}")

    def session(self, session: str) -> str:
        """A session's id is made from the identity."""
        return self._sessions.setdefault(session, f"PS_{secrets.token_hex(8)}")


def erased(event: dict[str, Any], subject: Subject, stand_ins: StandIns) -> dict[str, Any]:
    """An event, as plain data, as one of somebody unknown; of another without their name."""
    rest = event | {"room": subject.without(event.get("room") or "")}
    if event.get("participant") not in subject.names:
        return rest | {"labels": subject.without_labels(event.get("labels") or {})}
    session = event.get("session") or ""
    rest |= {
        "participant": stand_ins.participant(session, event.get("room_sid") or ""),
        "participant_sid": "",
        "track_sid": None,
        "session": stand_ins.session(session),
        "job": None,
        "labels": {},
    }
    if "dispatch" in event:
        rest["dispatch"] = ""
    if "summary" in event:
        rest["summary"] = _without_tracks(event["summary"])
    return rest


def _without_tracks(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary with the figures of tracks, but not their ids."""
    return summary | {
        "tracks": [track | {"track_sid": ""} for track in summary.get("tracks", ())],
        "issues": [issue | {"track_sid": None} for issue in summary.get("issues", ())],
    }
