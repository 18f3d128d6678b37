"""The table of the example's defects: none is left out, and what stands in it is there."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

TESTS = Path(__file__).parents[1]
TABLE = tomllib.loads((TESTS / "unit" / "seed_defects.toml").read_text())


def test_every_defect_has_tests_or_a_reason_why_it_cannot_occur() -> None:
    assert list(TABLE) == [f"D{number}" for number in range(1, 41)]
    for name, entry in TABLE.items():
        assert entry["defect"], name
        assert bool(entry.get("tests")) != bool(entry.get("cannot")), name


def test_every_named_test_exists() -> None:
    """One that is renamed or dropped takes its line of the table with it."""
    found: dict[str, set[str]] = {}
    for entry in TABLE.values():
        for node in entry.get("tests", []):
            path, _, name = node.partition("::")
            if path not in found:
                found[path] = _tests_of(TESTS / path)
            assert name in found[path], node


def _tests_of(path: Path) -> set[str]:
    """The names of a file's tests, those in classes with the class before."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{_name(method)}" for method in node.body}
        else:
            names.add(_name(node))
    return {name for name in names if name.split("::")[-1].startswith("test_")}


def _name(node: ast.stmt) -> str:
    return node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ""
