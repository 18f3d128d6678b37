"""The quick form of the fuzzing: the corpus, and a little of what is made of it, for each parser.

`make fuzz` is the long form, which looks for more; what it has found stays in the corpus.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest
from fuzz import CORPUS

MUTANTS = {
    "agent_messages": 2000,
    "http": 100,
    "job_metadata": 4000,
    "settings": 500,
    "tap_bytes": 4000,
}


@pytest.fixture(params=MUTANTS)
def parser(request: pytest.FixtureRequest) -> Iterator[tuple[str, ModuleType]]:
    target = import_module(f"fuzz_{request.param}")
    getattr(target, "begin", lambda: None)()
    yield request.param, target
    getattr(target, "end", lambda: None)()


def mutant(choose: random.Random, corpus: list[bytes]) -> bytes:
    """An input with some bytes changed, or a part of it in place of a part of another one."""
    data = bytearray(choose.choice(corpus))
    for _ in range(choose.randint(1, 4)):
        at = choose.randint(0, len(data))
        other = choose.choice([choose.choice(corpus), choose.randbytes(choose.randint(0, 8))])
        start = choose.randint(0, len(other))
        length = choose.choice([0, 1, 2, 8, len(data)])
        data[at : at + length] = other[start : start + choose.choice([0, 1, 4, len(other)])]
    return bytes(data[:4096])


def test_the_corpus_and_what_is_made_of_it_break_no_parser(
    parser: tuple[str, ModuleType],
) -> None:
    name, target = parser
    corpus = [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]
    assert len(corpus) > 5
    choose = random.Random(7)
    for data in [*corpus, *(mutant(choose, corpus) for _ in range(MUTANTS[name]))]:
        try:
            target.one(data)
        except BaseException as error:
            error.add_note(f"the input was {data!r}")
            raise
