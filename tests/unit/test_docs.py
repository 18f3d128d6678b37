"""What docs/ and the README say is so: tables come from the source, commands are run somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
OWN_SERVER = "needs a server of the reader's own"
RUN_BY = {
    "make demo": "tests/integration/test_bare_clone.py",
    "pip install .": "Makefile",
    "pmon-worker": "tests/integration/worker.py",
    "pmon dispatch": "tests/integration/test_dispatch.py",
    "pmon simulate": "tests/integration/test_simulate.py",
    "export": OWN_SERVER,
}
"""The first words of each command, and what runs it. One that nothing runs may be wrong."""


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip() and not line.strip().startswith("#"):
                    yield page.name, line.strip()


def test_the_tables_are_those_of_the_source() -> None:
    """`python scripts/make_reference.py` makes them anew."""
    command = [sys.executable, str(ROOT / "scripts" / "make_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_a_command_of_the_docs_is_run_somewhere(page: str, command: str) -> None:
    [found] = [run for begin, run in RUN_BY.items() if f"{command} ".startswith(f"{begin} ")]
    assert found == OWN_SERVER or (ROOT / found).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").glob("**/*.md"):
        assert str(page.relative_to(ROOT / "docs")) in menu
