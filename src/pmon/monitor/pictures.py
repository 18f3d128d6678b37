"""What the state of a video track means for its issues."""

from __future__ import annotations

from collections.abc import Iterator

from pmon.monitor.events import IssueKind
from pmon.monitor.issues import Change, Issues
from pmon.monitor.video import Video

KINDS: tuple[IssueKind, ...] = ("video_frozen", "video_low_fps", "track_dry")


def judge(
    issues: Issues, track_sid: str, video: Video, now: float, *, doubted: bool
) -> Iterator[tuple[Change | None, str]]:
    """Bring the issues in line with ``video.state``; what changed, and why if it is over.

    A state that tells nothing of a kind neither raises nor resolves it: a frozen picture has no
    rate. Between two looks the state stands as of the last reading. Nothing new is raised while
    what is seen is ``doubted``.
    """
    if video.state in ("muted", "encrypted"):
        for change in issues.end(now, track_sid=track_sid):
            yield change, f"track_{video.state}"
        return
    if video.state == "dry":  # it is another one than the picture that froze
        for kind in ("video_frozen", "video_low_fps"):
            for change in issues.end(now, kind=kind, track_sid=track_sid):
                yield change, "track_dry"
    known = _known(video)
    # What is known is known of the last reading; nothing is known of the time since.
    at = now if video.read_at is None else video.read_at
    for kind in KINDS:
        bad, since, evidence = known.get(kind, (None, None, {}))
        if bad and doubted:
            bad = None
        yield (
            issues.observe(kind, bad, at, track_sid=track_sid, since=since, evidence=evidence),
            "recovered",
        )


_Known = dict[IssueKind, tuple[bool, float | None, dict[str, float | str]]]


def _known(video: Video) -> _Known:
    still: dict[str, float | str] = {"frames": video.motion.frames}
    if video.still_since is not None and video.read_at is not None:
        still["still_s"] = round(video.read_at - video.still_since, 3)
    match video.state:
        case "dry":
            return {"track_dry": (True, video.still_since, still)}
        case "frozen":
            return {
                "track_dry": (False, None, {}),
                "video_frozen": (True, video.still_since, still),
            }
        case "live" | "low":
            return {
                "track_dry": (False, None, {}),
                "video_frozen": (False, None, {}),
                "video_low_fps": (video.state == "low", video.low_since, _rate(video)),
            }
    return {}


def _rate(video: Video) -> dict[str, float | str]:
    """The figures of the layer that is received, the lowest; its size tells which one that is."""
    rate: dict[str, float | str] = {"fps": round(video.fps or 0.0, 1)}
    counters = video.motion.counters
    if counters.width:
        rate["size"] = f"{counters.width}x{counters.height}"
    return rate
