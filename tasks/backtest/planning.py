"""Plan a backtest: from which origins to forecast, how many steps, and what the actual values are."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.data.windows import actual_values, origins_within
from models.errors import InputError
from models.forecaster import seasonal_change_scales
from models.metrics import naive_scale
from models.specs import SplitSpec
from tasks.data.preparation import Dataset

Split = TypeVar("Split", bound=SplitSpec)
MOST_FORECASTS = 1 << 25
"""About the most forecast values of the test part after a training."""
MOST_ORIGINS = 50_000
"""About the most origins of the validation part. Of more, evenly spaced ones are taken, at least one of each series."""


@dataclass(frozen=True)
class BacktestPlan:
    """The forecasts to make: `horizon` (S) steps from each of the `origins`, int64 [M], of "test" and, if any, "val".

    `actual` holds the actual values [M, S] of each part. It is NaN where nothing was observed, and for "val" also
    beyond the end of the validation part.
    """

    data: Dataset
    horizon: int
    origins: dict[str, np.ndarray]
    actual: dict[str, np.ndarray]

    def whole(self, part: str) -> np.ndarray:
        """Return the indices of the origins whose steps all lie in the part; of all origins if there is none."""
        ends = {"val": self.data.split.validation, "test": self.data.split.test}[part]
        is_whole = self.origins[part] + self.horizon <= ends[self.series(part)]
        return np.flatnonzero(is_whole) if is_whole.any() else np.arange(len(is_whole))

    def series(self, part: str) -> np.ndarray:
        """Return the number of each origin's series, [M]."""
        return self.data.panel.series_of(self.origins[part] - 1)

    def interval_scales(self) -> np.ndarray:
        """Return the scale of each series' intervals, [N], measured on its training part."""
        return seasonal_change_scales(self.data.panel, self.data.split.train, self.data.season)

    @cached_property
    def mase_scales(self) -> np.ndarray:
        """The scale of each series for MASE, [N]: the error of the seasonal naive before the test part."""
        return naive_scale(self.data.panel, self.data.split.validation, self.data.season)


def with_test_points(split: Split, test: int | None) -> Split:
    """Return the split with a test part of `test` points, or as it is for None."""
    return split if test is None else split.model_copy(update={"test": float(test)})


@task(task_run_name="plan_backtest", cache_policy=NO_CACHE)
def plan_backtest(data: Dataset, horizon: int | None, stride: int) -> BacktestPlan:
    """List the origins of the test part, `stride` points apart in each series, and those of the validation part.

    A test part that is shorter than the horizon, or has no observed value, is an error, unless `window.short` allows
    short series: then the series has no origin.

    **Raises:** `InputError`.
    """
    return _plan(data, horizon or data.horizon, stride, with_test=True)


@task(task_run_name="plan_evaluation", cache_policy=NO_CACHE)
def plan_evaluation(data: Dataset) -> BacktestPlan:
    """List all origins of the validation and the test part, if there are any, as a backtest with stride 1 would.

    Where there would be very many forecasts, evenly spaced origins of the test part are taken.

    **Raises:** `InputError` as `plan_backtest`.
    """
    points = int((data.split.test - data.split.validation).sum())
    return _plan(data, data.horizon, -(-points * data.horizon // MOST_FORECASTS) or 1, with_test="test" in data.origins)


def _plan(data: Dataset, steps: int, stride: int, *, with_test: bool) -> BacktestPlan:
    panel, split, length = data.panel, data.split, data.window.length
    origins, actual = dict[str, np.ndarray](), dict[str, np.ndarray]()
    if with_test:
        test = _every_nth(data, origins_within(panel, split.validation, split.test, length, steps), stride)
        empty = np.setdiff1d(np.arange(len(panel.ids)), panel.series_of(test - 1))
        if len(test) == 0 or (len(empty) and data.window.short == "error"):
            raise InputError(
                f"the test part of series '{panel.ids[empty[0]]}' has no room for {steps} step{'s' * (steps > 1)} "
                "ahead, or no observed value; make the test part larger or --horizon smaller, or see --window.short"
            )
        origins["test"], actual["test"] = test, actual_values(panel, test, steps)
    if "val" in data.origins:
        # Origins near the end count for their first steps, so that a short part uses all its points.
        validation = origins_within(panel, split.train, split.validation, length, 1)
        origins["val"] = _every_nth(data, validation, -(-len(validation) // MOST_ORIGINS))
        actual["val"] = actual_values(panel, origins["val"], steps, split.validation)
    return BacktestPlan(data, steps, origins, actual)


def _every_nth(data: Dataset, origins: np.ndarray, stride: int) -> np.ndarray:
    """Take every `stride`-th origin of each series, from its first one on."""
    series = data.panel.series_of(origins - 1)
    firsts = np.searchsorted(series, series)  # [M], the index of the first origin of the same series
    return origins[(origins - origins[firsts]) % stride == 0]
