"""The points of a panel as tensors on a population's device: what it learns and forecasts from."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.data.panel import Panel


class PanelTensors(NamedTuple):
    """The values of P points, the same values as targets, and the F covariates beside them.

    `values` [P]; `targets` [P], NaN where nothing was observed; `covariates` [P, F], those known ahead first.
    """

    values: Tensor
    targets: Tensor
    covariates: Tensor


def tensors_of(panel: Panel, like: Tensor) -> PanelTensors:
    """Return a panel's points in the dtype and on the device of the tensor `like`."""
    values = torch.from_numpy(panel.values).to(like)  # [P]
    targets = values
    if not panel.observed.all():
        targets = values.where(torch.from_numpy(panel.observed).to(like.device), torch.nan)  # [P]
    if panel.covariates is None:
        return PanelTensors(values, targets, values.new_empty(len(values), 0))
    covariates = torch.from_numpy(panel.covariates.values).to(like)  # [P, F]
    return PanelTensors(values, targets, covariates)


def tensors_of_values(values: Tensor) -> PanelTensors:
    """Return complete values [P] as points without covariates."""
    return PanelTensors(values, values, values.new_empty(len(values), 0))


def windows_as_tensors(windows: np.ndarray, covariates: np.ndarray, like: Tensor) -> tuple[PanelTensors, np.ndarray]:
    """Lay out windows [M, T] with their covariates [M, T + S, F] as points, one window after the other.

    **Returns:** the points, and the origin of each window among them, [M]. A window takes T points where F is 0, and
    otherwise T + S, of which the last S have values of 0 that are not read.
    """
    count, length = windows.shape
    n_covariates = covariates.shape[2]
    stride = covariates.shape[1] if n_covariates else length  # points from one window to the next
    padded = np.zeros((count, stride), windows.dtype)
    padded[:, :length] = windows
    values = torch.from_numpy(padded.reshape(-1)).to(like)  # [M * stride]
    rows = values.new_empty(len(values), 0)
    if n_covariates:
        rows = torch.from_numpy(covariates.reshape(-1, n_covariates)).to(like)  # [M * stride, F]
    return PanelTensors(values, values, rows), stride * np.arange(count) + length
