"""Recordings: what is in them comes out the same from every format, and what is none is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from recordings import RATE, conversation, streamed, write

from pmon.cli.analyze.audio import AudioError, Recording, recording


def read(path: Path | str, piece_s: float = 1.0) -> tuple[Recording, NDArray[np.int16]]:
    with recording(str(path)) as source:
        pieces = list(source.pieces(piece_s))
    return source, np.concatenate(pieces)


NOISE = np.random.default_rng(5).integers(-32768, 32768, 24_001).astype(np.int16)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "PCM_32"),
        ("a.wav", "FLOAT"),
        ("a.wav", "DOUBLE"),
        ("a.flac", "PCM_16"),
        ("a.flac", "PCM_24"),
        ("a.aiff", "PCM_16"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_lossless_formats_give_the_very_samples(
    tmp_path: Path, name: str, subtype: str, channels: int
) -> None:
    """libsndfile reads a float file as int16 without scaling: all of it would be silence."""
    samples = NOISE[: len(NOISE) // channels * channels]
    scale = 32768.0 if subtype in ("FLOAT", "DOUBLE") else 1
    path = write(
        tmp_path / name,
        samples.reshape(-1, channels) / scale if scale != 1 else samples.reshape(-1, channels),
        subtype=subtype,
    )
    source, got = read(path)
    assert np.array_equal(got, samples)
    assert (source.num_channels, source.sample_rate) == (channels, RATE)
    assert source.frames == source.frames_told == len(samples) // channels
    assert source.over == 0


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("pieces") / "a.flac", NOISE)


@given(st.integers(100, 40_000))
def test_the_size_of_pieces_changes_nothing(path: Path, n: int) -> None:
    with recording(str(path)) as source:
        pieces = list(source.pieces(n / RATE))
    assert all(len(piece) <= n for piece in pieces)  # a day of audio is never in memory
    assert np.array_equal(np.concatenate(pieces), NOISE)


@pytest.mark.parametrize(("name", "subtype"), [("a.ogg", "VORBIS"), ("a.ogg", "OPUS")])
def test_lossy_formats_give_about_the_same(tmp_path: Path, name: str, subtype: str) -> None:
    samples, _ = conversation()
    _, got = read(write(tmp_path / name, samples, subtype=subtype))
    assert len(got) == pytest.approx(len(samples), abs=RATE // 50)
    power = [float(np.mean(np.square(x.astype(float)))) for x in (samples, got)]
    assert power[1] == pytest.approx(power[0], rel=0.2)


def test_a_name_says_nothing_of_the_format(tmp_path: Path) -> None:
    """And .raw would be taken for samples without a header."""
    path = write(tmp_path / "a.flac", NOISE)
    _, got = read(path.rename(tmp_path / "a.raw"))
    assert np.array_equal(got, NOISE)


def test_numbers_beyond_full_scale_are_cut_off_and_counted(tmp_path: Path) -> None:
    """Rolled over, loud would become loud and opposite."""
    values = np.array([0.0, 1.5, -1.5, 1.0, -1.0, 0.5, 1e30, -1e30])
    source, got = read(write(tmp_path / "a.wav", values, subtype="DOUBLE"))
    assert got.tolist() == [0, 32767, -32768, 32767, -32768, 16384, 32767, -32768]
    assert source.over == 4


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_with_its_place(tmp_path: Path, value: float) -> None:
    samples = np.zeros(3 * RATE)
    samples[2 * RATE + 5] = value
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"after 2\.0 s"):
        read(path)


def cut(path: Path, size: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * size) if size < 1 else int(size)])
    return path


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
@pytest.mark.parametrize("size", [3, 20, 40])
def test_a_header_that_is_cut_off_is_refused(tmp_path: Path, name: str, size: int) -> None:
    path = cut(write(tmp_path / name, NOISE), size)
    with pytest.raises(AudioError, match="no audio that can be read"):
        read(path)


@pytest.mark.parametrize("name", ["a.wav", "a.ogg"])
def test_a_recording_that_is_cut_off_is_read_to_where_it_is(tmp_path: Path, name: str) -> None:
    """The recorder was killed: what there is, is worth something."""
    samples, _ = conversation()
    _, got = read(cut(write(tmp_path / name, samples), 0.7))
    assert 0.4 * len(samples) < len(got) < 0.9 * len(samples)


def test_a_recording_that_breaks_off_in_its_middle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="cannot be decoded after"):
        read(cut(write(tmp_path / "a.flac", NOISE), 0.7))


@pytest.mark.parametrize("piece_s", [0.1, 1.0, 10.0])
def test_a_stream_without_a_length_is_read_to_its_end(tmp_path: Path, piece_s: float) -> None:
    source, got = read(streamed(write(tmp_path / "a.flac", NOISE)), piece_s)
    assert np.array_equal(got, NOISE)
    assert source.frames_told is None


def test_a_stream_without_a_length_that_breaks_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="cannot be decoded after"):
        read(cut(streamed(write(tmp_path / "a.flac", NOISE)), 0.7))


def test_a_standard_input_that_is_closed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(AudioError, match="there is no standard input"):
        read("-")


def made(folder: Path, what: str) -> Path:
    path = folder / "file.wav"
    match what:
        case "missing":
            pass
        case "folder":
            path.mkdir()
        case "empty":
            path.touch()
        case "text":
            path.write_text("Dear all,\n" * 100)
        case "no samples":
            write(path, NOISE[:0])
        case "nine channels":
            write(path, NOISE[:9].reshape(1, 9))
        case "too slow":
            write(path, NOISE, rate=7999)
        case "too fast":
            write(path, NOISE, rate=192_001)
    return path


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", "cannot be read: No such file"),
        ("folder", "cannot be read: Is a directory"),
        ("empty", "it is empty"),
        ("text", "no audio that can be read: Format not recognised"),
        ("no samples", "there is no audio in it"),
        ("nine channels", "it has 9 channels, not 1 to 8"),
        ("too slow", "its sample rate is 7999 Hz, not 8000 to 192000"),
        ("too fast", "its sample rate is 192001 Hz"),
    ],
)
def test_what_cannot_be_analysed_is_refused_and_says_why(
    tmp_path: Path, what: str, message: str
) -> None:
    with pytest.raises(AudioError, match=message):
        read(made(tmp_path, what))


@pytest.mark.parametrize("rate", [8000, 11_025, 44_100, 192_000])
def test_the_ends_of_what_the_meters_take_are_read(tmp_path: Path, rate: int) -> None:
    source, got = read(write(tmp_path / "a.wav", NOISE, rate=rate))
    assert source.sample_rate == rate
    assert np.array_equal(got, NOISE)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    """A folder of a thousand files is nothing unusual."""
    good, bad = write(tmp_path / "a.wav", NOISE), made(tmp_path, "text")
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(20):
        read(good)
        with pytest.raises(AudioError):
            read(bad)
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def test_it_is_the_library_that_says_what_it_reads() -> None:
    assert {"WAV", "FLAC", "OGG"} <= set(soundfile.available_formats())
