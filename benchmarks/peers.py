"""Tidecast compared with a bare PyTorch loop, neuralforecast and darts; `make bench-peers`.

Two measurements. Every training runs in a new process, and the libraries take turns, so that a slow phase of the
machine affects all of them. Imports, and a first pass in which code is loaded and compiled, do not count. It takes
about ten minutes on two idle cores. PyTorch's second thread waits long for a busy core, so measurements on two threads
need an idle machine.

**The same steps.** Windows a second while training a GRU of 64 units on windows of 50 points of a sine, 256 a batch,
one step ahead: 10,240 windows, 40 steps a pass, 5 passes. Network, loss and optimiser are the same for all (Adam, rate
0.001, no clipping; the `foreach` form for PyTorch). `windows_per_s` counts only the last four passes, without start-up.
`whole_s` is the whole call, which also builds the model, the data set and the trainer.

**The same quality.** Seconds and steps until the validation RMSE one step ahead, in the units of the series, is at most
0.0005 on the recipe gru-sine: 1,000 points, windows of 10, 50 units, batches of 64; medians over seeds 0 to 4. All
compute it after every pass of 11 steps. Tidecast follows its recipe, and the time in which it computes the RMSE counts;
for the others the clock stops meanwhile (`whole_s` counts it). All run on one thread, as a second one does not help
with batches so small.

The other libraries have the best settings of those that were tried. First the bare loop, over five seeds: rates from
0.01 to 0.05, constant or falling as a cosine over 660 or 1,100 steps, with and without clipping at a norm of 1. Nothing
took fewer steps than a constant rate with clipping. Then each library at rates of 0.01, 0.02 and 0.03. The series is
given in two ways: `values`, scaled to mean 0 and deviation 1, and `differences` from point to point, divided by their
root mean square (ten of them span 11 points). Differences suit a smooth wave far better, and better than scaling each
window (as neuralforecast's scaler `standard` and darts' `RINorm` do; tried in the bare loop). Tidecast reads values,
and its targets are differences.

`ratio_to_bare` is the time of the bare loop divided by that of the row; higher is faster. In the second measurement it
is that of the bare loop on differences. `arrived` counts the seeds that reached the RMSE within the recipe's 1,100
steps; `inf` means that most did not.
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

TIDECAST, PEERS = Path(sys.executable), ROOT / ".venv-peers" / "bin" / "python"
PYTHONS = {"bare": TIDECAST, "tidecast": TIDECAST, "neuralforecast": PEERS, "darts": PEERS}
RATES = {
    "values": {"bare": 0.02, "neuralforecast": 0.03, "darts": 0.03},
    "differences": {"bare": 0.02, "neuralforecast": 0.03, "darts": 0.03},
}
GOAL_RMSE = 0.0005
SEEDS = range(5)


def speed_task(threads: int) -> Task:
    """Return the task of the first measurement: 200 steps on a sine, without validation."""
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
        goal_rmse=0.0,
        spec=spec.model_dump(),
    )


def recipe_task(seed: int) -> Task:
    """Return the task of the second measurement as in the recipe, for Tidecast."""
    recipe = recipe_parameters("train", "gru-sine")
    parts = {name: recipe[name] for name in ("window", "recurrent", "fit")}
    spec = ModelSpec(model="gru", seed=seed, **parts)
    wave = SeriesSpec(**recipe["series"])
    panel = one_series("wave", wave_values(wave, 0, wave.points))
    split = split_panel(panel, SplitSpec(**recipe.get("split", {})))
    scaling = fit_scaling(panel, split.train, spec.window)
    return Task(
        values=scaling.scale(panel).values.tolist(),
        train=int(split.train[0]),
        validation=int(split.validation[0] - split.train[0]),
        length=spec.window.length,
        hidden=spec.recurrent.hidden,
        batch=spec.fit.batch,
        passes=spec.fit.epochs,
        rate=spec.fit.learning_rate,
        clip=spec.fit.clip,
        seed=seed,
        threads=1,
        goal_rmse=GOAL_RMSE / float(scaling.scales[0]),
        spec=spec.model_dump(),
    )


def peer_task(library: str, series: str, seed: int) -> Task:
    """Return the task of the second measurement for another library, with the series as values or as differences."""
    task = replace(recipe_task(seed), rate=RATES[series][library])
    if series == "values":
        return task
    differences = np.diff(task.values)
    scale = float(np.sqrt(np.mean(differences[: task.train - 1] ** 2)))
    values, goal_rmse = (differences / scale).tolist(), task.goal_rmse / scale
    return replace(task, values=values, train=task.train - 1, goal_rmse=goal_rmse)


def measure(library: str, task: Task) -> dict[str, Any]:
    """Train in a new process on the task's number of threads; return the trace."""
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
    """Return a row for each library: the medians over the rounds."""
    task = speed_task(threads)
    traces: dict[str, list[dict[str, Any]]] = {library: [] for library in PYTHONS}
    for _ in range(rounds):
        for library in PYTHONS:
            traces[library].append(measure(library, task))
    seconds = {name: [t["passes"][-1] - t["passes"][0] for t in each] for name, each in traces.items()}
    windows = (task.steps - task.pass_steps) * task.batch
    return [
        {
            "what": library,
            "threads": threads,
            "windows_per_s": windows / statistics.median(seconds[library]),
            "ratio_to_bare": median_ratio(seconds["bare"], seconds[library]),
            "whole_s": statistics.median(trace["whole"] for trace in traces[library]),
        }
        for library in PYTHONS
    ]


def quality_rows() -> list[dict[str, Any]]:
    """Return a row for each library and way to give the series: the medians over the seeds."""
    runs = [("tidecast", "values")] + [(library, series) for series in RATES for library in RATES[series]]
    traces: dict[tuple[str, str], list[dict[str, Any]]] = {run: [] for run in runs}
    for seed in SEEDS:
        for library, series in runs:
            task = recipe_task(seed) if library == "tidecast" else peer_task(library, series, seed)
            traces[library, series].append(measure(library, task))
    pass_steps = recipe_task(0).pass_steps
    reference = statistics.median(arrival(trace) for trace in traces["bare", "differences"])
    rows = []
    for (library, series), of_run in traces.items():
        seconds = statistics.median(arrival(trace) for trace in of_run)
        rows.append(
            {
                "what": library,
                "reads": series,
                "seconds": seconds,
                "steps": pass_steps * statistics.median(len(trace["passes"]) for trace in of_run),
                "ratio_to_bare": reference / seconds,
                "arrived": f"{sum(math.isfinite(arrival(trace)) for trace in of_run)} of {len(of_run)}",
                "whole_s": statistics.median(trace["whole"] for trace in of_run),
            }
        )
    return rows


def arrival(trace: Mapping[str, Any]) -> float:
    """Return the seconds of training until the goal; infinity if it was not reached."""
    return trace["passes"][-1] if trace["rmse"][-1] <= trace["goal_rmse"] else math.inf


def main() -> int:
    """Measure all rows, print the tables, and write the JSON file."""
    parser = options("Tidecast compared with a bare PyTorch loop, neuralforecast and darts.", rounds=3)
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[2, 1], help="numbers of threads on which steps are timed"
    )
    arguments = parser.parse_args()
    if not PEERS.exists():
        print("there is no .venv-peers: run make bench-peers, which creates it", file=sys.stderr)
        return 2
    rows = [row for threads in arguments.threads for row in speed_rows(threads, arguments.rounds)]
    report("peers", {"rows": rows, f"time_to_rmse_{GOAL_RMSE}": quality_rows()}, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
