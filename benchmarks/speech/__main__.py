"""``python -m speech``: make the material, let detectors judge it, print one table.

The full table takes some ten minutes on two cores, most of it Silero's; the first run makes the
audio, too. ``--quick`` needs espeak-ng only, and no other detector than WebRTC's.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import time
from pathlib import Path

import click
from capacity.machine import cpu_model

from speech import manifest, material, measure, opus, report, told, unfound, verdicts
from speech.detectors import DETECTORS, missing
from speech.detectors import versions as detector_versions
from speech.measure import Run
from speech.synthesizers import SynthesizerError
from speech.voices import PARTS, Part

QUICK = ("pmon", "always", "RMS > 0.01", "WebRTC 2", "WebRTC 3")


@click.command()
@click.option("--part", type=click.Choice(PARTS), default="held-out", show_default=True)
@click.option("--quick", "is_quick", is_flag=True, help="espeak-ng only, few detectors, no hours.")
@click.option("--detectors", help=f"Only these, with commas: {', '.join(DETECTORS)}.")
@click.option("--hours/--no-hours", default=True, help="What an hour of noise is billed for.")
@click.option("--seconds", default=3600.0, help="As long as each such hour really is.")
@click.option("--processes", default=2, show_default=True)
@click.option("--check", is_flag=True, help="Only compare the truth with the committed manifest.")
@click.option("--write-manifest", is_flag=True, help="Only commit to the truth as it is now.")
@click.option("--command", help="What the table tells as the command that made it.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Save all figures.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Save the table there, too.")
def main(
    part: Part,
    is_quick: bool,
    detectors: str | None,
    hours: bool,
    seconds: float,
    processes: int,
    check: bool,
    write_manifest: bool,
    command: str | None,
    json_file: Path | None,
    markdown: Path | None,
) -> None:
    """Compare detectors of speech on labelled material; exit 1 if pmon misses a bound."""
    part = "quick" if is_quick else part
    names = detectors.split(",") if detectors else list(QUICK if is_quick else DETECTORS)
    require(names)
    try:
        clips = material.load(part, processes)
    except SynthesizerError as error:
        raise click.ClickException(str(error)) from error
    now = manifest.manifest(clips, material.versions(part))
    if write_manifest:
        manifest.write(part, now)
        return
    changed = list(manifest.differences(manifest.read(part), now))
    for line in changed:
        click.echo(line, err=True)
    if check:
        sys.exit(1 if changed else 0)
    scores = measure.clips(clips, names, processes)
    judged = scores.get(verdicts.DETECTOR)
    run = Run(
        head=head(part, command),
        part=part,
        minutes=sum(clip.duration_s for clip in clips) / 60,
        conditions=[clip.condition for clip in clips],
        sample_rates=[clip.sample_rate for clip in clips],
        scores=scores,
        billed_s=measure.hours(names, seconds, processes) if hours and not is_quick else {},
        told_s=told.of_clips(clips, processes) if judged else {},
        segments=unfound.of_clips(clips, judged) if judged else [],
    )
    text = report.markdown(run)
    click.echo(text)
    if markdown is not None:
        markdown.write_text(text + "\n")
    if json_file is not None:
        json_file.write_text(json.dumps(report.figures(run), indent=1) + "\n")
    found = list(verdicts.verdicts(run))
    click.echo("\n" + "\n".join(map(str, found)))
    sys.exit(0 if all(verdict.ok for verdict in found) else 1)


def require(names: list[str]) -> None:
    """Say what cannot be compared instead of leaving it out."""
    unknown = [name for name in names if name not in DETECTORS]
    if unknown:
        raise click.ClickException(f"no detector is called {', '.join(unknown)}")
    absent = sorted({package for package in map(missing, names) if package})
    if absent:
        raise click.ClickException(f"pip install {' '.join(absent)}, or choose --detectors")


def head(part: Part, command: str | None) -> str:
    """On what it was measured, and how."""
    versions = detector_versions() | material.versions(part)
    facts = [f"Python {platform.python_version()}", opus.version()]
    facts += [f"{name} {version}" for name, version in versions.items()]
    called = shlex.join(["PYTHONPATH=benchmarks", "python", "-m", "speech", *sys.argv[1:]])
    cores = len(os.sched_getaffinity(0))
    where = f"{cpu_model()}, {cores} cores, {time.strftime('%Y-%m-%d')}"
    return f"{where}; {', '.join(facts)}. `{command or called}`"


if __name__ == "__main__":
    main()
