"""What a population learns and forecasts from: the points of a panel, as tensors on its device."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.data.panel import Panel


class Points(NamedTuple):
    """`values` [P]; `goals` [P], the same but NaN where nothing was observed; `columns` [P, F], the covariates.

    The first `known` of the columns are known ahead, so a network may see them at the steps that it forecasts.
    """

    values: Tensor
    goals: Tensor
    columns: Tensor
    known: int = 0


def points_of(panel: Panel, like: Tensor) -> Points:
    """A panel's points, in the kind of number and on the device of the tensor `like`."""
    values = torch.from_numpy(panel.values).to(like)
    goals = values
    if not panel.observed.all():
        goals = values.where(torch.from_numpy(panel.observed).to(like.device), torch.nan)
    if panel.covariates is None:
        return Points(values, goals, values.new_empty(len(values), 0))
    return Points(values, goals, torch.from_numpy(panel.covariates.values).to(like), panel.covariates.known)


def bare(values: Tensor) -> Points:
    """Points of complete values [P] without covariates."""
    return Points(values, values, values.new_empty(len(values), 0))


def lined_up(windows: np.ndarray, columns: np.ndarray, known: int, like: Tensor) -> tuple[Points, np.ndarray]:
    """Windows [M, T] with their covariates [M, T + S, F], end to end as points, and the origin [M] of each."""
    count, length = windows.shape
    room = columns.shape[1] if columns.shape[2] else length
    values = np.zeros((count, room), windows.dtype)
    values[:, :length] = windows
    tensor = torch.from_numpy(values.reshape(-1)).to(like)  # [M * (T + S)]
    rows = torch.from_numpy(columns.reshape(count * columns.shape[1], -1)).to(like)  # [M * (T + S), F]
    columns_or_none = rows if columns.shape[2] else tensor.new_empty(len(tensor), 0)
    return Points(tensor, tensor, columns_or_none, known), room * np.arange(count) + length
