"""A small process that ends what a command has started once the command has died, in whatever way.

It reads from a pipe into which the command alone can write, so that the pipe ends with the command. Until then it
imports next to nothing.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress


class Guardian:
    """Watches over a command that marks what it starts: this side is the command's."""

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
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
        )

    def watch(self, pid: int, layer: int) -> None:
        """Tell of a process that was started, and of the layer that it belongs to."""
        if self.process.stdin:
            with suppress(BrokenPipeError):  # it was killed itself
                self.process.stdin.write(f"{pid} {layer}\n".encode())

    def dismiss(self) -> None:
        """Let it go: all has ended."""
        self.process.kill()
        self.process.communicate()


def guard(mark: str, told: Iterable[str]) -> None:
    """Wait until the command has died, and end what it has left."""
    layers = {int(pid): int(layer) for pid, layer in map(str.split, told)}

    from flows.services.marks import end_layers

    end_layers(mark, layers)


if __name__ == "__main__":
    guard(sys.argv[1], sys.stdin)
