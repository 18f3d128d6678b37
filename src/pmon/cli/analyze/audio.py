"""Recordings of any format that libsndfile reads, a piece at a time."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import IO, Any

import numpy as np
import soundfile
from numpy.typing import NDArray

LOWEST_HZ, HIGHEST_HZ = 8000, 192_000
MOST_CHANNELS = 8
"""What the meters take."""
UNTOLD = 2**63 - 1
"""Frames of a stream whose header does not say how many (libsndfile's SF_COUNT_MAX)."""
STDIN = "-"

Samples = NDArray[np.int16]
"""Interleaved, as a call's decoder gives them."""


class AudioError(ValueError):
    """A file that cannot be analysed; the message says why, and not which."""


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # it tells no types
    """Read from beginning to end, without going to where it is anyway after each piece: behind the
    last piece of a stream without a length libsndfile cannot, and all of it would be refused.
    """

    def seekable(self) -> bool:
        return False


class Recording:
    """An open file; ``pieces`` goes through it once.

    Samples come as int16, like those of a call. Numbers beyond full scale, which float files may
    hold, are cut off there; ``over`` counts them.
    """

    def __init__(self, name: str, file: soundfile.SoundFile) -> None:
        self.name = name
        self.sample_rate: int = file.samplerate
        self.num_channels: int = file.channels
        self.frames_told: int | None = None if file.frames == UNTOLD else file.frames
        """How many its header says there are, if it does."""
        self.frames = 0
        """How many were read so far."""
        self.over = 0
        self._file = file

    @property
    def duration_s(self) -> float:
        """Of what was read so far."""
        return self.frames / self.sample_rate

    def pieces(self, piece_s: float) -> Iterator[Samples]:
        """The samples, so many seconds at a time. Raises AudioError where they cannot be read."""
        size = max(1, round(piece_s * self.sample_rate))
        buffer = np.empty((size, self.num_channels), np.float32)
        while len(read := self._read(buffer)):
            if not np.isfinite(read).all():
                raise AudioError(f"not all samples after {self.duration_s:.1f} s are numbers")
            self.over += int(np.count_nonzero(np.abs(read) > 1.0))
            self.frames += len(read)
            yield np.clip(np.rint(read * 32768.0), -32768, 32767).astype(np.int16).reshape(-1)
        if self.frames == 0:
            raise AudioError("there is no audio in it")

    def _read(self, buffer: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            read: NDArray[np.float32] = self._file.read(out=buffer)
        except soundfile.SoundFileRuntimeError as error:
            raise AudioError(
                f"it cannot be decoded after {self.duration_s:.1f} s: {_reason(error)}"
            ) from None
        return read


@contextmanager
def recording(name: str) -> Iterator[Recording]:
    """Open a file, or with ``-`` what comes in at standard input. Raises AudioError."""
    try:
        with _seekable(name) as file, _sound(file) as sound:
            yield _checked(Recording(name, sound))
    except OSError as error:
        raise AudioError(f"it cannot be read: {error.strerror}") from None


@contextmanager
def _seekable(name: str) -> Iterator[IO[bytes]]:
    """libsndfile goes back and forth, so a pipe is copied to a file that nobody else sees."""
    with _stdin() if name == STDIN else open(name, "rb", buffering=0) as source:
        if source.seekable():
            yield source
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(source, copy)
            copy.seek(0)
            yield copy


def _stdin() -> nullcontext[IO[bytes]]:
    """It is not ours to close, and may be closed already."""
    if sys.stdin is None:
        raise AudioError("there is no standard input")
    return nullcontext(sys.stdin.buffer)


@contextmanager
def _sound(file: IO[bytes]) -> Iterator[soundfile.SoundFile]:
    if os.fstat(file.fileno()).st_size == 0:
        raise AudioError("it is empty")
    try:
        # By descriptor: the format is then told by what is in it, not by what it is called.
        sound = _Forward(file.fileno(), closefd=False)
    except soundfile.SoundFileRuntimeError as error:
        raise AudioError(f"it is no audio that can be read: {_reason(error)}") from None
    with sound:
        yield sound


def _checked(recording: Recording) -> Recording:
    rate, channels = recording.sample_rate, recording.num_channels
    if not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise AudioError(f"its sample rate is {rate} Hz, not {LOWEST_HZ} to {HIGHEST_HZ}")
    if not 1 <= channels <= MOST_CHANNELS:
        raise AudioError(f"it has {channels} channels, not 1 to {MOST_CHANNELS}")
    return recording


def _reason(error: Any) -> str:
    return str(getattr(error, "error_string", error)).rstrip(".")
