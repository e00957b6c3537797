"""A small process that ends what a command has started when the command dies, in whatever way.

It reads from a pipe that only the command can write to, so that the pipe closes when the command dies. Until then it
imports next to nothing.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress


class Guardian:
    """The command's handle on its guardian process."""

    def __init__(self, mark: str) -> None:
        from flows.catalogue import ROOT
        from flows.services.marks import MARK

        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.services.guardian", mark],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name != MARK},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # so that the terminal's Ctrl-C does not reach it
        )

    def watch(self, pid: int, layer: int) -> None:
        """Report a process that was started, and its layer."""
        if self.process.stdin:
            with suppress(BrokenPipeError):  # the guardian itself was killed
                self.process.stdin.write(f"{pid} {layer}\n".encode())

    def dismiss(self) -> None:
        """End the guardian, once all else has ended."""
        self.process.kill()
        self.process.communicate()


def guard(mark: str, reports: Iterable[str]) -> None:
    """Wait until the command has died, and end the processes that it has left.

    `reports` are the lines `pid layer` that the command writes; they end when it dies.
    """
    layers = {int(pid): int(layer) for pid, layer in map(str.split, reports)}

    from flows.services.marks import end_layers

    end_layers(mark, layers)


if __name__ == "__main__":
    guard(sys.argv[1], sys.stdin)
