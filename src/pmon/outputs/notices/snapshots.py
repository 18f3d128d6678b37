"""What newcomers have missed: whom to tell of whom, in few packets, and in which words."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import NamedTuple

import msgspec

from pmon.outputs.notices import shapes

LARGEST = 10_000
"""Bytes of a packet. LiveKit takes 15 kB, and the names of the recipients go with it."""


class Audience(NamedTuple):
    """Everybody in ``people`` is told of all in ``subjects``; if ``whole``, also of those of whom
    there is nothing to say."""

    subjects: frozenset[str]
    people: frozenset[str]
    whole: bool = False


def audiences(newcomers: Set[str], subjects: Set[str], *, whole: bool = False) -> list[Audience]:
    """Tell each newcomer of every subject but themselves.

    After an outage of ours everybody is a newcomer, whom the others have something to say of. In
    a room of 100 that would be 100 packets with 99 names in each. But any two numbers differ in
    some bit: telling, for each bit, those who have it of those who lack it, and the reverse, tells
    all of all others in 14 packets, of which some repeat what others say.
    """
    both = sorted(newcomers & subjects)
    found = [
        Audience(frozenset(subjects), frozenset(newcomers - subjects)),
        Audience(frozenset(subjects - newcomers), frozenset(both)),
    ]
    for bit in range((len(both) - 1).bit_length() if both else 0):
        having = frozenset(name for n, name in enumerate(both) if n >> bit & 1)
        lacking = frozenset(both) - having
        found += [Audience(having, lacking), Audience(lacking, having)]
    return [
        audience._replace(whole=whole)
        for audience in found
        if audience.subjects and audience.people
    ]


def standing(identity: str, told: Iterable[shapes.Change]) -> shapes.ParticipantNow:
    """What has been told of somebody, in one."""
    speaking, quality, talk_time_s = False, None, None
    videos: list[shapes.VideoNow] = []
    issues: list[shapes.IssueNow] = []
    for change in told:
        match change:
            case shapes.SpeakingDetection():
                speaking = change.speaking
            case shapes.ConnectionQuality():
                quality = change.quality
            case shapes.VideoState():
                videos.append(shapes.VideoNow(track_sid=change.track_sid, state=change.state))
            case shapes.Issue():
                issues.append(
                    shapes.IssueNow(
                        issue=change.issue,
                        severity=change.severity,
                        track_sid=change.track_sid,
                        since=change.since,
                    )
                )
            case shapes.TalkTime():
                talk_time_s = change.talk_time_s
    return shapes.ParticipantNow(
        participant=identity,
        speaking=speaking,
        quality=quality,
        videos=videos,
        issues=issues,
        talk_time_s=talk_time_s,
    )


def fitting(people: list[shapes.ParticipantNow]) -> int:
    """How many of these, from the first on, go into one packet: one at least."""
    size = 0
    for n, person in enumerate(people):
        size += len(msgspec.json.encode(person)) + 1
        if size > LARGEST and n > 0:
            return n
    return len(people)
