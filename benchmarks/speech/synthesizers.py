"""The programs and recordings that speak, all asked in one way: a voice says texts.

Each voice is asked in a process of its own, so that what it says depends on nothing said before.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from speech import recordings
from speech.voices import Part, Voice, babblers, talkers

Samples = npt.NDArray[np.float64]
FULL_SCALE = 32768.0
BENCHMARKS = Path(__file__).parent.parent
FESTIVAL_ENCODINGS = {
    "cs": "iso-8859-2",
    "it": "iso-8859-1",
    "fi": "iso-8859-15",
    "ca": "iso-8859-15",
}
FESTIVAL_PACKAGES = {
    "ked_diphone": "festvox-kdlpc16k",
    "lp_diphone": "festvox-italp16k",
    "pc_diphone": "festvox-itapc16k",
    "suo_fi_lj_diphone": "festvox-suopuhe-lj",
    "hy_fi_mv_diphone": "festvox-suopuhe-mv",
    "hindi_NSK_diphone": "festvox-hi-nsk",
    "telugu_NSK_diphone": "festvox-te-nsk",
    "msu_ru_nsh_clunits": "festvox-ru",
    "upc_ca_ona_hts": "festvox-ca-ona-hts",
    "czech_dita": "festvox-czech-dita",
    "czech_machac": "festvox-czech-machac",
    "czech_krb": "festvox-czech-krb",
    "czech_ph": "festvox-czech-ph",
}


class SynthesizerError(Exception):
    """A program that speaks is missing, or failed."""


def package(voice: Voice) -> str:
    """What must be installed for the voice: a package of PyPI or of Debian."""
    if voice.synthesizer == "espeak-ng":
        return "espeakng-loader"
    return FESTIVAL_PACKAGES.get(voice.name, voice.synthesizer)


def packages(part: Part) -> list[str]:
    """All that the part's voices need."""
    voices = [*talkers(part), *babblers(part)]
    programs = {voice.synthesizer for voice in voices} & {"festival"}
    return sorted(programs | {package(voice) for voice in voices})


def missing(part: Part) -> list[str]:
    """The packages that the part needs and that are not here."""
    return [name for name in packages(part) if version(name) is None]


def version(name: str) -> str | None:
    """Of a package of PyPI or of Debian that is installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
    if shutil.which("dpkg-query") is None:
        return "unknown" if shutil.which(name) else None
    asked = ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev} ${Version}", name]
    done = subprocess.run(asked, capture_output=True, text=True)
    status, _, number = done.stdout.partition(" ")
    return number.strip() if status.strip() == "ii" else None


def say(voice: Voice, texts: Sequence[str]) -> tuple[int, list[Samples]]:
    """Sample rate in Hz, and each text as mono samples with full scale 1.

    Recordings are as many as there are texts. Raises SynthesizerError.
    """
    ways: dict[str, Callable[[Voice, Sequence[str]], tuple[int, list[Samples]]]] = {
        "espeak-ng": _espeak,
        "flite": _flite,
        "festival": _festival,
    }
    try:
        return ways.get(voice.synthesizer, _recorded)(voice, texts)
    except (OSError, subprocess.SubprocessError) as error:
        raise SynthesizerError(f"{package(voice)} for {voice.name}: {error}") from error


def _espeak(voice: Voice, texts: Sequence[str]) -> tuple[int, list[Samples]]:
    options = [voice.name, str(voice.words_per_minute), str(voice.pitch)]
    done = subprocess.run(
        [sys.executable, "-m", "speech.espeak", *options],
        input=json.dumps(texts).encode(),
        stdout=subprocess.PIPE,
        check=True,
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS)},
    )
    stream = io.BytesIO(done.stdout)
    return 22_050, [np.load(stream) / FULL_SCALE for _ in texts]


def _flite(voice: Voice, texts: Sequence[str]) -> tuple[int, list[Samples]]:
    with tempfile.TemporaryDirectory() as directory:
        files = [f"{directory}/{i}.wav" for i in range(len(texts))]
        for text, file in zip(texts, files, strict=True):
            subprocess.run(["flite", "-voice", voice.name, "-t", text, "-o", file], check=True)
        return _read(files)


def _festival(voice: Voice, texts: Sequence[str]) -> tuple[int, list[Samples]]:
    """By a script in the encoding that the voice was made for."""
    encoding = FESTIVAL_ENCODINGS.get(voice.language, "utf-8")
    with tempfile.TemporaryDirectory() as directory:
        files = [f"{directory}/{i}.wav" for i in range(len(texts))]
        lines = [f"(voice_{voice.name})"]
        for text, file in zip(texts, files, strict=True):
            utterance = f'(Utterance Text "{text}")'
            lines.append(f'(utt.save.wave (utt.synth {utterance}) "{file}")')
        script = Path(directory) / "script.scm"
        script.write_bytes("\n".join(lines).encode(encoding))
        subprocess.run(["festival", "-b", str(script)], check=True, stderr=subprocess.DEVNULL)
        return _read(files)


def _recorded(voice: Voice, texts: Sequence[str]) -> tuple[int, list[Samples]]:
    return recordings.read(voice, len(texts))


def _read(files: Sequence[str]) -> tuple[int, list[Samples]]:
    """WAV files of one sample rate."""
    read = []
    for file in files:
        with wave.open(file) as recording:
            rate = recording.getframerate()
            pcm = recording.readframes(recording.getnframes())
        read.append(np.frombuffer(pcm, dtype="<i2") / FULL_SCALE)
    return rate, read
