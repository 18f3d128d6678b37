"""Which audio tier this process uses: the native one if it proves itself, else the portable one."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Callable

import structlog
from livekit import rtc

from pmon.media import sdk
from pmon.media.meters import TrackMeters
from pmon.media.portable import PortableTier
from pmon.media.tap import NUM_CHANNELS, SAMPLE_RATE, AudioTier
from pmon.settings import MediaTier

TEST_TONE_HZ = 1000.0
TEST_PEAK = 8192
TEST_DBOV = 20 * math.log10(TEST_PEAK / 32768 / math.sqrt(2))
TEST_TOLERANCE_DB = 0.5
TEST_S = 15.0
"""The longest that four tenths of a second of audio may take; a machine may be busy."""

log = structlog.get_logger("pmon.media")


async def choose(wanted: MediaTier, on_lost: Callable[[int], None] = lambda _: None) -> AudioTier:
    """The tier to use. One log line says why, if it is not the native one though it might be.

    ``on_lost`` is told of the SDK's events that the loop was too slow for, which should end the
    process: see ``Tap``.
    """
    if wanted == "portable":
        sdk.quiet()
        return PortableTier()
    try:
        return await native(on_lost)
    except Exception as error:
        report = log.error if wanted == "native" else log.warning
        report("native media path not used; the portable one is", problem=str(error) or repr(error))
        sdk.quiet()
        return PortableTier()


async def native(on_lost: Callable[[int], None] = lambda _: None) -> AudioTier:
    """The native tier, after its self-test. Raises whatever keeps it from working here."""
    from pmon.media.native import NativeTier, Tap

    tap = Tap(on_lost)
    try:
        tap.install()
        await _self_test()
    except BaseException:
        tap.uninstall()
        raise
    return NativeTier(tap)


async def _self_test() -> None:
    """A known tone goes in through the SDK and has to come out of the meters as it is.

    No room and no network: a local track can be listened to.
    """
    from pmon.media.native import NativeError, NativeTap

    source = rtc.AudioSource(SAMPLE_RATE, NUM_CHANNELS)
    track = rtc.LocalAudioTrack.create_audio_track("self-test", source)
    meters = TrackMeters(SAMPLE_RATE, NUM_CHANNELS, [0.01])
    tap = NativeTap(track, meters, lambda _: None, lambda: None)
    samples = array(
        "h",
        (
            round(TEST_PEAK * math.sin(2 * math.pi * TEST_TONE_HZ * n / SAMPLE_RATE))
            for n in range(SAMPLE_RATE // 100)
        ),
    )
    frame = rtc.AudioFrame(samples.tobytes(), SAMPLE_RATE, NUM_CHANNELS, len(samples))
    try:
        async with asyncio.timeout(TEST_S):
            while meters.meters.samples_per_channel < SAMPLE_RATE * 2 // 5:
                await source.capture_frame(frame)
        level = meters.meters.level_dbov
    except TimeoutError:
        raise NativeError("self-test: no audio came through the tap") from None
    finally:
        await tap.aclose()
        await source.aclose()
    if level is None or abs(level - TEST_DBOV) > TEST_TOLERANCE_DB:
        came = "nothing" if level is None else f"{level:.1f}"
        raise NativeError(f"self-test: a tone of {TEST_DBOV:.1f} dBov came out as {came}")
