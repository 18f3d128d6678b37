"""The commands, run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from pmon.settings import SETTINGS

SECRET = "hush-hush"
KEYS = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": SECRET}
WORKER = ("from pmon.cli.worker import main; main(prog_name='pmon-worker')",)
PMON = ("from pmon.cli.main import main; main(prog_name='pmon')",)


def run(program: tuple[str], *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with no setting from this one's environment."""
    own = {setting.variable for setting in SETTINGS}
    inherited = {name: value for name, value in os.environ.items() if name not in own}
    return subprocess.run(
        [sys.executable, "-c", *program, *arguments],
        env={**inherited, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_missing_settings_are_all_named_and_exit_with_2() -> None:
    done = run(WORKER)
    assert done.returncode == 2
    assert "LIVEKIT_API_KEY" in done.stderr
    assert "LIVEKIT_API_SECRET" in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_settings_from_both_sides_are_one_message() -> None:
    bad = {"INACTIVITY_TIMEOUT": "5", "PMON_HTTP_PORT": "99999", "LIVEKIT_API_SECRET": "hush hush"}
    done = run(WORKER, "--speaking-threshold", "2", **bad)
    assert done.returncode == 2
    for name in ("INACTIVITY_TIMEOUT", "PMON_HTTP_PORT", "SPEAKING_THRESHOLD", "LIVEKIT_API_KEY"):
        assert done.stderr.count(name) == 1
    assert "hush hush" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("flag", ["record", "trace"])
def test_an_unusable_folder_exits_with_2(flag: str) -> None:
    """It shows only when the worker runs, and is a bad setting all the same."""
    done = run(WORKER, f"--{flag}", "/dev/null/folder", "--http-port", "0", **KEYS)
    assert done.returncode == 2
    assert f"PMON_{flag.upper()}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_help_shows_every_flag_with_its_variable() -> None:
    done = run(WORKER, "--help", COLUMNS="1000")
    assert done.returncode == 0
    words = " ".join(done.stdout.split())
    for setting in SETTINGS:
        assert f"{setting.flag} TEXT " in words
        assert f"[{setting.variable}, " in words
    assert SECRET not in done.stdout


def test_help_and_bad_settings_do_not_load_the_sdk() -> None:
    """Loading it takes a second and a hundred megabytes."""
    check = "import sys, pmon.cli.worker; sys.exit('livekit' in sys.modules)"
    assert run((check,)).returncode == 0


@pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="there is nothing to choose")
@pytest.mark.parametrize(
    ("before", "after"), [("SCHED_OTHER", "SCHED_BATCH"), ("SCHED_IDLE", "SCHED_IDLE")]
)
def test_the_worker_waits_its_turn_unless_the_operator_chose_otherwise(
    before: str, after: str
) -> None:
    """Woken for each packet, its threads would take the core from each other all the time; and
    who runs it when nothing else does must not find it among the others."""
    check = (
        "import os, pmon.cli.worker as worker;"
        f"os.sched_setscheduler(0, os.{before}, os.sched_param(0));"
        "worker._wait_rather_than_interrupt();"
        f"assert os.sched_getscheduler(0) == os.{after}, os.sched_getscheduler(0)"
    )
    done = run((check,))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program", [WORKER, PMON])
def test_version(program: tuple[str]) -> None:
    done = run(program, "--version")
    assert done.stdout.split()[-1] == version("pmon-livekit")


def test_pmon_worker_is_the_same_command() -> None:
    done = run(PMON, "worker")
    assert done.returncode == 2
    assert "LIVEKIT_API_KEY" in done.stderr


def test_pmon_lists_its_commands() -> None:
    done = run(PMON, "--help")
    assert done.returncode == 0
    listed = ("analyze", "check", "demo", "dispatch", "privacy", "report", "simulate", "worker")
    for name in listed:
        assert name in done.stdout


SERVER = {"url", "api_key", "api_secret", "agent_name"}


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        ("check", {setting.field for setting in SETTINGS} - {"media"}),
        ("dispatch", SERVER),
        ("simulate", SERVER),
    ],
)
def test_the_help_of_a_command_shows_its_settings_with_their_variables(
    command: str, fields: set[str]
) -> None:
    done = run(PMON, command, "--help", COLUMNS="1000", **KEYS)
    assert done.returncode == 0
    words = " ".join(done.stdout.split())
    for setting in SETTINGS:
        assert (f" {setting.flag} TEXT " in words) == (setting.field in fields)
        assert (f"[{setting.variable}, " in words) == (setting.field in fields)
    assert SECRET not in done.stdout


@pytest.mark.parametrize("arguments", [["check"], ["dispatch", "room"], ["simulate", "room"]])
def test_a_command_without_settings_names_all_that_is_missing(arguments: list[str]) -> None:
    done = run(PMON, *arguments)
    assert done.returncode == 2
    for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        assert name in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_command_exits_with_2() -> None:
    done = run(PMON, "wroker")
    assert done.returncode == 2
    assert "wroker" in done.stderr
