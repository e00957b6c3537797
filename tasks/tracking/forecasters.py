"""A trained forecaster as an MLflow model from code, without a pickle."""

import tempfile
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

import models
from models.checkpoints import save_forecaster
from models.forecaster import Forecaster
from tasks.series import Series
from tasks.tracking.client import connect

REQUIREMENTS = ("mlflow", "numpy", "pandas", "pydantic", "safetensors", "torch")


def log_model(run_id: str, forecaster: Forecaster, series: Series) -> str:
    """Log a forecaster as an MLflow model from code; returns its URI."""
    package, client, spec = Path(models.__file__).parent, connect(), forecaster.spec
    # The model is made here and handed over, since MLflow would put it into whatever experiment is active.
    experiment = client.get_run(run_id).info.experiment_id
    made = client.create_logged_model(experiment, name=spec.model, source_run_id=run_id, model_type="forecaster")
    with tempfile.TemporaryDirectory() as draft:
        save_forecaster(forecaster, Path(draft, "forecaster"))
        logged = Model.log(
            artifact_path=None,
            flavor=mlflow.pyfunc,
            model_id=made.model_id,
            run_id=run_id,
            python_model=str(package / "serving.py"),
            artifacts={"forecaster": str(Path(draft, "forecaster"))},
            code_paths=[str(package)],
            pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in REQUIREMENTS],
            signature=_signature(forecaster, series),
            input_example=_input_example(forecaster, series),
        )
    return str(logged.model_uri)


def _input_example(forecaster: Forecaster, series: Series) -> pd.DataFrame:
    """The rows of the first series that a forecast needs, with as many behind as it needs of what is known ahead."""
    panel, names, horizon = series.panel, forecaster.columns.names, forecaster.spec.window.horizon
    end = int(panel.ends[0])
    behind = min(horizon, end - 1) if forecaster.columns.known else 0
    count = min(end, max(forecaster.spec.window.length, 2) + behind)
    values = panel.values[end - count : end].copy()
    values[count - behind :] = np.nan
    table = pd.DataFrame({"unique_id": panel.ids[0], "ds": panel.times(0, end - count, count), "y": values})
    covariates = panel.covariates_of(0, end - count, count)
    return table.assign(**{name: covariates[:, n].astype(float) for n, name in enumerate(names)})


def _signature(forecaster: Forecaster, series: Series) -> ModelSignature:
    time_type = "long" if isinstance(series.panel.step, int) else "datetime"
    rows: list[ColSpec | TensorSpec] = [
        ColSpec("string", "unique_id"),
        ColSpec(time_type, "ds"),
        ColSpec("double", "y"),
        *(ColSpec("double", name) for name in forecaster.columns.names),
    ]
    answer = [ColSpec("string", "unique_id"), ColSpec(time_type, "cutoff"), ColSpec(time_type, "ds")]
    horizon = ParamSpec("horizon", "long", forecaster.spec.window.horizon)
    forecasts = [ColSpec("double", name) for name in forecaster.names()]
    return ModelSignature(Schema(rows), Schema([*answer, *forecasts]), ParamSchema([horizon]))
