"""What docs/ and the README say is so: tables come from the source, commands are run somewhere."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from pmon.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
RUN_BY = {
    "make demo": ("tests/integration/test_bare_clone.py", '"make", "demo"'),
    "make test": (".ci/run", "make test"),
    "pip install .": ("tests/integration/test_new_user.py", "pip install ."),
    "pip install '.[": ("deploy/Dockerfile", "'.[postgres]'"),
    "python3 -m venv": ("tests/integration/test_new_user.py", "getting-started.md"),
    ". pmon-venv": ("tests/integration/test_new_user.py", "getting-started.md"),
    "pmon-worker": ("tests/integration/test_new_user.py", "getting-started.md"),
    "pmon dispatch": ("tests/integration/test_new_user.py", "getting-started.md"),
    "pmon simulate": ("tests/integration/test_new_user.py", "getting-started.md"),
    "pmon report": ("tests/integration/test_history_worker.py", '"report"'),
    "pmon privacy": ("tests/unit/test_privacy.py", '"privacy"'),
    "export": ("tests/integration/test_new_user.py", "getting-started.md"),
}
"""How each command begins, what runs it, and the words there. What nothing runs may be wrong."""


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if words := shlex.split(line, comments=True):
                    yield page.name, shlex.join(words)


def test_the_tables_are_those_of_the_source() -> None:
    """`python scripts/make_reference.py` makes them anew."""
    command = [sys.executable, str(ROOT / "scripts" / "make_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_a_command_of_the_docs_is_run_somewhere(page: str, command: str) -> None:
    [(file, words)] = [run for begin, run in RUN_BY.items() if command.startswith(begin)]
    assert words in (ROOT / file).read_text()


@pytest.mark.parametrize("command", sorted({c for _, c in commands() if c.startswith("pmon")}))
def test_a_command_of_the_docs_has_no_flag_that_is_not(command: str) -> None:
    """And every value is one that it takes."""
    name, *arguments = itertools.takewhile(lambda word: word != ">", shlex.split(command))
    begun = import_module("pmon.cli.worker" if name == "pmon-worker" else "pmon.cli.main").main
    while isinstance(begun, click.Group):
        begun = begun.get_command(click.Context(begun), arguments.pop(0))
    begun.make_context(name, arguments)


def test_what_is_named_in_the_text_is_there() -> None:
    """Targets of make and commands of pmon."""
    text = "\n".join(page.read_text() for page in PAGES)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"`make ([\w-]+)", text))
    assert "demo" in named
    assert named <= set(targets)
    named = set(re.findall(r"`pmon (\w+)", text))
    assert "check" in named
    assert named <= set(COMMANDS)


def test_every_extra_of_the_docs_is_one() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = {
        name
        for page in PAGES
        for name in re.findall(r"(?:pmon-livekit|\.)\[(\w+)\]", page.read_text())
    }
    assert named
    assert named <= set(extras)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target
            if page.parent.name == "docs":  # the site has nothing but them
                assert (page.parent / target).resolve().is_relative_to(page.parent), target


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").glob("**/*.md"):
        assert str(page.relative_to(ROOT / "docs")) in menu
