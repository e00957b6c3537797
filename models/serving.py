"""The MLflow model as code: raw long-format rows and a horizon in, a forecast out.

MLflow runs this file when it loads the model; the forecaster itself comes from safetensors and JSON files beside it.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from models.saving import load_forecaster


class ServedForecaster(PythonModel):
    """Forecasts `unique_id`, `cutoff`, `ds`, a column named after the model, and two with its intervals' bounds."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the forecaster; MLflow calls this once, when it loads the model."""
        self.forecaster = load_forecaster(Path(context.artifacts["forecaster"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Forecast `params["horizon"]` steps beyond the last row of every series in `model_input`."""
        horizon = int((params or {}).get("horizon", self.forecaster.spec.window.horizon))
        return self.forecaster.forecast(model_input, horizon)


set_model(ServedForecaster())
