"""Panels for the tests: from plain lists, and cut short."""

from dataclasses import replace

import numpy as np
import pandas as pd

from models.data.covariates import Covariates
from models.data.panel import Panel, panel_from_frame


def panel_of(*unnamed: list[float], **named: list[float]) -> Panel:
    """Series of these values, named s0, s1, ... or as given, at the times 0, 1, 2, ...; NaN is filled with the last."""
    series = {f"s{n}": values for n, values in enumerate(unnamed)} | named
    tables = [
        pd.DataFrame({"unique_id": name, "ds": np.arange(len(values)), "y": np.array(values, float)})
        for name, values in series.items()
    ]
    return panel_from_frame(pd.concat(tables), "last")[0]


def cut_short(panel: Panel, ends: np.ndarray) -> Panel:
    """The series up to the points `ends` [N], as a forecaster sees them at that moment.

    Covariates that are known ahead stay known after the ends.
    """
    kept = np.arange(len(panel.values)) < np.repeat(ends, panel.ends - panel.starts)  # [P]
    return replace(
        panel,
        values=panel.values[kept],
        observed=panel.observed[kept],
        offsets=np.concatenate([[0], np.cumsum(ends - panel.starts)]),
        covariates=panel.covariates and _cut_covariates(panel.covariates, kept, ends, panel.ends),
    )


def _cut_covariates(covariates: Covariates, kept: np.ndarray, ends: np.ndarray, old_ends: np.ndarray) -> Covariates:
    known = np.arange(len(covariates.names)) < covariates.n_known  # [F]
    ahead = tuple(
        np.concatenate([np.where(known, covariates.values[end:old_end], np.float32(np.nan)), rows])
        for end, old_end, rows in zip(ends, old_ends, covariates.ahead, strict=True)
    )
    return replace(covariates, values=covariates.values[kept], ahead=ahead)
