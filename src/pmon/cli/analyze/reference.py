"""Where speech really is: the file of ``--compare``, read with distrust."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

BEYOND_S = 0.1
"""A segment may end so long after its file: rounding, and what codecs add at the end."""

Segments = list[tuple[float, float]]


class UnclearReferenceError(ValueError):
    """A reference that does not say clearly where speech is; the message says what and where."""


class References:
    """The segments of each file that ``--compare`` names, or of the only one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._of: dict[str | None, Segments] = {}
        for where, item in _objects(path):
            name = item.get("file")
            if name is not None and not isinstance(name, str):
                raise UnclearReferenceError(f"{where}: file should be a name")
            if name in self._of:
                raise UnclearReferenceError(f"{where}: there is another one of {name or 'no file'}")
            self._of[name] = _segments(where, item)
        if None in self._of and len(self._of) > 1:
            raise UnclearReferenceError(f"{path}: some objects say which file they are of, not all")

    def match(self, files: Sequence[str]) -> dict[str, Segments]:
        """The reference of each file: by the same path, or else by a name that only one has."""
        if None in self._of:
            if len(set(files)) > 1:
                raise UnclearReferenceError(
                    f"{self._path}: it does not say which of the {len(set(files))} files it is of"
                )
            return dict.fromkeys(files, self._of[None])
        return {file: self._find(file, files) for file in files}

    def _find(self, file: str, files: Sequence[str]) -> Segments:
        if file in self._of:
            return self._of[file]
        name = Path(file).name
        of_name = [known for known in self._of if known is not None and Path(known).name == name]
        namesakes = {other for other in files if Path(other).name == name}
        if not of_name:
            raise UnclearReferenceError(f"{self._path}: it says nothing of {file}")
        if len(of_name) > 1 or len(namesakes) > 1:
            raise UnclearReferenceError(
                f"{self._path}: it is not clear which {name} is {file}; give the same paths"
            )
        return self._of[of_name[0]]


def check_length(path: str, segments: Segments, duration_s: float) -> None:
    """Raises UnclearReferenceError if there is speech behind the end of the recording."""
    if segments and segments[-1][1] > duration_s + BEYOND_S:
        raise UnclearReferenceError(
            f"{path}: a segment ends at {segments[-1][1]:g} s, and the recording at"
            f" {duration_s:.3f} s: is it of another file?"
        )


def _objects(path: str) -> list[tuple[str, dict[str, Any]]]:
    """The objects of the file and where they stand: one alone, or one a line."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UnclearReferenceError(f"{path}: it cannot be read: {error.strerror}") from None
    try:
        return [(path, _object(path, data))]
    except UnclearReferenceError:
        lines = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
        if len(lines) < 2:
            raise
    found = [(f"{path}, line {number}", line) for number, line in lines]
    return [(where, _object(where, line)) for where, line in found]


def _object(where: str, data: bytes) -> dict[str, Any]:
    try:
        item = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnclearReferenceError(f"{where}: {error}") from None
    if not isinstance(item, dict):
        raise UnclearReferenceError(f"{where}: it should be an object with segments")
    return item


def _segments(where: str, item: dict[str, Any]) -> Segments:
    if "segments" not in item:
        raise UnclearReferenceError(f"{where}: there are no segments")
    try:
        segments = msgspec.convert(item["segments"], Segments)
    except msgspec.ValidationError as error:
        raise UnclearReferenceError(
            f"{where}: segments should be pairs of seconds, [[start, end], …]: {error}"
        ) from None
    before_s = 0.0
    for number, (start_s, end_s) in enumerate(segments, 1):
        if start_s < 0:
            raise UnclearReferenceError(f"{where}: segment {number} begins before the file")
        if end_s <= start_s:
            raise UnclearReferenceError(f"{where}: segment {number} ends no later than it begins")
        if start_s < before_s:
            raise UnclearReferenceError(f"{where}: segment {number} overlaps the one before")
        before_s = end_s
    return segments
