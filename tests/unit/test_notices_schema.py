"""The notices' schema and page say what is really sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
from noticed_room import check

from pmon.metadata import Alert
from pmon.outputs.notices import shapes
from pmon.outputs.notices.facts import ISSUES

PAGE = (Path(__file__).parents[2] / "docs" / "notices.md").read_text()
EXAMPLES = [block.strip() for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
TYPES = {str(kind.__struct_config__.tag) for kind in get_args(shapes.AnyNotice)}


def test_a_packet_that_is_not_as_documented_is_found() -> None:
    """The check that all other tests rely on."""
    good = shapes.SpeakingDetection(participant="alice", timestamp=1.0, speaking=True)
    check(msgspec.json.encode(good))
    message = msgspec.json.decode(msgspec.json.encode(good))
    for wrong in ({"type": "spoken"}, {"speaking": "yes"}, {"more": 1}):
        with pytest.raises((jsonschema.ValidationError, msgspec.ValidationError, AssertionError)):
            check(msgspec.json.encode(message | wrong))


def test_there_is_an_example_of_each_type() -> None:
    assert {json.loads(example)["type"] for example in EXAMPLES} == TYPES


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_one_that_could_be_sent(example: str) -> None:
    check(example.encode())


@pytest.mark.parametrize("word", [*sorted(TYPES), *get_args(Alert), *ISSUES])
def test_the_page_names_every_type_alert_and_issue(word: str) -> None:
    assert f"`{word}`" in PAGE


def test_every_property_of_the_schema_stands_in_an_example() -> None:
    """A field that is in no example is one that nobody sees how it looks."""
    seen: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            seen.update(value)
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    for example in EXAMPLES:
        walk(json.loads(example))
    named = {name for kind in shapes.schema()["$defs"].values() for name in kind["properties"]}
    assert named <= seen
