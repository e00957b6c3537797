"""Memory of windowing and training against the length of the series: windows must not be copies.

`python -m benchmarks.memory [--json FILE]`. Each row is a process of its own that goes the way of the tasks: a panel,
its parts and origins, the scaled panel, and `Recurrent.fit` of a small GRU. Its peak memory is counted above that of
the same process with a tiny series, in multiples of the series' bytes, 8 a point. The peak is read at the
end of every stage. Training ends after one epoch or 20 seconds: what grows with the series is made before the first
step.
"""

import json
import resource
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.measuring import options, report

POINTS, WINDOWS, TINY = (100_000, 1_000_000, 10_000_000), (32, 512), 20_000
AHEAD = 96
HIDDEN, BATCH, LONGEST = 8, 64, 20
STAGES = ("panel", "windows", "scaling", "training")


class OutOfTimeError(Exception):
    """The epoch takes longer than the benchmark waits."""


def stages(points: int, length: int, horizon: int = 1) -> dict[str, int]:
    """Peak memory in bytes at the end of each stage, for so many points, windows of so many and steps ahead."""
    import numpy as np

    from models.data.panel import one_series
    from models.data.scaling import fit_scaling
    from models.data.splits import split_panel
    from models.data.windows import origins_within
    from models.recurrent import Recurrent
    from models.specs import FitSpec, ModelSpec, RecurrentSpec, SplitSpec, WindowSpec

    spec = ModelSpec(
        model="gru",
        window=WindowSpec(length=length, horizon=horizon),
        recurrent=RecurrentSpec(hidden=HIDDEN),
        fit=FitSpec(epochs=1, batch=BATCH),
    )
    values, found = np.arange(points, dtype=np.float64), {}
    values *= 0.05
    panel = one_series("sine", np.sin(values, out=values))
    found["panel"] = peak()
    parts = split_panel(panel, SplitSpec())
    bounds = (panel.starts, parts.train, parts.validation, parts.test)
    origins = [origins_within(panel, begin, end, length, spec.window.horizon) for begin, end in pairwise(bounds)]
    found["windows"] = peak()
    scaled = fit_scaling(panel, parts.train, spec.window).scale(panel, Recurrent.dtype)
    found["scaling"] = peak()
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(LONGEST)
    try:
        for _ in Recurrent(spec).fit(scaled, origins[0], origins[1]):
            pass
    except OutOfTimeError:
        pass
    signal.alarm(0)
    found["training"] = peak()
    return found


def out_of_time(_number: int, _frame: FrameType | None) -> None:
    """Ends the training from outside."""
    raise OutOfTimeError


def peak() -> int:
    """The most bytes of memory that this process has held so far.

    Linux counts into a child's `ru_maxrss` what its parent held when it was started, so its own figure is read there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def in_a_process(points: int, length: int, horizon: int = 1) -> dict[str, int]:
    """`stages` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--stages", str(points), str(length), str(horizon)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def row_of(points: int, length: int, horizon: int, base: dict[str, int]) -> dict[str, Any]:
    """The growth of the peak over the base's, in multiples of the series' bytes."""
    found = in_a_process(points, length, horizon)
    times = {stage: max(0, found[stage] - base[stage]) / (8 * points) for stage in STAGES}
    sizes = {"points": points, "window": length, "horizon": horizon, "series MB": 8e-6 * points}
    return {**sizes, "peak MB": found["training"] / 1e6, **times}


def main() -> None:
    """Measure, print and write."""
    parser = options(__doc__)
    parser.add_argument(
        "--stages", nargs=3, type=int, metavar=("POINTS", "WINDOW", "STEPS"), help="one process's own work"
    )
    given = parser.parse_args()
    if given.stages:
        print(json.dumps(stages(*given.stages)))
        return
    in_a_process(TINY, WINDOWS[0])  # so that no other has to compile
    rows = []
    for length in WINDOWS:
        base = in_a_process(TINY, length)
        rows += [row_of(points, length, 1, base) for points in POINTS]
    longest, largest = WINDOWS[-1], POINTS[-1]
    rows.append(row_of(largest, longest, AHEAD, in_a_process(TINY, longest, AHEAD)))
    model = f"gru of {HIDDEN} units, batches of {BATCH}, at most {LONGEST} s of training"
    report("memory", {"rows": rows}, given.json, model=model)


if __name__ == "__main__":
    main()
