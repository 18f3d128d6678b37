"""The issues of a recording are those that the live path would raise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from recordings import RATE, found, run, write

from pmon.media.phrases import phrases


def talk(seconds: int, gain: float = 1.0, noise_dbov: float = -65.0) -> NDArray[np.int16]:
    """Phrases with pauses of a second."""
    random = np.random.default_rng(3)
    samples = random.standard_normal(seconds * RATE) * 10 ** (noise_dbov / 20) * 32768
    spoken = [p.samples for p in phrases().values()]
    at, number = RATE, 0
    while at + len(spoken[number % len(spoken)]) < len(samples):
        phrase = spoken[number % len(spoken)]
        samples[at : at + len(phrase)] += gain * phrase
        at += len(phrase) + RATE
        number += 1
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def issues(folder: Path, samples: NDArray[np.int16]) -> list[dict[str, Any]]:
    [line] = found(write(folder / "a.flac", samples))
    return list(line["issues"])


@pytest.mark.parametrize(
    ("samples", "kinds"),
    [
        (talk(100), []),
        (talk(100, gain=8.0), ["mic_clipping"]),
        (talk(100, gain=0.15), ["mic_quiet"]),
        (talk(100, noise_dbov=-38.0), ["mic_noisy"]),
        (np.zeros(90 * RATE, np.int16), ["mic_silent"]),
        (np.zeros(30 * RATE, np.int16), []),
    ],
    ids=["healthy", "clipping", "quiet", "noisy", "dead", "silent for a while"],
)
def test_a_bad_microphone_is_named_and_no_other(
    tmp_path: Path, samples: NDArray[np.int16], kinds: list[str]
) -> None:
    told = issues(tmp_path, samples)
    assert [issue["issue"] for issue in told] == kinds
    for issue in told:
        assert 0 <= issue["since_s"] < issue["raised_s"] <= len(samples) / RATE
        assert issue["resolved_s"] is None
        assert issue["evidence"]


def test_an_issue_that_is_over_says_when(tmp_path: Path) -> None:
    samples = np.concatenate([talk(60, gain=8.0), talk(90)])
    [issue] = issues(tmp_path, samples)
    assert issue["issue"] == "mic_clipping"
    assert issue["since_s"] < 20
    assert 60 < issue["resolved_s"] < 100


def test_pieces_of_another_length_tell_the_same(tmp_path: Path) -> None:
    """A picture is drawn from pieces of 100 ms."""
    path = write(tmp_path / "a.flac", np.concatenate([talk(60, gain=8.0), talk(60, gain=0.15)]))
    drawn = run("--json", "--plot", tmp_path / "a.png", path)
    assert drawn.stdout == run("--json", path).stdout
    assert "mic_clipping" in drawn.stdout


def test_the_table_names_each_issue_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", talk(100, gain=8.0))
    assert run(path).output.count("mic_clipping") == 1
