"""What the truth was when it was committed, and whether the synthesizers still say the same.

The audio is made again on each machine; the manifests hold only who speaks under which condition,
and when. Another version of a synthesizer may speak faster or slower. Then figures are no longer
those of before, and ``python -m speech --check`` says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from speech.material import Clip
from speech.voices import Part

DIRECTORY = Path(__file__).parent / "manifests"
TOLERANCE_S = 0.05
"""Processors round differently, and what moves one frame of the truth moves all that follows."""

Manifest = dict[str, Any]


def manifest(clips: Iterable[Clip], versions: Mapping[str, str]) -> Manifest:
    """Of these clips, made with these packages."""
    return {"versions": dict(versions), "clips": {clip.name: _entry(clip) for clip in clips}}


def read(part: Part) -> Manifest:
    """The committed one."""
    found: Manifest = json.loads((DIRECTORY / f"{part}.json").read_text())
    return found


def write(part: Part, made: Manifest) -> None:
    """One clip a line."""
    lines = [f"{json.dumps(name)}: {json.dumps(clip)}" for name, clip in made["clips"].items()]
    text = ",\n".join(lines)
    DIRECTORY.mkdir(exist_ok=True)
    (DIRECTORY / f"{part}.json").write_text(
        f'{{"versions": {json.dumps(made["versions"], indent=1)},\n"clips": {{\n{text}\n}}}}\n'
    )


def differences(committed: Manifest, made: Manifest) -> Iterator[str]:
    """In words, the clips whose truth has changed and the versions that may be why."""
    clips = committed["clips"]
    changed = [
        name for name, entry in made["clips"].items() if not _same(clips.get(name), entry)
    ] + [name for name in clips if name not in made["clips"]]
    if not changed:
        return
    yield f"the truth of {len(changed)} of {len(clips)} clips is not what was committed: " + (
        ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
    )
    for name in sorted({*committed["versions"], *made["versions"]}):
        before, now = committed["versions"].get(name), made["versions"].get(name)
        if before != now:
            yield f"{name} was {before} then and is {now} now"


def _entry(clip: Clip) -> dict[str, Any]:
    return {
        "voice": clip.voice,
        "condition": clip.condition,
        "sample_rate": clip.sample_rate,
        "duration_s": round(clip.duration_s, 2),
        "segments": [list(segment) for segment in clip.segments],
    }


def _same(before: dict[str, Any] | None, now: dict[str, Any]) -> bool:
    if before is None or len(before["segments"]) != len(now["segments"]):
        return False
    if any(before[key] != now[key] for key in ("voice", "condition", "sample_rate")):
        return False
    pairs = zip(before["segments"], now["segments"], strict=True)
    return all(abs(a - b) <= TOLERANCE_S for x, y in pairs for a, b in zip(x, y, strict=True))
