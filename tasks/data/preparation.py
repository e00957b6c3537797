"""From a series to what every model is trained, chosen and scored on."""

from dataclasses import dataclass, replace

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.data.frequency import default_season
from models.data.panel import Panel
from models.data.splits import Split, split_for_windows
from models.data.windows import origins_within
from models.errors import InputError
from models.specs import FreeRun, SplitSpec, WindowSpec
from tasks.data.series import Series, wave_season


@dataclass(frozen=True)
class Dataset:
    """A series cut into parts, with the origins of each part's windows, and where free runs start.

    `origins` holds integers [M] under "train", "val" and "test", the last two only where there is such a part.
    `free_run` is the point of each series, [N], from which a model is left to its own forecasts.
    """

    series: Series
    window: WindowSpec
    parts: Split
    origins: dict[str, np.ndarray]
    season: int
    free_run: np.ndarray

    @property
    def panel(self) -> Panel:
        """The series' values."""
        return self.series.panel


@task(task_run_name="prepare_data", cache_policy=NO_CACHE)
def prepare_data(
    series: Series, window: WindowSpec, split: SplitSpec, season: int | None, free_run: FreeRun
) -> Dataset:
    """Split in time order, and index the windows of each part.

    `free_run` starts from each series' first window, or from its test part.

    **Raises:** `InputError` where a series has no room for one window in a part that was asked for, or does not vary,
    unless `window.short` says what to do with it.
    """
    panel, parts, notes = split_for_windows(series.panel, split, window)
    series = replace(series, panel=panel, notes=(*series.notes, *notes))
    begins = {"train": panel.starts, "val": parts.train, "test": parts.validation}
    ends = {"train": parts.train, "val": parts.validation, "test": parts.test}
    wanted = {"train": True, "val": split.validation > 0, "test": split.test > 0}
    origins = {
        part: origins_within(panel, begins[part], ends[part], window.length, window.horizon)
        for part in begins
        if wanted[part]
    }
    for part, found in origins.items():
        if len(found) == 0:
            raise InputError(
                f"no window fits into the {FULL_NAMES[part]} part of any series, or every value to forecast there is "
                "missing; make --window.horizon smaller or move the parts"
            )
    if season is None:
        season = wave_season(series.wave) if series.wave else default_season(panel.step)
    start = np.minimum(panel.starts + window.length, parts.test) if free_run == "first" else parts.validation
    return Dataset(series, window, parts, origins, season, start)


FULL_NAMES = {"train": "training", "val": "validation", "test": "test"}
