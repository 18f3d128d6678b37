"""The same measurement as a livekit-agents worker: ``python -m capacity.agents_worker NAME``.

It takes a job, and so a process, for each room that NAME is dispatched to, and measures everybody
there. It runs in an environment of its own, since livekit-agents pins another version of the SDK.
Frames are as long as the variable FRAME_MS says, or as AudioStream gives them by default.
"""

from __future__ import annotations

import asyncio
import os
import sys

from livekit import rtc
from livekit.agents import AgentServer, AutoSubscribe, JobContext
from livekit.agents.worker import ServerType

from capacity.stock import Heard, tell

FRAME_MS = int(os.environ["FRAME_MS"]) if "FRAME_MS" in os.environ else None  # None: 10 ms


async def measure(ctx: JobContext) -> None:
    """One job: everybody of the room."""
    heard = Heard()
    tasks = [asyncio.create_task(heard.keep_telling())]
    taken = set()

    def take(publication: rtc.RemoteTrackPublication, _: rtc.RemoteParticipant) -> None:
        if publication.kind == rtc.TrackKind.KIND_AUDIO:
            publication.set_subscribed(True)

    def subscribed(
        track: rtc.Track, _: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        if track.sid not in taken:
            taken.add(track.sid)
            listening = heard.listen(track, ctx.room.name, who.identity, FRAME_MS)
            tasks.append(asyncio.create_task(listening))

    ctx.room.on("track_published", take)
    ctx.room.on("track_subscribed", subscribed)
    await ctx.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
    for participant in ctx.room.remote_participants.values():
        for publication in participant.track_publications.values():
            take(publication, participant)
    await asyncio.gather(*tasks)


def no_load() -> float:
    """Its own rule would refuse jobs long before the core is full."""
    return 0.0


def main() -> None:
    """Work until a signal."""
    server = AgentServer(
        load_fnc=no_load,
        num_idle_processes=0,
        # Many that start at once on one core take longer than its own 10 s, and would be given up.
        initialize_process_timeout=120.0,
        host="127.0.0.1",
        port=0,
        log_level="WARN",
    )
    server.rtc_session(measure, agent_name=sys.argv[1], type=ServerType.ROOM)

    server.once("worker_registered", lambda *_: tell(registered=True))
    asyncio.run(server.run())


if __name__ == "__main__":
    main()
