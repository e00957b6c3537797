"""A trained forecaster as an MLflow model from code, without a pickle."""

import tempfile
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Run, RunTag
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

import models
from models.data.steps import IntegerStep
from models.forecaster import Forecaster
from models.saving import save_forecaster
from tasks.data.series import Series
from tasks.tracking.tracker import TRACKER

MODEL_ID, SHA256 = "tidecast.model_id", "tidecast.sha256"
"""Tags of a run: the model that it logged, and the digest of its forecaster's files."""
REQUIREMENTS = ("mlflow", "numpy", "pandas", "pydantic", "safetensors", "torch")


def log_model(run_id: str, forecaster: Forecaster, series: Series) -> None:
    """Log a forecaster as an MLflow model from code; its id and sha256 become tags of the run."""
    signature, example = _signature(forecaster, series), _input_example(forecaster, series)

    def write(client: MlflowClient) -> None:
        run = client.get_run(run_id)
        if MODEL_ID in run.data.tags:
            return
        for incomplete in _incomplete_models(client, run.info.experiment_id, run_id):
            client.delete_logged_model(incomplete)
        with tempfile.TemporaryDirectory() as draft:
            sha256 = save_forecaster(forecaster, Path(draft, "forecaster"))
            model_id = _log(client, run, forecaster.spec.model, Path(draft, "forecaster"), signature, example)
        client.log_batch(run_id, tags=[RunTag(SHA256, sha256), RunTag(MODEL_ID, model_id)])

    TRACKER.post(write)


def _log(
    client: MlflowClient, run: Run, name: str, folder: Path, signature: ModelSignature, example: pd.DataFrame
) -> str:
    """Log a saved forecaster; returns the id of the logged model."""
    package = Path(models.__file__).parent
    # The model is made here and handed over, since MLflow would put it into whatever experiment is active.
    logged = client.create_logged_model(
        run.info.experiment_id, name=name, source_run_id=run.info.run_id, model_type="forecaster"
    )
    Model.log(
        artifact_path=None,
        flavor=mlflow.pyfunc,
        model_id=logged.model_id,
        run_id=run.info.run_id,
        python_model=str(package / "serving.py"),
        artifacts={"forecaster": str(folder)},
        code_paths=[str(package)],
        pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in REQUIREMENTS],
        signature=signature,
        input_example=example,
    )
    return str(logged.model_id)


def _incomplete_models(client: MlflowClient, experiment: str, run_id: str) -> list[str]:
    """Return the ids of the models that a killed process has logged in part."""
    logged = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
    return [str(model.model_id) for model in logged]


def _input_example(forecaster: Forecaster, series: Series) -> pd.DataFrame:
    """Return the rows that a forecast of the first series needs: a window, and future rows of known covariates."""
    panel, names, horizon = series.panel, forecaster.covariate_names.all, forecaster.spec.window.horizon
    end = int(panel.ends[0])
    n_ahead = min(horizon, end - 1) if forecaster.covariate_names.known else 0
    count = min(end, max(forecaster.spec.window.length, 2) + n_ahead)
    values = panel.values[end - count : end].copy()  # [count]
    values[count - n_ahead :] = np.nan
    table = pd.DataFrame({"unique_id": panel.ids[0], "ds": panel.times(0, end - count, count), "y": values})
    covariates = panel.covariates_of(0, end - count, count)  # [count, F]
    return table.assign(**{name: covariates[:, n].astype(float) for n, name in enumerate(names)})


def _signature(forecaster: Forecaster, series: Series) -> ModelSignature:
    time_type = "long" if isinstance(series.panel.step, IntegerStep) else "datetime"
    rows: list[ColSpec | TensorSpec] = [
        ColSpec("string", "unique_id"),
        ColSpec(time_type, "ds"),
        ColSpec("double", "y"),
        *(ColSpec("double", name) for name in forecaster.covariate_names.all),
    ]
    keys = [ColSpec("string", "unique_id"), ColSpec(time_type, "cutoff"), ColSpec(time_type, "ds")]
    horizon = ParamSpec("horizon", "long", forecaster.spec.window.horizon)
    forecasts = [ColSpec("double", name) for name in forecaster.forecast_column_names()]
    return ModelSignature(Schema(rows), Schema([*keys, *forecasts]), ParamSchema([horizon]))
