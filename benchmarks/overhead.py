"""Time of the whole command `tidecast train`, compared with the bare training of the same network, step by step.

`python -m benchmarks.overhead [--rounds N] [--json FILE]`. A round runs everything once, in turn, in a new folder with
new databases of Prefect and MLflow; "again" means once more in that folder. The bare training is the second training in
a process that uses only `models`, so that everything is already imported, compiled and open.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import options, report
from flows.catalogue import recipe_parameters
from flows.cli import QUIET

RECIPE = "gru-sine"
ROOT = Path(__file__).resolve().parent.parent
COMMAND = "import flows.cli; flows.cli.main()"
STEPS = ("start", "train", "record")


def train_bare() -> None:
    """Train the recipe's network twice, without Prefect and MLflow."""
    import numpy as np

    from models.data.panel import one_series
    from models.data.scaling import fit_scaling
    from models.data.splits import split_panel
    from models.data.windows import origins_within
    from models.forecaster import build_network
    from models.specs import ModelSpec, SeriesSpec, SplitSpec

    recipe = recipe_parameters("train", RECIPE)
    wave = SeriesSpec(**recipe["series"])
    spec = ModelSpec(model="gru", **{part: recipe[part] for part in ("window", "recurrent", "fit")})
    panel = one_series("sine", np.sin(np.linspace(wave.start, wave.stop, wave.points)))
    split, window = split_panel(panel, SplitSpec()), spec.window
    train = origins_within(panel, panel.starts, split.train, window.length, window.horizon)
    validation = origins_within(panel, split.train, split.validation, window.length, window.horizon)
    scaled = fit_scaling(panel, split.train, spec.window).scale(panel)
    seconds = []
    for _ in range(2):
        network, began = build_network(spec), time.perf_counter()
        for _ in network.fit(scaled, train, validation):
            pass
        seconds.append(time.perf_counter() - began)
    Path("bare.json").write_text(json.dumps({"first": seconds[0], "again": seconds[1]}))


def train_warm() -> None:
    """Call the flow twice in one process; the second call counts."""
    from flows.parameters import options_of
    from flows.train import train

    parameters = dict(options_of(train.fn).model_validate(recipe_parameters("train", RECIPE)))
    train(recipe=RECIPE, **parameters)
    began = time.perf_counter()
    seconds = train(recipe=RECIPE, **parameters)["seconds"]
    total = time.perf_counter() - began
    Path("warm.json").write_text(json.dumps({**seconds, "start": total - seconds["flow"], "total": total}))


def log_hello() -> None:
    """Run the smallest flow that uses Prefect and MLflow: one task, which logs one metric."""
    import mlflow
    from prefect import flow, task

    mlflow.set_tracking_uri("sqlite:///mlflow.db")

    @task
    def log() -> None:
        with mlflow.start_run():
            mlflow.log_metric("one", 1.0)

    @flow
    def say_hello() -> None:
        log()

    say_hello()


PIECES = {"bare": train_bare, "warm": train_warm, "hello": log_hello}


def run_in(folder: Path, *arguments: str) -> float:
    """Run a new Python process in `folder`; return its seconds from start to end."""
    folder.mkdir(exist_ok=True)
    settings = {"PYTHONPATH": str(ROOT), "PREFECT_HOME": str(folder / ".prefect")}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    began = time.perf_counter()
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env={**inherited, **QUIET, **settings}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return time.perf_counter() - began


def measure_round(folder: Path) -> dict[str, dict[str, float]]:
    """Run everything once; return the seconds of each in total, and by step if it has steps."""
    seconds: dict[str, dict[str, float]] = {}
    for name in ("tidecast, new databases", "tidecast, again"):
        total = run_in(folder / "command", "-c", COMMAND, "train", RECIPE, "--json", "summary.json")
        seconds[name] = {**json.loads((folder / "command" / "summary.json").read_text())["seconds"], "total": total}
    run_in(folder / "command", "-m", "benchmarks.overhead", "warm")
    seconds["second flow in a process"] = json.loads((folder / "command" / "warm.json").read_text())
    total = run_in(folder / "bare", "-m", "benchmarks.overhead", "bare")
    bare = json.loads((folder / "bare" / "bare.json").read_text())
    seconds["bare script"] = {"train": bare["first"], "total": total - bare["again"]}
    seconds["bare training"] = {"train": bare["again"], "total": bare["again"]}
    for name in ("Prefect and MLflow hello, new databases", "Prefect and MLflow hello, again"):
        seconds[name] = {"total": run_in(folder / "hello", "-m", "benchmarks.overhead", "hello")}
    return seconds


def rows_of(rounds: list[dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """Return a row for each command or script: medians over the rounds."""
    rows = []
    for what in rounds[0]:
        ratio = statistics.median(each[what]["total"] / each["bare training"]["total"] for each in rounds)
        row: dict[str, Any] = {"what": what, "seconds": median_of(rounds, what, "total"), "of bare training": ratio}
        steps = [step for step in STEPS if step in rounds[0][what]]
        row |= {step: median_of(rounds, what, step) if step in steps else "" for step in STEPS}
        rest = [each[what]["total"] - sum(each[what][step] for step in steps) for each in rounds]
        rows.append({**row, "rest": statistics.median(rest)})
    return rows


def median_of(rounds: list[dict[str, dict[str, float]]], what: str, step: str) -> float:
    """Return the median over the rounds of the seconds of one step."""
    return statistics.median(each[what][step] for each in rounds)


def main() -> None:
    """Measure all rounds, print the table, and write the JSON file."""
    parser = options(__doc__, rounds=3)
    parser.add_argument("piece", nargs="?", choices=PIECES, help="run one piece in this process")
    arguments = parser.parse_args()
    if arguments.piece:
        PIECES[arguments.piece]()
        return
    rounds = []
    for _ in range(arguments.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(measure_round(Path(folder)))
    rows = rows_of(rounds[1:])  # the first round fills caches, and does not count
    by_name = {row["what"]: row for row in rows}
    flow, training = by_name["second flow in a process"]["seconds"], by_name["bare training"]["seconds"]
    bound = f"{flow:.2f} s; at most 1.3 times the bare training and 3 s, which is {1.3 * training + 3:.2f} s"
    report("overhead", {"rows": rows}, arguments.json, second_flow_in_a_process=bound)


if __name__ == "__main__":
    main()
