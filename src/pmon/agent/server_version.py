"""What an old livekit-server cannot do for a worker."""

from __future__ import annotations

_NEEDED = (
    ((1, 8, 4), "it sends no participant jobs"),
    ((1, 9, 2), "it ignores 'terminate', so jobs for other participants go round all workers"),
)


def version_warnings(version: str) -> tuple[str, ...]:
    """One sentence for each thing that a server of this version lacks; unreadable: none."""
    try:
        have = tuple(int(part) for part in version.split("-")[0].split("."))
    except ValueError:
        return ()
    return tuple(
        f"livekit-server {version} is older than {'.'.join(map(str, needed))}: {lack}"
        for needed, lack in _NEEDED
        if have < needed
    )
