"""Clips of labelled speech, made once and kept in build/speech.

``load("tune")`` and ``load("held-out")`` are told apart by speaker, by synthesizer and by noise
(``speech.voices``, ``speech.noises``), so that what was tuned on the one can be judged on the
other; ``quick`` needs espeak-ng only. All is a function of the seed, of this code and of the
synthesizers' versions; a change of any of them makes the clips anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from speech import background, channel, conditions, noises, synthesizers, tracks, truth
from speech.conditions import CORE, EXTRA, Condition, Dry
from speech.voices import Part, talkers

CACHE = Path(__file__).parents[2] / "build" / "speech"
RATES = (48_000, 16_000)
OTHER_RATES = (8_000, 24_000, 32_000, 44_100)
EXTRAS: dict[Part, int] = {"tune": 5, "held-out": 9, "quick": 0}
"""How many of the further conditions each talker is heard under."""
MADE_BY = (
    "background",
    "channel",
    "conditions",
    "espeak",
    "material",
    "noises",
    "opus",
    "recordings",
    "sentences",
    "synthesizers",
    "tracks",
    "truth",
    "voices",
)
"""The modules here that clips depend on."""


@dataclasses.dataclass(frozen=True)
class Clip:
    """A recording of one talker, mono, and the truth about it: (start, end) in seconds.

    ``level_dbov`` is the active level, of the voice and of what lies behind it.
    """

    name: str
    voice: str
    condition: str
    sample_rate: int
    level_dbov: float
    segments: truth.Segments
    file: Path

    @property
    def samples(self) -> npt.NDArray[np.int16]:
        """Read from the file as they are used."""
        return cast(npt.NDArray[np.int16], np.load(self.file, mmap_mode="r"))

    @property
    def duration_s(self) -> float:
        """Of the whole clip."""
        return len(self.samples) / self.sample_rate


def load(part: Part, processes: int = 1) -> list[Clip]:
    """All clips of a part, made first if they are not there.

    Raises SynthesizerError, naming the packages that are missing.
    """
    absent = synthesizers.missing(part)
    if absent:
        raise synthesizers.SynthesizerError(
            f"the material {part} also needs: apt-get install {' '.join(absent)}"
        )
    directory = CACHE / f"{part}-{digest(part)}"
    index = directory / "clips.json"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{part}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests in several processes want the same
        if not index.exists():
            for old in CACHE.glob(f"{part}-*"):
                shutil.rmtree(old)
            directory.mkdir()
            clips = [_row(clip) for clip in _make(part, directory, processes)]
            index.write_text(json.dumps(clips))
    return [_clip(row, directory) for row in json.loads(index.read_text())]


def versions(part: Part) -> dict[str, str]:
    """Of the packages that speak."""
    return {name: synthesizers.version(name) or "missing" for name in synthesizers.packages(part)}


def digest(part: Part) -> str:
    """Of all that a part depends on."""
    here = Path(__file__).parent
    code = b"".join((here / f"{name}.py").read_bytes() for name in MADE_BY)
    return hashlib.sha256(code + repr(versions(part)).encode()).hexdigest()[:12]


def pool(processes: int) -> ProcessPoolExecutor:
    """Processes that begin anew: they share no state, so nothing depends on their number."""
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))


def _make(part: Part, directory: Path, processes: int) -> Iterator[Clip]:
    numbers = range(len(list(talkers(part))))
    count = len(numbers)
    with pool(processes) if processes > 1 else contextlib.nullcontext() as executor:
        mapped = executor.map if executor else map
        for clips in mapped(_make_of, [part] * count, [directory] * count, numbers):
            yield from clips


def _make_of(part: Part, directory: Path, number: int) -> list[Clip]:
    """All clips of the part's talker of this number."""
    voice = list(talkers(part))[number]
    said = tracks.utterances(voice)
    made = []
    for place, (condition, rate) in enumerate(_heard(part, number)):
        # Under the conditions of the core a talker says the same in the same recording.
        take = 0 if condition in CORE else place
        samples, segments = tracks.track(tracks.generator(part, number, take), said, rate)
        dry = Dry(samples, rate, segments, _noises(part, rate), background.LIVES[part])
        recording = conditions.recorded(
            condition, tracks.generator(part, number, take, "room"), dry
        )
        own = tracks.generator(part, number, take, condition.name)
        heard = channel.int16(conditions.apply(condition, own, dry, recording))
        file = directory / f"{number:02}-{place:02}.npy"
        np.save(file, heard)
        level = round(channel.level_dbov(heard / channel.FULL_SCALE, rate, segments), 1)
        made.append(Clip(file.stem, voice.name, condition.name, rate, level, segments, file))
    return made


def _heard(part: Part, number: int) -> Iterator[tuple[Condition, int]]:
    """The conditions of a talker, and the sample rate of each."""
    for place, condition in enumerate(CORE):
        yield condition, RATES[(number + place) % len(RATES)]
    first = number * EXTRAS[part]
    for i in range(first, first + EXTRAS[part]):
        condition = EXTRA[i % len(EXTRA)]
        rates = OTHER_RATES if condition.name == "other rates" else RATES
        yield condition, rates[i // len(EXTRA) % len(rates)]


def _noises(part: Part, sample_rate: int) -> dict[str, noises.Noise]:
    shared = {"white": noises.white, "pink": noises.pink}
    return shared | {"babble": tracks.babble(part, sample_rate)} | noises.KINDS[part]


def _row(clip: Clip) -> dict[str, Any]:
    return dataclasses.asdict(clip) | {"file": clip.file.name}


def _clip(row: dict[str, Any], directory: Path) -> Clip:
    segments = [(start, end) for start, end in row["segments"]]
    return Clip(**row | {"segments": segments, "file": directory / row["file"]})
