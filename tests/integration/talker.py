"""A participant in a process of its own: joins, talks, and leaves when its input ends.

``python talker.py URL [--subscribe] [--camera] [--dtx]``; the token is the first line of its input.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys

from livekit import rtc

from pmon.media.phrases import phrases
from pmon.media.publish import SimulatedParticipant


async def talk(url: str, token: str, *, camera: bool, subscribe: bool, dtx: bool) -> None:
    """Say one phrase after the other, over a quiet room so that packets come without a pause."""
    talker = SimulatedParticipant(url, token, noise_dbov=-60.0, dtx=dtx, camera=camera)
    async with talker:
        if subscribe:
            assert talker.room is not None
            _subscribe(talker.room)
        print("joined", flush=True)
        ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
        for name in itertools.cycle(sorted(phrases())):
            said = talker.say(phrases()[name])
            await asyncio.wait([said, ended], return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return


def _subscribe(room: rtc.Room) -> None:
    """Receive everything that is published, now and later."""

    def published(publication: rtc.RemoteTrackPublication, _: rtc.RemoteParticipant) -> None:
        publication.set_subscribed(True)

    room.on("track_published", published)
    for participant in room.remote_participants.values():
        for publication in participant.track_publications.values():
            publication.set_subscribed(True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    for option in ("camera", "subscribe", "dtx"):
        parser.add_argument(f"--{option}", action="store_true")
    options = vars(parser.parse_args())
    asyncio.run(talk(token=sys.stdin.readline().strip(), **options))


if __name__ == "__main__":
    main()
