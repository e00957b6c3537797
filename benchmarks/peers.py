"""Tidecast beside its peers: a bare PyTorch loop, neuralforecast and darts; `make bench-peers`.

Two works, every training in a process of its own, the libraries in turn, so that a slow spell of the machine strikes
all of them. Imports, and a first pass in which things are loaded and compiled, do not count. It takes about ten minutes
on two idle cores. PyTorch's second thread waits badly for a busy core, so figures at two threads need an idle machine.

**The same steps.** Windows a second of training a GRU of 64 units on windows of 50 points of a sine, 256 a batch, one
step ahead: 10,240 windows, 40 steps a pass, 5 passes. Same network, loss and optimiser for all (Adam, rate 0.001, no
clipping; the `foreach` form for the PyTorch ones). `windows_per_s` counts the last four passes alone, without any
start-up; `whole_s` is the whole call, with building the model, the data set and the trainer.

**The same quality.** Seconds and steps until the validation RMSE one step ahead, in the series' own units, is at most
0.0005 on the recipe gru-sine: 1,000 points, windows of 10, 50 units, batches of 64; medians over seeds 0 to 4. All look
at it after every pass, of 11 steps. Tidecast goes by its recipe, and the time that it takes to look is counted; for the
others the clock stands still meanwhile (`whole_s` counts it). All run on one thread, as a second one gains nothing on
batches so small.

The others are given the best of what was tried. First with the bare loop, over five seeds: rates from 0.01 to 0.05,
constant or falling as a cosine over 660 or 1,100 steps, with and without clipping at a norm of 1; nothing took fewer
steps than a constant rate with clipping. Then with each library at 0.01, 0.02 and 0.03. The series comes in two ways:
`values`, brought to mean 0 and deviation 1, and `differences` from point to point in units of their root mean square
(ten of them span 11 points). Differences suit a smooth wave far better, and better than scaling each window (as
neuralforecast's scaler `standard` and darts' `RINorm` do, tried in the bare loop). Tidecast reads values and answers
differences.

`ratio_to_bare` is the bare loop's time over the row's own, higher is faster; in the second work, the bare loop on
differences. `arrived` counts the seeds that reached the RMSE within the recipe's 1,100 steps; `inf` means most did not.
"""

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import median_ratio, options, report
from benchmarks.peer_runs import Task
from flows.catalogue import ROOT, recipe_parameters
from models.data.panel import one_series
from models.data.scaling import fit_scaling
from models.data.splits import split_panel
from models.specs import FitSpec, ModelSpec, RecurrentSpec, SeriesSpec, SplitSpec, WindowSpec
from tasks.data.series import wave_values

OWN, PEERS = Path(sys.executable), ROOT / ".venv-peers" / "bin" / "python"
PYTHONS = {"bare": OWN, "tidecast": OWN, "neuralforecast": PEERS, "darts": PEERS}
RATES = {
    "values": {"bare": 0.02, "neuralforecast": 0.03, "darts": 0.03},
    "differences": {"bare": 0.02, "neuralforecast": 0.03, "darts": 0.03},
}
GOAL = 0.0005
SEEDS = range(5)


def speed_task(threads: int) -> Task:
    """The first work: 200 steps on a sine, without validation."""
    length, hidden, batch, passes, rate = 50, 64, 256, 5, 0.001
    values = math.sqrt(2) * np.sin(0.01 * np.arange(length + 40 * batch))
    spec = ModelSpec(
        model="gru",
        window=WindowSpec(length=length),
        recurrent=RecurrentSpec(hidden=hidden, input_offset="none", target_offset="none"),
        fit=FitSpec(epochs=passes, batch=batch, learning_rate=rate, schedule="constant", warmup=0, clip=None),
    )
    return Task(
        values=values.tolist(),
        train=len(values),
        validation=0,
        length=length,
        hidden=hidden,
        batch=batch,
        passes=passes,
        rate=rate,
        clip=None,
        seed=0,
        threads=threads,
        goal=0.0,
        spec=spec.model_dump(),
    )


