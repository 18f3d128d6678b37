"""Writes the tables in docs/history.md from those of the program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pmon.outputs.history.tables import metadata

PAGE = Path(__file__).parents[1] / "docs" / "history.md"
HEAD = "## Tables\n"


def page(text: str) -> str:
    """The page with the tables as they are now."""
    before, head, after = text.partition(HEAD)
    intro = after.partition("\n### ")[0].rstrip("\n") + "\n"
    return before + head + intro + "".join(_tables())


def _tables() -> Iterator[str]:
    for table in metadata.tables.values():
        yield f"\n### {table.name}\n\n{table.comment}.\n\n"
        yield "| column | type | meaning |\n|---|---|---|\n"
        for column in table.columns:
            kind = str(column.type).lower()
            key = ", key" if column.primary_key else ""
            yield f"| `{column.name}` | {kind}{key} | {column.comment} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
