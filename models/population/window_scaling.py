"""The frame in which a network sees a window: from where it measures values, and in which unit.

Whatever a window's level and size, the network reads (value - centre) / size and answers base + factor * answer. This
is the reference; `models/kernels/window_scaling.py` computes the same, compiled.

Letters: T window length, K members, B batch, S steps ahead.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from models.specs import RecurrentSpec

LEAST = 0.05
"""Deviation of a window, as a share of what is usual, below which it counts as so much."""


class WindowScaling(NamedTuple):
    """`centre` and `size` [K, B] of what is read; `base` [K, B, S] (or [K, B, 1]) and `factor` [K, B] of answers.

    Errors count in `unit` [K, B].
    """

    centre: Tensor
    size: Tensor
    base: Tensor
    factor: Tensor
    unit: Tensor


class TrainingScales(NamedTuple):
    """What is usual in a member's training windows, [K, 1] each.

    The distance of values from the centre and of answers from the base, and the deviation that a window has at least.
    """

    spread: Tensor
    change: Tensor
    least: Tensor


def scale_windows(
    windows: Tensor, spec: RecurrentSpec, season: int, horizon: int, training_scales: TrainingScales
) -> WindowScaling:
    """The frame of each window [T, K, B]."""
    last, mean = windows[-1], windows.mean(dim=0)  # [K, B]
    zero, unit = torch.zeros_like(last), torch.ones_like(last)
    if spec.window_scale == "window":
        unit = (windows - mean).square().mean(dim=0).sqrt().maximum(training_scales.least)  # [K, B]
    centre = {"none": zero, "last": last, "mean": mean}[spec.input_offset]
    if spec.target_offset == "season":
        steps = len(windows) - season + torch.arange(horizon, device=windows.device) % season  # [S]
        base = windows[steps].permute(1, 2, 0)  # [K, B, S]
    else:
        base = {"none": zero, "last": last, "mean": mean}[spec.target_offset].unsqueeze(-1)  # [K, B, 1]
    return WindowScaling(
        centre,
        unit if spec.input_offset == "none" else unit * training_scales.spread,
        base,
        unit if spec.target_offset == "none" else unit * training_scales.change,
        unit,
    )


def measure_training_scales(
    windows: Tensor, targets: Tensor, spec: RecurrentSpec, season: int
) -> tuple[float, float, float]:
    """What is usual in the windows [T, M] and in what follows them [M, S], in the order of `TrainingScales`.

    Root mean squares; distances count in units of the window's deviation where the frame does; 1 where nothing differs.
    """
    deviation = float(windows.var(dim=0, correction=0).mean().sqrt())
    least = LEAST * deviation if deviation > 0 else 1.0
    one = torch.ones(1, 1, dtype=windows.dtype)
    frame = scale_windows(windows.unsqueeze(1), spec, season, targets.shape[1], TrainingScales(one, one, least * one))
    read = (windows.unsqueeze(1) - frame.centre) / frame.size  # [T, 1, M]
    answer = (targets.unsqueeze(0) - frame.base) / frame.factor.unsqueeze(-1)  # [1, M, S]
    spread, change = (float(part.square().nanmean().sqrt()) for part in (read, answer))
    return spread if spread > 0 else 1.0, change if change > 0 else 1.0, least  # a NaN is not above 0
