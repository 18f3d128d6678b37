"""How many branches the unit tests reach, by part: what needs no loop must have 95 % of them.

coverage json -o build/coverage.json && python scripts/check_coverage.py build/coverage.json
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path, PurePath

HELD = ("monitor", "agent/protocol.py", "settings", "metadata.py")
LEAST = 0.95


def part_of(path: str) -> str:
    """The held part that a file is in, or else its package."""
    inside = PurePath(path).relative_to("src/pmon")
    for held in HELD:
        if inside.is_relative_to(held):
            return held
    return inside.parts[0]


def main() -> int:
    reached: dict[str, int] = defaultdict(int)
    branches: dict[str, int] = defaultdict(int)
    for path, file in json.loads(Path(sys.argv[1]).read_text())["files"].items():
        reached[part_of(path)] += file["summary"]["covered_branches"]
        branches[part_of(path)] += file["summary"]["num_branches"]
    for part in sorted(branches, key=lambda part: (part not in HELD, part)):
        if branches[part]:
            share = reached[part] / branches[part]
            must = f"at least {LEAST:.0%}" if part in HELD else ""
            print(f"{part:20} {reached[part]:5} of {branches[part]:5} {share:7.1%} {must}")
    return any(reached[part] < LEAST * branches[part] or not branches[part] for part in HELD)


if __name__ == "__main__":
    sys.exit(main())
