"""The command ``pmon`` and its subcommands."""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "analyze": ("pmon.cli.analyze.command", "analyze"),
    "check": ("pmon.cli.check.command", "check"),
    "demo": ("pmon.cli.demo", "demo"),
    "dispatch": ("pmon.cli.dispatch", "dispatch"),
    "privacy": ("pmon.cli.privacy.command", "privacy"),
    "report": ("pmon.cli.report.command", "report"),
    "simulate": ("pmon.cli.simulate", "simulate"),
    "worker": ("pmon.cli.worker", "main"),
}
"""Where each subcommand stands; it is loaded when it is asked for."""


class _Lazy(click.Group):
    """A group whose commands are modules, so that one does not pay for another's imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pmon-livekit")
def main() -> None:
    """Watch who speaks in LiveKit rooms, and whose link or video is bad."""
