"""What a population learns and forecasts from: the points of a panel, as tensors on its device."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.data.panel import Panel


class PanelTensors(NamedTuple):
    """`values` [P]; `targets` [P], the same but NaN where nothing was observed; `columns` [P, F], the covariates.

    The first `n_known` of the columns are known ahead, so a network may see them at the steps that it forecasts.
    """

    values: Tensor
    targets: Tensor
    covariates: Tensor
    n_known: int = 0


def tensors_of(panel: Panel, like: Tensor) -> PanelTensors:
    """A panel's points, in the kind of number and on the device of the tensor `like`."""
    values = torch.from_numpy(panel.values).to(like)
    targets = values
    if not panel.observed.all():
        targets = values.where(torch.from_numpy(panel.observed).to(like.device), torch.nan)
    if panel.covariates is None:
        return PanelTensors(values, targets, values.new_empty(len(values), 0))
    return PanelTensors(values, targets, torch.from_numpy(panel.covariates.values).to(like), panel.covariates.n_known)


def tensors_of_values(values: Tensor) -> PanelTensors:
    """Points of complete values [P] without covariates."""
    return PanelTensors(values, values, values.new_empty(len(values), 0))


def windows_as_tensors(
    windows: np.ndarray, columns: np.ndarray, known: int, like: Tensor
) -> tuple[PanelTensors, np.ndarray]:
    """Windows [M, T] with their covariates [M, T + S, F], end to end as points, and the origin [M] of each."""
    count, length = windows.shape
    room = columns.shape[1] if columns.shape[2] else length
    values = np.zeros((count, room), windows.dtype)
    values[:, :length] = windows
    tensor = torch.from_numpy(values.reshape(-1)).to(like)  # [M * (T + S)]
    rows = torch.from_numpy(columns.reshape(count * columns.shape[1], -1)).to(like)  # [M * (T + S), F]
    columns_or_none = rows if columns.shape[2] else tensor.new_empty(len(tensor), 0)
    return PanelTensors(tensor, tensor, columns_or_none, known), room * np.arange(count) + length
