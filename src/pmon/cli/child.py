"""Child processes that never outlive us, not even when we are killed."""

from __future__ import annotations

import subprocess


class Guard:
    """Kills a child's process group as soon as this process is gone, however it went.

    ``atexit`` does not run after SIGKILL, and the kernel's parent-death signal is Linux's alone
    and follows the starting *thread*. A shell that reads from a pipe whose other end only we hold
    does the same everywhere: the pipe breaks when we die. The child must be the leader of its own
    process group (``start_new_session=True``). As long as we have not waited for the child its id
    cannot be given to another process, so ``release`` it before that wait.
    """

    def __init__(self, pid: int) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", 'read -r _; kill -s KILL -- "-$1"', "guard", str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def release(self) -> None:
        """Let the child live or die on its own."""
        self._shell.kill()
        self._shell.communicate()
