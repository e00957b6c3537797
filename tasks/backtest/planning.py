"""What a backtest forecasts: from which origins, how far, and what came."""

from dataclasses import dataclass

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.data.windows import actual_values, origins_within
from models.errors import InputError
from models.forecaster import seasonal_change_scales
from models.metrics import naive_scale
from models.specs import SplitSpec, WindowSpec
from tasks.data.preparation import Dataset

MOST_ORIGINS = 50_000
"""Origins of the validation part; of more, about so many are evenly drawn, and one of each series at least."""


@dataclass(frozen=True)
class BacktestPlan:
    """What is forecast: `horizon` (S) steps from each origin, int64 [M], of "val", where there is one, and "test".

    `actual` [M, S] by part is NaN where nothing was observed, and in validation also behind that part.
    """

    data: Dataset
    horizon: int
    origins: dict[str, np.ndarray]
    actual: dict[str, np.ndarray]

    def series(self, part: str) -> np.ndarray:
        """The number of each origin's series, [M]."""
        return self.data.panel.series_of(self.origins[part] - 1)

    def units(self) -> np.ndarray:
        """What the intervals of each series count in, [N]."""
        return seasonal_change_scales(self.data.panel, self.data.parts.train, self.data.season)

    def scale(self) -> np.ndarray:
        """What MASE divides by, [N]: the seasonal naive's error before the test part."""
        return naive_scale(self.data.panel, self.data.parts.validation, self.data.season)


def direct_window(window: WindowSpec, horizon: int | None) -> WindowSpec:
    """The window with a head of no more steps than are asked for."""
    return window.model_copy(update={"horizon": min(window.horizon, horizon or window.horizon)})


def with_test_points(split: SplitSpec, test: int | None) -> SplitSpec:
    """The split with a test part of so many points, where they are told."""
    return split if test is None else split.model_copy(update={"test": float(test)})


@task(task_run_name="plan_backtest", cache_policy=NO_CACHE)
def plan_backtest(data: Dataset, horizon: int | None, stride: int) -> BacktestPlan:
    """The origins of the test part, `stride` points apart from each series' first one on, and those of validation.

    A series whose test part has no room for the horizon, or holds nothing but gaps, is an error, or has no origin where
    `window.short` says that series may be left out or padded.

    **Raises:** `InputError`.
    """
    panel, parts, length = data.panel, data.parts, data.window.length
    steps = horizon or data.window.horizon
    test = _every(data, origins_within(panel, parts.validation, parts.test, length, steps), stride)
    empty = np.setdiff1d(np.arange(len(panel.ids)), panel.series_of(test - 1))
    if len(test) == 0 or (len(empty) and data.window.short == "error"):
        raise InputError(
            f"the test part of series '{panel.ids[empty[0]]}' has no room for {steps} step{'s' * (steps > 1)} ahead, "
            "or no value there; make --test larger or --horizon smaller, or see --window.short"
        )
    origins, actual = {"test": test}, {"test": actual_values(panel, test, steps)}
    if "val" in data.origins:
        # Those near the part's end tell of their first steps: a short part is then told by all its points.
        found = origins_within(panel, parts.train, parts.validation, length, 1)
        origins["val"] = _every(data, found, -(-len(found) // MOST_ORIGINS))
        actual["val"] = actual_values(panel, origins["val"], steps, parts.validation)
    return BacktestPlan(data, steps, origins, actual)


def _every(data: Dataset, origins: np.ndarray, stride: int) -> np.ndarray:
    """Every so many-th of each series' origins."""
    series = data.panel.series_of(origins - 1)
    firsts = np.searchsorted(series, series)  # [M], where each one's series begins
    return origins[(origins - origins[firsts]) % stride == 0]
