"""Window scaling: what is subtracted from a window's inputs and targets, and what they are divided by.

The network reads (value - input offset) / input scale, and its output y stands for the value target offset +
target scale * y, so that windows of any level and spread look alike. This is the reference;
`models/kernels/window_scaling.py` computes the same, compiled.

Letters: T window length, K members, B batch, S steps ahead, M origins.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from models.specs import RecurrentSpec

LEAST_DEVIATION = 0.05
"""Smallest standard deviation by which a window is divided, as a share of that of the training windows."""


class WindowScaling(NamedTuple):
    """Offset and scale of each window: [K, B], but for `target_offset`, which is [K, B, S] or [K, B, 1].

    The loss divides errors by `error_scale`.
    """

    input_offset: Tensor
    input_scale: Tensor
    target_offset: Tensor
    target_scale: Tensor
    error_scale: Tensor


class TrainingScales(NamedTuple):
    """Scales measured on each member's training windows, [K, 1] each.

    The root mean squares of inputs and of targets about their offsets, and the lower limit of the standard deviation by
    which a window is divided.
    """

    input_scale: Tensor
    target_scale: Tensor
    least_deviation: Tensor


def scale_windows(
    windows: Tensor, spec: RecurrentSpec, season: int, horizon: int, training_scales: TrainingScales
) -> WindowScaling:
    """Return the scaling of windows [T, K, B] whose targets are S = `horizon` steps."""
    last, mean = windows[-1], windows.mean(dim=0)  # [K, B]
    zero, scale = torch.zeros_like(last), torch.ones_like(last)  # [K, B]
    if spec.window_scale == "window":
        deviation = (windows - mean).square().mean(dim=0).sqrt()  # [K, B]
        scale = deviation.maximum(training_scales.least_deviation)  # [K, B]
    offsets = {"none": zero, "last": last, "mean": mean}
    if spec.target_offset == "season":
        steps = len(windows) - season + torch.arange(horizon, device=windows.device) % season  # [S]
        target_offset = windows[steps].permute(1, 2, 0)  # [K, B, S]
    else:
        target_offset = offsets[spec.target_offset].unsqueeze(-1)  # [K, B, 1]
    return WindowScaling(
        input_offset=offsets[spec.input_offset],
        input_scale=scale if spec.input_offset == "none" else scale * training_scales.input_scale,
        target_offset=target_offset,
        target_scale=scale if spec.target_offset == "none" else scale * training_scales.target_scale,
        error_scale=scale,
    )


def measure_training_scales(
    windows: Tensor, targets: Tensor, spec: RecurrentSpec, season: int
) -> tuple[float, float, float]:
    """Measure the `TrainingScales` of one member on windows [T, M] and their targets [M, S], NaN where missing.

    With `window_scale` "window" the inputs and targets are first divided by each window's own deviation. A scale that
    would be 0 or NaN is 1.
    """
    deviation = float(windows.var(dim=0, correction=0).mean().sqrt())
    least = LEAST_DEVIATION * deviation if deviation > 0 else 1.0
    ones = torch.ones(1, 1, dtype=windows.dtype)
    as_population = windows.unsqueeze(1)  # [T, 1, M]
    scaling = scale_windows(as_population, spec, season, targets.shape[1], TrainingScales(ones, ones, least * ones))
    scaled_inputs = (as_population - scaling.input_offset) / scaling.input_scale  # [T, 1, M]
    centred_targets = targets.unsqueeze(0) - scaling.target_offset  # [1, M, S]
    scaled_targets = centred_targets / scaling.target_scale.unsqueeze(-1)  # [1, M, S]
    input_scale, target_scale = (float(part.square().nanmean().sqrt()) for part in (scaled_inputs, scaled_targets))
    # A NaN is not above 0.
    return input_scale if input_scale > 0 else 1.0, target_scale if target_scale > 0 else 1.0, least
