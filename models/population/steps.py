"""The interface of what trains a population step by step, whichever backend computes the steps."""

from typing import Protocol

from torch import Tensor

from models.population.adam import Moments
from models.population.batches import PaddedOrigins


class Steps(Protocol):
    """Moves a population's weights against the gradient of its loss: the mean squared or mean absolute error.

    The mean is taken over windows and steps ahead. A target that was not observed counts with an error of 0.
    """

    moments: Moments

    def step(self, origins: Tensor, counts: Tensor, rates: Tensor) -> Tensor:
        """Take one step on origins [K, B] at the learning rates [K]; return the losses [K] before it.

        Only the first `counts` [K] origins of each member are real. A member without any does not move.
        """

    def evaluate(self, held_out: PaddedOrigins) -> Tensor:
        """Return the loss [K] over all held-out origins."""
