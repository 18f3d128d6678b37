"""Whom it is about, and what stands in their place afterwards."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Any

import msgspec

from pmon.outputs.pseudonyms import Pseudonyms

ERASED = "erased"

_SIP = re.compile(r"sip_(\+?[0-9]{6,})")


class Subject:
    """One identity, with its pseudonym where the key is known; of a SIP caller their number, too,
    since rooms are called by it.

    "bob" is in "room-bob_2", and not in "bobby"; nor in "bob-smith", where somebody of that name
    is known in the room.
    """

    def __init__(self, identity: str, pseudonyms: Pseudonyms | None = None) -> None:
        self.identity = identity
        self.pseudonym = None if pseudonyms is None else pseudonyms.participant(identity)
        self.names = [identity] + ([] if self.pseudonym is None else [self.pseudonym])
        """What stands for them as a participant."""
        caller = _SIP.fullmatch(identity)
        self._called = self.names + ([] if caller is None else [caller[1]])
        self._word = _words(self._called)
        self._word_in_json = _words([*self._called, *map(_in_json, self._called)])
        self._rooms: dict[str, set[str]] = {}
        """Rooms with their name in the room's or in that of somebody there, and who these are."""

    def learn(self, room: str, participant: str) -> None:
        """Somebody else may be who is meant; to be told of all before anything is replaced."""
        if self._word.search(room):
            self._rooms.setdefault(room, set())
        if participant not in self._called and self._word.search(participant):
            self._rooms.setdefault(room, set()).add(participant)

    def renamed(self) -> list[str]:
        """The rooms that are called after them."""
        return sorted(room for room in self._rooms if self.in_text(room, room))

    def in_text(self, text: str, room: str) -> bool:
        """Whether they are named in what was written of this room."""
        return self._word.search(text) is not None and self.without(text, room) != text

    def in_line(self, line: bytes) -> bool:
        """Whether they are named in a piece of JSON that nobody can read."""
        return self._word_in_json.search(line.decode(errors="replace")) is not None

    def in_event(self, event: dict[str, Any]) -> bool:
        """Whether an event, as plain data, is about them, or names them where applications choose
        the words: in the room's name or a label.
        """
        room, labels = event.get("room") or "", event.get("labels") or {}
        words = (room, *labels, *labels.values())
        return event.get("participant") in self.names or any(self.in_text(w, room) for w in words)

    def without(self, text: str, room: str) -> str:
        """The same text, of this room, without their name."""
        others = self._rooms.get(room)
        if not others:
            return self._word.sub(ERASED, text)
        word = _words([*others, *self._called])
        return word.sub(lambda found: found[0] if found[0] in others else ERASED, text)

    def without_labels(self, labels: dict[str, str], room: str) -> dict[str, str]:
        """The same of labels."""
        return {self.without(k, room): self.without(v, room) for k, v in labels.items()}


def _words(texts: Iterable[str]) -> re.Pattern[str]:
    """Any of them as a word, the longest that there is."""
    parts = "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])(?:{parts})(?![^\W_])")


def _in_json(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]


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
    room = event.get("room") or ""
    rest = event | {"room": subject.without(room, room)}
    if event.get("participant") not in subject.names:
        return rest | {"labels": subject.without_labels(event.get("labels") or {}, room)}
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
