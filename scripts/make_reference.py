"""Writes what docs/ says of settings, events, metrics, history and notices from where they are
defined.

A page has a pair of markers for each table, ``<!-- settings -->`` and ``<!-- /settings -->``, and
what stands between them is made anew; the schema of the notices is a file of its own. With
``--check`` nothing is written, and the exit code tells whether anything would be.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from pmon.monitor import events
from pmon.outputs.history.tables import metadata
from pmon.outputs.metrics import Metrics
from pmon.outputs.notices import shapes
from pmon.settings import SETTINGS, Setting

DOCS = Path(__file__).parent.parent / "docs"
Struct = type[msgspec.Struct]


def settings() -> str:
    """A table of all settings."""
    rows = [
        (f"`{s.variable}`<br>`{s.flag}`", _default(s), s.help.replace("|", "\\|")) for s in SETTINGS
    ]
    return table(("variable, flag", "default", "meaning"), rows)


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    return f"`{setting.default}`" if setting.default else "unset"


def metrics() -> str:
    """A table of all metrics."""
    page = Metrics().render()[0].decode()
    rows = [
        (f"`{family.name}{'_total' if family.type == 'counter' else ''}`", family.documentation)
        for family in text_string_to_metric_families(page)
    ]
    return table(("metric", "what it counts"), sorted(rows))


def history() -> str:
    """Each table of the history with its columns."""
    parts = []
    for each in metadata.tables.values():
        rows = [
            (
                f"`{c.name}`",
                str(c.type).lower() + (", key" if c.primary_key else ""),
                str(c.comment),
            )
            for c in each.columns
        ]
        parts += [
            f"### {each.name}",
            f"{each.comment}.",
            table(("column", "type", "meaning"), rows),
        ]
    return "\n\n".join(parts)


def event_types() -> str:
    """Each event with its fields, and then what these are made of."""
    parts = ["## What all events have", fields(events.Event)]
    inner: dict[Struct, None] = {}
    for event in typing.get_args(events.AnyEvent):
        parts += [f"## {event.__struct_config__.tag}", prose(event), fields(event)]
        inner |= dict.fromkeys(structs_in(event))
    for struct in inner:
        parts += [f"## {struct.__name__}", prose(struct), fields(struct)]
    parts.append("## Words")
    parts += [f"`{name}`: {choices(name)}" for name in aliases()]
    return "\n\n".join(part for part in parts if part)


def structs_in(struct: Struct) -> Iterator[Struct]:
    """Those that its own fields hold, and those in them, each before what it holds."""
    for hint in typing.get_type_hints(struct).values():
        for found in _structs(hint):
            yield found
            yield from structs_in(found)


def _structs(hint: Any) -> Iterator[Struct]:
    plain = isinstance(hint, type) and not isinstance(hint, types.GenericAlias)
    if plain and issubclass(hint, msgspec.Struct):
        yield hint
    for argument in typing.get_args(hint):
        yield from _structs(argument)


def fields(struct: Struct) -> str:
    """A table of the fields that this struct adds to those it inherits."""
    own = [field for field in written(struct) if field[0] not in ("v",)]
    names = {f.name: f.encode_name for f in msgspec.structs.fields(struct)}
    rows = [(f"`{names[name]}`", f"`{kind}`", text) for name, kind, text in own]
    return table(("field", "type", "meaning"), rows) if rows else ""


def written(struct: Struct) -> Iterator[tuple[str, str, str]]:
    """Name, type and docstring of each field in the order of the source."""
    [definition] = ast.parse(inspect.getsource(struct)).body
    assert isinstance(definition, ast.ClassDef)
    body = definition.body
    for statement, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            kind = ast.unparse(statement.annotation).replace("|", "\\|")
            yield statement.target.id, kind, _docstring(after)


def _docstring(statement: ast.stmt | None) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return marked(inspect.cleandoc(str(statement.value.value)))
    return ""


def prose(struct: Struct) -> str:
    """The docstring of a struct."""
    return marked(inspect.getdoc(struct) or "")


def marked(text: str) -> str:
    """A docstring as Markdown, a paragraph a line."""
    paragraphs = text.replace("``", "`").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def aliases() -> list[str]:
    """Names of the sets of words that fields are made of."""
    literal = typing.Literal
    return [n for n, value in vars(events).items() if typing.get_origin(value) is literal]


def choices(name: str) -> str:
    """The words, each with the comment behind it in the source."""
    source = inspect.getsource(events)
    words = typing.get_args(getattr(events, name))
    found = []
    for word in words:
        comment = re.search(rf'"{word}",  # (.*)', source)
        found.append(f"`{word}`" + (f" ({comment[1]})" if comment else ""))
    return ", ".join(found)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(" ".join(x.split()) for x in row) + " |" for row in lines)


def schema() -> str:
    """The JSON schema of all notices."""
    return json.dumps(shapes.schema(), indent=2) + "\n"


TABLES = {"settings": settings, "metrics": metrics, "events": event_types, "history": history}


def made_anew(page: str) -> str:
    """A page with all that stands between its markers made anew."""
    for name, make in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, marker, rest = page.partition(begin)
        if marker:
            page = f"{before}{begin}\n{make()}\n\n{end}{rest.partition(end)[2]}"
    return page


def main() -> int:
    """Make all pages anew, or look whether they are."""
    pages = {path: made_anew(path.read_text()) for path in sorted(DOCS.glob("**/*.md"))}
    pages[DOCS / "notices.schema.json"] = schema()
    stale = [path for path, text in pages.items() if path.read_text() != text]
    for path in stale:
        if "--check" not in sys.argv:
            path.write_text(pages[path])
        print(("stale: " if "--check" in sys.argv else "written: ") + str(path))
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
