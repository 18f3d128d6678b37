"""Simulated participants: they join a real room and publish known speech and moving pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Self

import numpy as np
from livekit import api, rtc
from livekit.rtc.participant import PublishTrackError

from pmon.media.phrases import Phrase
from pmon.media.voice import FRAME, FRAME_S, SAMPLE_RATE, Voice

STALL_S = 0.2
"""A pump this late skips what it missed, as a microphone does whose computer hung."""

JOIN_ERRORS = (rtc.ConnectError, PublishTrackError)
"""What joining may raise."""

VIDEO_SIZE = (320, 180)
VIDEO_FPS = 15


def join_token(
    api_key: str,
    api_secret: str,
    room: str,
    identity: str,
    *,
    attributes: Mapping[str, str] | None = None,
) -> str:
    """A token to join a room as an ordinary participant, good for an hour."""
    token = api.AccessToken(api_key, api_secret).with_identity(identity)
    token = token.with_grants(api.VideoGrants(room_join=True, room=room))
    if attributes:
        token = token.with_attributes(dict(attributes))
    return token.with_ttl(timedelta(hours=1)).to_jwt()


class SimulatedParticipant:
    """One participant with a microphone and, if asked for, a camera.

    ``noise_dbov`` is the level of the room noise in the microphone, ``shared_key`` encrypts every
    track end to end, ``dtx`` lets the encoder fall silent in pauses. The voice, and with it the
    record of the speech that was really sent, outlives leaving and joining again.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        noise_dbov: float | None = None,
        seed: int = 0,
        dtx: bool = True,
        camera: bool = False,
        shared_key: bytes | None = None,
    ) -> None:
        self.voice = Voice(noise_dbov=noise_dbov, seed=seed)
        self.identity = ""
        """The identity in the token; known from the first join on."""
        self.muted = False
        self.room: rtc.Room | None = None
        self._url = url
        self._token = token
        self._dtx = dtx
        self._camera = camera
        self._encryption = None
        if shared_key is not None:
            keys = rtc.KeyProviderOptions(shared_key=shared_key)
            self._encryption = rtc.E2EEOptions(key_provider_options=keys)
        self._microphone: rtc.LocalAudioTrack | None = None
        self._frozen = False
        self._pumps: list[asyncio.Task[None]] = []
        self._source: rtc.AudioSource | None = None
        self._video_source: rtc.VideoSource | None = None

    @property
    def spoken(self) -> list[tuple[float, float]]:
        """Start and end of the speech sent so far, on the clock of ``time.monotonic``."""
        return self.voice.spoken

    @property
    def talk_time_s(self) -> float:
        """Seconds of speech sent so far."""
        return self.voice.talk_time_s

    async def join(self) -> None:
        """Join the room and publish. Raises rtc.ConnectError or rtc.PublishTrackError."""
        if self.room is not None:
            raise RuntimeError("the participant is in the room already")
        self.room = rtc.Room()
        try:
            options = rtc.RoomOptions(auto_subscribe=False, encryption=self._encryption)
            await self.room.connect(self._url, self._token, options)
            self.identity = self.room.local_participant.identity
            # Without a queue a frame is encoded as it is captured: mute cuts what is heard then.
            self._source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=0)
            self._start(FRAME_S, self._speak)
            await self.publish_microphone()
            if self._camera:
                await self._publish_camera()
        except BaseException:
            await self.leave()
            raise

    async def leave(self) -> None:
        """Fall silent and leave; nothing happens when not in the room.

        Raises what went wrong while publishing.
        """
        room, self.room = self.room, None
        for pump in self._pumps:
            pump.cancel()
        ends = await asyncio.gather(*self._pumps, return_exceptions=True)
        self._pumps.clear()
        self.voice.stop()
        if room is not None:
            await room.disconnect()
        for source in (self._source, self._video_source):
            if source is not None:
                await source.aclose()
        self._source = self._video_source = self._microphone = None
        self.muted = self._frozen = False
        failed = [end for end in ends if isinstance(end, Exception)]
        if failed:
            raise failed[0]

    async def publish_microphone(self) -> None:
        """Publish the microphone; ``join`` does it, this is for after ``unpublish_microphone``."""
        if self._microphone is not None:
            raise RuntimeError("the microphone is published already")
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._live_source())
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=self._dtx)
        await self._joined().local_participant.publish_track(track, options)
        self._microphone = track
        self.muted = False

    async def unpublish_microphone(self) -> None:
        """Take the microphone away without leaving; a phrase being said goes on unheard."""
        if self._microphone is None:
            raise RuntimeError("no microphone is published")
        sid, self._microphone = self._microphone.sid, None
        await self._joined().local_participant.unpublish_track(sid)

    def say(self, phrase: Phrase) -> asyncio.Future[None]:
        """Say a phrase after those already waiting; the future is done with its last sample."""
        said: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.voice.say(phrase, lambda: None if said.done() else said.set_result(None))
        return said

    def mute(self) -> None:
        """Mute the microphone; whoever is talking talks on unheard."""
        self.muted = True
        self._live_microphone().mute()

    def unmute(self) -> None:
        """Let the microphone be heard again."""
        self.muted = False
        self._live_microphone().unmute()

    def freeze(self) -> None:
        """Send no more pictures while the camera stays published."""
        self._frozen = True

    def thaw(self) -> None:
        """Send pictures again."""
        self._frozen = False

    async def _publish_camera(self) -> None:
        width, height = VIDEO_SIZE
        source = rtc.VideoSource(width, height)
        self._video_source = source
        track = rtc.LocalVideoTrack.create_video_track("camera", source)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            simulcast=False,
            video_codec=rtc.VideoCodec.VP8,
        )
        await self._joined().local_participant.publish_track(track, options)
        ramp = np.tile(np.linspace(16, 235, width).astype(np.uint8), (height, 1))
        grey = np.full(width * height // 2, 128, dtype=np.uint8).tobytes()
        shift = 0

        async def picture(now: float) -> None:
            nonlocal shift
            if self._frozen:
                return
            shift += 4
            data = np.roll(ramp, shift, axis=1).tobytes() + grey
            source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, data))

        self._start(1 / VIDEO_FPS, picture)

    async def _speak(self, now: float) -> None:
        connected = self._joined().connection_state == rtc.ConnectionState.CONN_CONNECTED
        heard = connected and self._microphone is not None and not self.muted
        pcm = self.voice.next_frame(now, heard=heard)
        frame = rtc.AudioFrame(pcm.tobytes(), SAMPLE_RATE, 1, FRAME)
        await self._live_source().capture_frame(frame)

    def _start(self, period_s: float, produce: Callable[[float], Awaitable[None]]) -> None:
        pump = asyncio.create_task(_paced(period_s, produce))
        pump.add_done_callback(lambda _: self.voice.stop())  # or somebody waits for say for ever
        self._pumps.append(pump)

    def _joined(self) -> rtc.Room:
        if self.room is None:
            raise RuntimeError("the participant is not in the room")
        return self.room

    def _live_source(self) -> rtc.AudioSource:
        if self._source is None:
            raise RuntimeError("the participant is not in the room")
        return self._source

    def _live_microphone(self) -> rtc.LocalAudioTrack:
        if self._microphone is None:
            raise RuntimeError("no microphone is published")
        return self._microphone

    async def __aenter__(self) -> Self:
        await self.join()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.leave()


async def _paced(period_s: float, produce: Callable[[float], Awaitable[None]]) -> None:
    """Call ``produce`` with the time it was due, every period, without drift."""
    due = time.monotonic()
    while True:
        await produce(due)
        due += period_s
        wait_s = due - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        elif wait_s < -STALL_S:
            due -= wait_s
