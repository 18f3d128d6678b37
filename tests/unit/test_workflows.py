"""What runs on others' machines with our name: pinned, with least rights, by targets that exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
JOBS = [(name, job) for name, flow in WORKFLOWS.items() for job in flow["jobs"]]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def job_of(name: str, job: str) -> dict[str, Any]:
    found: dict[str, Any] = WORKFLOWS[name]["jobs"][job]
    return found


def commands(job: dict[str, Any]) -> list[str]:
    return [line for step in job.get("steps", []) for line in step.get("run", "").splitlines()]


def test_there_are_those_that_there_should_be() -> None:
    assert {"test", "sanitizers", "wheels", "release", "audit"} <= set(WORKFLOWS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_action_is_pinned_by_its_commit_and_says_its_version(path: Path) -> None:
    """A tag can be moved to other code by whoever gets hold of it."""
    used = re.findall(r"uses:\s*(.*)$", path.read_text(), re.MULTILINE)
    assert used
    for text in used:
        local = text.startswith("./.github/workflows/")
        assert local or re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", text), text


def test_one_action_is_pinned_to_one_commit_everywhere() -> None:
    text = "".join(path.read_text() for path in FILES)
    used = set(re.findall(r"uses:\s*([\w./-]+)@(\w+ # \S+)", text))
    assert len(used) == len({action for action, _ in used})


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_no_job_may_do_more_than_read(name: str, job: str) -> None:
    """Only what publishes gets more, and that is an identity, no right to write here."""
    assert WORKFLOWS[name]["permissions"] == {}
    allowed: dict[str, str] = job_of(name, job)["permissions"]
    if (name, job) == ("release", "publish"):
        assert allowed == {"id-token": "write"}
    else:
        assert allowed in ({}, {"contents": "read"})


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_no_checkout_leaves_its_token_behind(name: str, job: str) -> None:
    for step in job_of(name, job).get("steps", []):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_each_job_ends_by_itself(name: str, job: str) -> None:
    assert "uses" in job_of(name, job) or job_of(name, job)["timeout-minutes"] <= 60


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_each_command_is_a_target_of_make_that_there_is(name: str, job: str) -> None:
    """What cannot be run at home cannot be seen to work there."""
    for command in commands(job_of(name, job)):
        if (name, job) == ("test", "required"):
            continue
        assert command.startswith("make "), command
        assert command.split()[1] in TARGETS, command


def test_what_a_stranger_writes_is_nowhere_part_of_a_command() -> None:
    """As ${{ github.head_ref }} would be, the name of a branch."""
    for name, job in JOBS:
        for command in commands(job_of(name, job)):
            assert set(re.findall(r"\$\{\{(.*?)\}\}", command)) <= {" needs.test.result "}
    assert not [name for name, flow in WORKFLOWS.items() if "pull_request_target" in flow[True]]


def test_what_is_published_comes_from_tags_alone_without_a_secret() -> None:
    release = WORKFLOWS["release"]
    assert release[True] == {"push": {"tags": ["v*"]}}  # YAML reads "on" as true
    publish = release["jobs"]["publish"]
    assert publish["environment"]["name"] == "pypi"
    assert publish["needs"] == "wheels"
    assert not [step for step in publish["steps"] if "run" in step]
    assert not [path for path in FILES if "secrets." in path.read_text()]


def test_each_python_that_the_package_names_is_tested_and_built() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["project"]["classifiers"]))
    assert named == WORKFLOWS["test"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    built = project["tool"]["cibuildwheel"]["build"].split()
    assert built == [*(f"cp{v.replace('.', '')}-*" for v in named), "cp314t-*"]


def test_a_wheel_is_tested_with_the_same_at_home() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (tests,) = re.findall(r"^WHEEL_TESTS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert project["tool"]["cibuildwheel"]["test-sources"] == tests.split()
    for path in tests.split():
        assert (ROOT / path).exists()
