"""Prepare the data set that every model is trained, chosen and scored on."""

from dataclasses import dataclass, replace

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.data.panel import Panel
from models.data.splits import Split, split_for_windows
from models.data.windows import origins_within
from models.errors import InputError
from models.specs import FreeRun, SplitSpec, WindowSpec
from tasks.data.series import Series, wave_season


@dataclass(frozen=True)
class Dataset:
    """A series split into parts, with the origins of the windows in each part and the starts of the free runs.

    `origins` holds integers [M] for "train", "val" and "test"; the last two are left out where that part is empty.
    `free_run` [N] is the point of each series from which a model runs on its own forecasts, and `horizon` the number of
    steps over which models are compared.
    """

    series: Series
    window: WindowSpec
    split: Split
    origins: dict[str, np.ndarray]
    season: int
    free_run: np.ndarray
    horizon: int

    @property
    def steps_with_intervals(self) -> int:
        """The steps ahead that get intervals: the horizon, or a season if that is longer."""
        return max(self.horizon, self.season)

    @property
    def panel(self) -> Panel:
        """The values of the series."""
        return self.series.panel


@task(task_run_name="prepare_data", cache_policy=NO_CACHE)
def prepare_data(
    series: Series,
    window: WindowSpec,
    split: SplitSpec,
    season: int | None,
    free_run: FreeRun,
    horizon: int | None = None,
) -> Dataset:
    """Split the series in time order, and list the window origins of each part.

    The horizon is by default that of the window. Free runs start after the first window of each series (`free_run`
    "first"), or with its test part ("test").

    **Raises:** `InputError` if a series is constant, or has no room for a window in a requested part, and
    `window.short` does not say what to do with it.
    """
    panel, part_ends, notes = split_for_windows(series.panel, split, window)
    series = replace(series, panel=panel, notes=(*series.notes, *notes))
    bounds = {"train": (panel.starts, part_ends.train)}
    if split.validation > 0:
        bounds["val"] = part_ends.train, part_ends.validation
    if split.test > 0:
        bounds["test"] = part_ends.validation, part_ends.test
    origins = {
        part: origins_within(panel, begin, end, window.length, window.horizon) for part, (begin, end) in bounds.items()
    }
    for part, part_origins in origins.items():
        if len(part_origins) == 0:
            raise InputError(
                f"no window fits into the {PART_NAMES[part]} part of any series, or all values to forecast there are "
                "missing; make --window.horizon smaller, or change --split"
            )
    if season is None:
        season = wave_season(series.wave) if series.wave else panel.step.season
    start = np.minimum(panel.starts + window.length, part_ends.test) if free_run == "first" else part_ends.validation
    return Dataset(series, window, part_ends, origins, season, start, horizon or window.horizon)


PART_NAMES = {"train": "training", "val": "validation", "test": "test"}
