"""Memory of windows and training, by the length of the series: windows must not be copies.

`python -m benchmarks.memory [--json FILE]`. Each row is a new process that takes the same steps as the tasks: a panel,
its split and origins, the scaled panel, and `Recurrent.fit` of a small GRU. Its peak memory is read at the end of each
stage. The row has the difference to the peak of the same process with a tiny series, in multiples of the bytes of the
series (8 a point). Training ends after one epoch or 20 seconds, since everything that grows with the series is
allocated before the first step.
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
    """The epoch takes longer than LONGEST seconds."""


def measure_stages(points: int, length: int, horizon: int = 1) -> dict[str, int]:
    """Return the peak memory in bytes at the end of each stage.

    **Arguments:** `points` of the series, `length` of a window (T), `horizon` in steps (S).
    """
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
    values, peaks = np.arange(points, dtype=np.float64), {}
    values *= 0.05
    panel = one_series("sine", np.sin(values, out=values))
    peaks["panel"] = peak()
    split = split_panel(panel, SplitSpec())
    bounds = (panel.starts, split.train, split.validation, split.test)
    origins = [origins_within(panel, begin, end, length, spec.window.horizon) for begin, end in pairwise(bounds)]
    peaks["windows"] = peak()
    scaled = fit_scaling(panel, split.train, spec.window).scale(panel, Recurrent.dtype)
    peaks["scaling"] = peak()
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(LONGEST)
    try:
        for _ in Recurrent(spec).fit(scaled, origins[0], origins[1]):
            pass
    except OutOfTimeError:
        pass
    signal.alarm(0)
    peaks["training"] = peak()
    return peaks


def out_of_time(_number: int, _frame: FrameType | None) -> None:
    """Stop the training, as the handler of a signal."""
    raise OutOfTimeError


def peak() -> int:
    """Return the peak memory of this process so far, in bytes.

    On Linux it comes from /proc, since the `ru_maxrss` of a process includes the memory that its parent had when it
    started the process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure_in_process(points: int, length: int, horizon: int = 1) -> dict[str, int]:
    """Return the result of `measure_stages` in a new process."""
    command = [sys.executable, "-m", "benchmarks.memory", "--stages", str(points), str(length), str(horizon)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_row(points: int, length: int, horizon: int, base: dict[str, int]) -> dict[str, Any]:
    """Return one row of the table: how far the peaks exceed those of `base`, in multiples of the series' bytes."""
    peaks = measure_in_process(points, length, horizon)
    multiples = {stage: max(0, peaks[stage] - base[stage]) / (8 * points) for stage in STAGES}
    sizes = {"points": points, "window": length, "horizon": horizon, "series MB": 8e-6 * points}
    return {**sizes, "peak MB": peaks["training"] / 1e6, **multiples}


def main() -> None:
    """Measure all rows, print the table, and write the JSON file."""
    parser = options(__doc__)
    parser.add_argument(
        "--stages", nargs=3, type=int, metavar=("POINTS", "WINDOW", "STEPS"), help="measure one row in this process"
    )
    arguments = parser.parse_args()
    if arguments.stages:
        print(json.dumps(measure_stages(*arguments.stages)))
        return
    measure_in_process(TINY, WINDOWS[0])  # compiles the kernels, so that no later process has to
    rows = []
    for length in WINDOWS:
        base = measure_in_process(TINY, length)
        rows += [measure_row(points, length, 1, base) for points in POINTS]
    longest, largest = WINDOWS[-1], POINTS[-1]
    rows.append(measure_row(largest, longest, AHEAD, measure_in_process(TINY, longest, AHEAD)))
    model = f"gru of {HIDDEN} units, batches of {BATCH}, at most {LONGEST} s of training"
    report("memory", {"rows": rows}, arguments.json, model=model)


if __name__ == "__main__":
    main()
