"""Trainings that are killed at random moments and started again, beside one that is left alone.

    python -m tests.support.killing FOLDER --kills 25 --kinds rnn gru lstm elman numpy_rnn

Needs PREFECT_API_URL. Every attempt is a real process: forked once all is imported, and ended by SIGKILL.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.resuming.run_state import RUN_STATES

KINDS = ("rnn", "gru", "lstm", "elman", "numpy_rnn")
SETTINGS: dict[str, Any] = {
    "recipe": "custom",
    "series": {"wave": "sine", "points": 1200, "stop": 120.0, "name": "killed"},
    "horizon": 1,
    "window": {"length": 16},
    "recurrent": {"hidden": 24},
    "fit": {"epochs": 200, "members": 2},
    "elman": {"epochs": 60},
    "numpy_rnn": {"epochs": 400},
}
MOMENTS = ("anywhere", "checkpoint", "recording")


def train(folder: Path, kind: str) -> None:
    """Train in this process, in a folder with a database of its own."""
    from flows.train import train as flow

    os.chdir(folder)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    flow(**SETTINGS, models=[kind])


def attempt(folder: Path, kind: str, moment: Callable[[float], bool]) -> bool:
    """Start a process that trains, and kill it once `moment` is true, which takes the seconds since its start.

    Returns whether it was killed before its training had ended.
    """
    began, child = time.monotonic(), os.fork()
    if child == 0:
        with (folder / "output.log").open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        try:
            train(folder, kind)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if os.waitstatus_to_exitcode(status):
                raise AssertionError((folder / "output.log").read_text()[-5000:])
            return False
        if moment(time.monotonic() - began):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            run_states = folder / RUN_STATES
            return not run_states.exists() or any(run_states.glob("[!.]*"))  # else it had ended
        time.sleep(0.0005)


def never(_: float) -> bool:
    """The moment of a process that is left alone."""
    return False


def moment_of(name: str, folder: Path, after: float) -> Callable[[float], bool]:
    """Return when to kill: `after` seconds, or later while a checkpoint or artifacts are written."""
    if name == "anywhere":
        return lambda seconds: seconds > after
    if name == "checkpoint":
        return lambda seconds: seconds > after and any(folder.glob(f"{RUN_STATES}/*/.*.draft"))
    n_files = len(list(folder.glob("artifacts/**/*")))
    return lambda seconds: len(list(folder.glob("artifacts/**/*"))) > n_files + int(after * 10)


def tracked_result(folder: Path) -> dict[str, Any]:
    """Return what MLflow keeps of a training, without times and ids; check that each thing is there once."""
    import pandas as pd
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert [run.info.status for run in runs] == ["FINISHED"] * 2, [run.info.status for run in runs]
    assert not list(folder.glob(f"{RUN_STATES}/*")), "the run state is still there"
    (run,) = (run for run in runs if "mlflow.parentRunId" in run.data.tags)
    histories = {
        name: [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
        if not name.startswith("system/") and name != "seconds"
    }
    for name, history in histories.items():
        assert len({step for step, _ in history}) == len(history), f"{name} is there more than once"
    artifacts = Path(str(run.info.artifact_uri).removeprefix("file://"))
    (table,) = artifacts.glob("predictions/*.parquet")
    (version,) = client.search_model_versions("name = 'killed'")
    (weights,) = folder.glob(f"artifacts/**/{run.data.tags['tidecast.model_id']}/**/weights.safetensors")
    return {
        "metrics": histories,
        "predictions": hashlib.sha256(pd.read_parquet(table).to_csv().encode()).hexdigest(),
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "champion": client.get_registered_model("killed").aliases.get("champion"),
        "reason": version.tags["gate.reason"],
    }


def kill_often(folder: Path, kind: str, kills: int, seed: int) -> dict[str, Any]:
    """Kill trainings of one kind `kills` times, start each again until it has ended, and count them.

    **Raises:** `AssertionError` where they leave something else than a training that was never killed.
    """
    from tasks.tracking.database import make_database

    folder.mkdir(parents=True, exist_ok=True)
    empty = folder / "empty.db"
    make_database(f"sqlite:///{empty}")  # once: it takes as long as a training
    chance = random.Random(f"{kind} {seed}")  # noqa: S311
    done, trainings = dict.fromkeys(MOMENTS, 0), 0
    alone = folder / f"{kind}-alone"
    alone.mkdir()
    shutil.copy(empty, alone / "mlflow.db")
    began = time.monotonic()
    attempt(alone, kind, never)
    seconds, expected = time.monotonic() - began, tracked_result(alone)
    while sum(done.values()) < kills:
        trainings += 1
        killed = folder / f"{kind}-{trainings}"
        killed.mkdir()
        shutil.copy(empty, killed / "mlflow.db")
        for _ in range(min(chance.randint(1, 6), kills - sum(done.values()))):
            name = chance.choices(MOMENTS, (3, 1, 1))[0]
            after = chance.uniform(0, 1.1 * seconds if name == "anywhere" else 0.6 * seconds)
            if not attempt(killed, kind, moment_of(name, killed, after)):
                break
            done[name] += 1
        else:
            attempt(killed, kind, never)
        assert tracked_result(killed) == expected, f"{kind}: {killed} differs from {alone}"
    return {"kind": kind, "trainings": trainings, "killed": done, "alone": round(seconds, 1)}


def main() -> None:
    """Kill as often as the command line says, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--kills", type=int, default=5, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    import flows.train  # noqa: F401
    import tasks.drawing
    import tasks.gate
    import tasks.recording  # noqa: F401

    for kind in arguments.kinds:
        line = json.dumps(kill_often(arguments.folder.absolute(), kind, arguments.kills, arguments.seed))
        print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
