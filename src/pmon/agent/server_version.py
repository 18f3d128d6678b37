"""What an old livekit-server cannot do for a worker."""

from __future__ import annotations

_NEEDED = (
    ((1, 8, 4), "it sends no participant jobs", "participant"),
    ((1, 9, 2), "it ignores 'terminate', so jobs that are refused go round all workers", ""),
)


def version_warnings(version: str, job_type: str = "participant") -> tuple[str, ...]:
    """One sentence for each thing that a server of this version lacks; unreadable: none."""
    try:
        have = tuple(int(part) for part in version.split("-")[0].split("."))
    except ValueError:
        return ()
    return tuple(
        f"livekit-server {version} is older than {'.'.join(map(str, needed))}: {lack}"
        for needed, lack, concerns in _NEEDED
        if have < needed and concerns in ("", job_type)
    )
