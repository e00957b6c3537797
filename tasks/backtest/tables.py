"""Forecasts from many origins as a long table."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from models.data.panel import Panel
from models.data.windows import actual_values
from tasks.backtest.planning import BacktestPlan


def forecast_table(plan: BacktestPlan, columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return forecasts [M, S] of the test part as a long table, as `long_table` does."""
    return long_table(plan.data.panel, plan.origins["test"], plan.horizon, plan.data.split.test, columns)


def long_table(
    panel: Panel, origins: np.ndarray, steps: int, ends: np.ndarray, columns: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Return forecasts [M, S] from `origins` [M] as a long table: `unique_id`, `cutoff`, `ds`, `y` and the columns.

    S is `steps`. Steps at or after the `ends` [N] of the series are left out.
    """
    series = panel.series_of(origins - 1)  # [M]
    points = origins[:, None] + np.arange(steps)  # [M, S]
    rows, steps_ahead = np.nonzero(points < ends[series][:, None])
    times, ids = panel.all_times(), np.array(panel.ids, dtype=object)
    table = {
        "unique_id": ids[series[rows]],
        "cutoff": times[origins[rows] - 1],
        "ds": times[points[rows, steps_ahead]],
        "y": actual_values(panel, origins, steps)[rows, steps_ahead],
    }
    return pd.DataFrame(table | {name: values[rows, steps_ahead] for name, values in columns.items()})
