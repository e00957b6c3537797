"""What the whole of `tidecast train` costs over the bare training of the same network, step by step.

`python -m benchmarks.overhead [--rounds N] [--json FILE]`. A round runs everything once, in turn, in a new folder with
new databases of Prefect and MLflow; "again" means once more in that folder. The bare training is the second one in a
process with `models` alone, in which nothing is left to import, to compile or to open.
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


def tensors_of_values() -> None:
    """The recipe's network trained twice, without Prefect and MLflow."""
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
    parts, window = split_panel(panel, SplitSpec()), spec.window
    train = origins_within(panel, panel.starts, parts.train, window.length, window.horizon)
    validation = origins_within(panel, parts.train, parts.validation, window.length, window.horizon)
    scaled = fit_scaling(panel, parts.train, spec.window).scale(panel)
    seconds = []
    for _ in range(2):
        network, began = build_network(spec), time.perf_counter()
        for _ in network.fit(scaled, train, validation):
            pass
        seconds.append(time.perf_counter() - began)
    Path("bare.json").write_text(json.dumps({"first": seconds[0], "again": seconds[1]}))


def warm() -> None:
    """The flow called twice in one process; the second call counts."""
    from flows.parameters import options_of
    from flows.train import train

    given = dict(options_of(train.fn).model_validate(recipe_parameters("train", RECIPE)))
    train(recipe=RECIPE, **given)
    began = time.perf_counter()
    seconds = train(recipe=RECIPE, **given)["seconds"]
    total = time.perf_counter() - began
    Path("warm.json").write_text(json.dumps({**seconds, "start": total - seconds["flow"], "total": total}))


def hello() -> None:
    """The least that Prefect and MLflow can do together: a flow of one task, which logs one metric."""
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


PIECES = {"bare": tensors_of_values, "warm": warm, "hello": hello}


def run_in(folder: Path, *arguments: str) -> float:
    """Seconds of a new Python process in `folder`, from its start to its end."""
    folder.mkdir(exist_ok=True)
    own = {"PYTHONPATH": str(ROOT), "PREFECT_HOME": str(folder / ".prefect")}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    began = time.perf_counter()
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env={**inherited, **QUIET, **own}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return time.perf_counter() - began


def one_round(folder: Path) -> dict[str, dict[str, float]]:
    """Everything once: seconds in all, and by step where there are steps."""
    found: dict[str, dict[str, float]] = {}
    for name in ("tidecast, new databases", "tidecast, again"):
        total = run_in(folder / "command", "-c", COMMAND, "train", RECIPE, "--json", "summary.json")
        found[name] = {**json.loads((folder / "command" / "summary.json").read_text())["seconds"], "total": total}
    run_in(folder / "command", "-m", "benchmarks.overhead", "warm")
    found["second flow in a process"] = json.loads((folder / "command" / "warm.json").read_text())
    total = run_in(folder / "bare", "-m", "benchmarks.overhead", "bare")
    tensors_of_values = json.loads((folder / "bare" / "bare.json").read_text())
    found["bare script"] = {"train": tensors_of_values["first"], "total": total - tensors_of_values["again"]}
    found["bare training"] = {"train": tensors_of_values["again"], "total": tensors_of_values["again"]}
    for name in ("Prefect and MLflow hello, new databases", "Prefect and MLflow hello, again"):
        found[name] = {"total": run_in(folder / "hello", "-m", "benchmarks.overhead", "hello")}
    return found


def rows_of(rounds: list[dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """A row a thing: medians over the rounds."""
    rows = []
    for what in rounds[0]:
        ratio = statistics.median(found[what]["total"] / found["bare training"]["total"] for found in rounds)
        row: dict[str, Any] = {"what": what, "seconds": median_of(rounds, what, "total"), "of bare training": ratio}
        known = [step for step in STEPS if step in rounds[0][what]]
        row |= {step: median_of(rounds, what, step) if step in known else "" for step in STEPS}
        rest = [found[what]["total"] - sum(found[what][step] for step in known) for found in rounds]
        rows.append({**row, "rest": statistics.median(rest)})
    return rows


def median_of(rounds: list[dict[str, dict[str, float]]], what: str, step: str) -> float:
    """The median of one figure over the rounds."""
    return statistics.median(found[what][step] for found in rounds)


def main() -> None:
    """Measure, print and write."""
    parser = options(__doc__, rounds=3)
    parser.add_argument("piece", nargs="?", choices=PIECES, help="run one piece alone, as the benchmark does")
    given = parser.parse_args()
    if given.piece:
        PIECES[given.piece]()
        return
    rounds = []
    for _ in range(given.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(one_round(Path(folder)))
    rows = rows_of(rounds[1:])  # the first round fills caches, and does not count
    by_name = {row["what"]: row for row in rows}
    flow, training = by_name["second flow in a process"]["seconds"], by_name["bare training"]["seconds"]
    bound = f"{flow:.2f} s; at most 1.3 times the bare training and 3 s, which is {1.3 * training + 3:.2f} s"
    report("overhead", {"rows": rows}, given.json, second_flow_in_a_process=bound)


if __name__ == "__main__":
    main()
