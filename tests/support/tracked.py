"""Checks of what MLflow keeps of many runs."""

from ast import literal_eval
from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from models.specs import COMBINED
from tasks.combination import with_combined
from tasks.resuming.run_state import RUN_STATES, read_run_state
from tasks.tracking.runs import RUN_STATE

EPOCHS = {"elman": "elman.epochs", "numpy_rnn": "numpy_rnn.epochs"}
"""The parameter with the number of epochs, for models that do not use that of the recurrent networks."""


def all_runs(mlflow: MlflowClient) -> list[Run]:
    return list(mlflow.search_runs([each.experiment_id for each in mlflow.search_experiments()], max_results=1000))


def parents(runs: Sequence[Run]) -> dict[str, Run]:
    """The MLflow run of each flow run, by the flow run's id."""
    of_flows = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    by_flow_run = {run.data.tags["prefect.flow_run_id"]: run for run in of_flows}
    assert len(by_flow_run) == len(of_flows), "a flow run has more than one run"
    return by_flow_run


def children(parent: Run, runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]


def check_that_nothing_is_mixed(runs: Sequence[Run]) -> None:
    """Check that a run's models are below it, of the same flow run, process and run state, with the same settings."""
    for parent in parents(runs).values():
        below = children(parent, runs)
        models = sorted(str(run.data.tags["model"]) for run in below)
        assert models == sorted(with_combined(literal_eval(parent.data.params["models"])))
        for run in below:
            for tag in ("prefect.flow_run_id", "tidecast.process", RUN_STATE, "recipe", "data.sha256"):
                assert run.data.tags[tag] == parent.data.tags[tag]
            shared = set(run.data.params) & set(parent.data.params) - {"season"}  # which the data may give
            assert {"seed", "fit.epochs", "window.length"} <= shared
            assert {name: run.data.params[name] for name in shared} == {
                name: parent.data.params[name] for name in shared
            }
    run_states = [run.data.tags[RUN_STATE] for run in parents(runs).values()]
    assert len(set(run_states)) == len(run_states)


def check_that_no_metric_is_lost(mlflow: MlflowClient, runs: Sequence[Run]) -> None:
    """Check that every epoch is recorded once."""
    for parent in parents(runs).values():
        for run in children(parent, runs):
            epochs = int(run.data.params[EPOCHS.get(run.data.tags["model"], "fit.epochs")])
            for name in {"train_loss", "val_loss"} & set(run.data.metrics):
                steps = [metric.step for metric in mlflow.get_metric_history(run.info.run_id, name)]
                assert sorted(steps) == list(range(1, epochs + 1)), (run.data.tags["model"], name)
            losses = {"train_loss"} if run.data.tags["model"] != COMBINED else set()
            assert {"train_rmse", "seconds"} | losses <= set(run.data.metrics)


def check_the_champions(mlflow: MlflowClient, runs: Sequence[Run]) -> None:
    """Check that the champion of a series is the best of those that passed the gate."""
    for model in mlflow.search_registered_models():
        versions = mlflow.search_model_versions(f"name = '{model.name}'")
        passed = {int(version.version) for version in versions if version.tags["gate"] == "promoted"}
        assert set(model.aliases) == ({"challenger", "champion"} if passed else {"challenger"})
        scores = {
            int(parent.data.tags["version"].split("/")[1]): parent.data.metrics["gate/challenger_test_rmse"]
            for parent in parents(runs).values()
            if parent.data.tags["version"].startswith(f"{model.name}/") and parent.data.tags["gate"] == "promoted"
        }
        assert set(scores) == passed
        assert not passed or scores[int(model.aliases["champion"])] == min(scores.values())


def check_that_no_run_state_is_left(runs: Sequence[Run], folder: Path) -> None:
    """Check that a folder keeps no run state of runs that are recorded whole."""
    existing = {read_run_state(each).get("id") for each in (folder / RUN_STATES).glob("*")}
    assert not existing & {run.data.tags[RUN_STATE] for run in runs}
