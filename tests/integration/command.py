"""``pmon`` as a user runs it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import NamedTuple

from pmon.cli.livekit_server import LocalServer

PMON = str(Path(sys.executable).with_name("pmon"))


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def verdicts(self) -> dict[str, str]:
        """What each line is about, and its verdict."""
        lines = [line.split(maxsplit=1) for line in self.out.splitlines()]
        return {rest.partition(":")[0]: verdict for verdict, rest in lines}


def environment(server: LocalServer) -> dict[str, str]:
    """With no setting of this process's but how to reach this server."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PMON_", "LIVEKIT_"))}
    return kept | {
        "LIVEKIT_URL": server.url,
        "LIVEKIT_API_KEY": server.api_key,
        "LIVEKIT_API_SECRET": server.api_secret,
    }


async def pmon(*arguments: str, server: LocalServer, **environ: str) -> Done:
    """Run a command to its end, and see that it says no secret and fails in words."""
    process = await asyncio.create_subprocess_exec(
        PMON,
        *arguments,
        env=environment(server) | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    done = Done(process.returncode, out.decode(), err.decode())
    assert "Traceback" not in done.out + done.err, done
    assert server.api_secret not in done.out + done.err
    return done