def recipe_task(seed: int) -> Task:
    """The second work as the recipe has it, for Tidecast."""
    recipe = recipe_parameters("train", "gru-sine")
    parts = {name: recipe[name] for name in ("window", "recurrent", "fit")}
    spec = ModelSpec(model="gru", seed=seed, **parts)
    wave = SeriesSpec(**recipe["series"])
    panel = one_series("wave", wave_values(wave, 0, wave.points))
    ends = split_panel(panel, SplitSpec(**recipe.get("split", {})))
    scaling = fit_scaling(panel, ends.train, spec.window)
    return Task(
        values=scaling.scale(panel).values.tolist(),
        train=int(ends.train[0]),
        validation=int(ends.validation[0] - ends.train[0]),
        length=spec.window.length,
        hidden=spec.recurrent.hidden,
        batch=spec.fit.batch,
        passes=spec.fit.epochs,
        rate=spec.fit.learning_rate,
        clip=spec.fit.clip,
        seed=seed,
        threads=1,
        goal=GOAL / float(scaling.scales[0]),
        spec=spec.model_dump(),
    )


def peer_task(library: str, series: str, seed: int) -> Task:
    """The second work for the others, with the series as values or as differences."""
    task = replace(recipe_task(seed), rate=RATES[series][library])
    if series == "values":
        return task
    change = np.diff(task.values)
    unit = float(np.sqrt(np.mean(change[: task.train - 1] ** 2)))
    return replace(task, values=(change / unit).tolist(), train=task.train - 1, goal=task.goal / unit)


def measure(library: str, task: Task) -> dict[str, Any]:
    """The trace of one training in a process of its own, at the task's number of threads."""
    done = subprocess.run(
        [PYTHONS[library], "-m", "benchmarks.peer_runs", library],
        input=json.dumps(asdict(task)),
        env={**os.environ, "OMP_NUM_THREADS": str(task.threads)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{library} failed:\n{done.stderr}")
    trace = json.loads(done.stdout.splitlines()[-1])
    print(f"{library}, {task.threads} threads: {trace['whole']:.1f} s", file=sys.stderr)
    return trace


def speed_rows(threads: int, rounds: int) -> list[dict[str, Any]]:
    """A row a library: the medians over the rounds."""
    task = speed_task(threads)
    traces: dict[str, list[dict[str, Any]]] = {library: [] for library in PYTHONS}
    for _ in range(rounds):
        for library, own in traces.items():
            own.append(measure(library, task))
    seconds = {library: [t["passes"][-1] - t["passes"][0] for t in own] for library, own in traces.items()}
    windows = (task.steps - task.pass_steps) * task.batch
    return [
        {
            "what": library,
            "threads": threads,
            "windows_per_s": windows / statistics.median(seconds[library]),
            "ratio_to_bare": median_ratio(seconds["bare"], seconds[library]),
            "whole_s": statistics.median(trace["whole"] for trace in own),
        }
        for library, own in traces.items()
    ]


def quality_rows() -> list[dict[str, Any]]:
    """A row for each library and way to prepare the series: the medians over the seeds."""
    runs = [("tidecast", "values")] + [(library, series) for series in RATES for library in RATES[series]]
    traces: dict[tuple[str, str], list[dict[str, Any]]] = {run: [] for run in runs}
    for seed in SEEDS:
        for (library, series), own in traces.items():
            task = recipe_task(seed) if library == "tidecast" else peer_task(library, series, seed)
            own.append(measure(library, task))
    pass_steps = recipe_task(0).pass_steps
    reference = statistics.median(arrival(trace) for trace in traces["bare", "differences"])
    rows = []
    for (library, series), own in traces.items():
        seconds = statistics.median(arrival(trace) for trace in own)
        rows.append(
            {
                "what": library,
                "reads": series,
                "seconds": seconds,
                "steps": pass_steps * statistics.median(len(trace["passes"]) for trace in own),
                "ratio_to_bare": reference / seconds,
                "arrived": f"{sum(math.isfinite(arrival(trace)) for trace in own)} of {len(own)}",
                "whole_s": statistics.median(trace["whole"] for trace in own),
            }
        )
    return rows


def arrival(trace: Mapping[str, Any]) -> float:
    """Seconds of training until the goal; infinite where it was not reached."""
    return trace["passes"][-1] if trace["rmse"][-1] <= trace["goal"] else math.inf


def main() -> int:
    """Measure, print and write."""
    parser = options("Tidecast beside a bare PyTorch loop, neuralforecast and darts.", rounds=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1], help="threads at which steps are timed")
    asked = parser.parse_args()
    if not PEERS.exists():
        print("there is no .venv-peers: run make bench-peers, which makes it", file=sys.stderr)
        return 2
    rows = [row for threads in asked.threads for row in speed_rows(threads, asked.rounds)]
    report("peers", {"rows": rows, f"time_to_rmse_{GOAL}": quality_rows()}, asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
