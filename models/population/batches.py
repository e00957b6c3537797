"""Batches as indices: which origins each of K members learns from, step by step."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


class PaddedOrigins:
    """The origins of each member side by side: `index` [K, M], of which the first `sizes` [K] are real.

    The index is [1, M] where all members share their origins.
    """

    def __init__(self, origins: Sequence[np.ndarray], members: int, device: torch.device):
        rows = [torch.from_numpy(row) for row in origins]
        # One row is not copied: there may be as many origins as points.
        self.index = (rows[0].unsqueeze(0) if len(rows) == 1 else pad_sequence(rows, batch_first=True)).to(device)
        self.sizes = torch.tensor([len(row) for row in origins], device=device).expand(members)  # [K]


class Batches:
    """Draws the J batches of an epoch: origins [K, B], shuffled anew each epoch by each member's own seed.

    An epoch takes all origins of a member, or `limit` of them if that is given.
    """

    def __init__(
        self,
        origins: Sequence[np.ndarray],
        members: int,
        batch: int,
        limit: int | None,
        seeds: Sequence[int],
        device: torch.device,
    ):
        self.origins = PaddedOrigins(origins, members, torch.device("cpu"))
        self.sizes = self.origins.sizes.clamp(max=limit or 2**62).to(device)  # [K], origins of an epoch
        self.batch = min(batch, int(self.sizes.max()))
        self.steps = -(-self.sizes // self.batch)  # [K], steps of an epoch
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        begins = torch.arange(int(self.steps.max()), device=device).unsqueeze(1) * self.batch  # [J, 1]
        self.counts = (self.sizes - begins).clamp(0, self.batch)  # [J, K], real origins of each batch

    def epoch(self) -> Iterator[Tensor]:
        """Yield J batches [K, B], each with `counts` real origins a member; 0 once a member has used up its own."""
        padded = len(self.counts) * self.batch
        order = torch.zeros(len(self.generators), padded, dtype=torch.int32)  # [K, J * B]
        for row, size, generator in zip(order, self.origins.sizes.tolist(), self.generators, strict=True):
            if size <= padded:  # no copy: there may be as many origins as points
                torch.randperm(size, generator=generator, out=row[:size])
            else:
                row[:] = torch.randperm(size, generator=generator, dtype=torch.int32)[:padded]
        index = self.origins.index.expand(len(order), -1)  # [K, M]
        for begin in range(0, padded, self.batch):
            part = order[:, begin : begin + self.batch].long()  # [K, B]
            yield index.gather(1, part).long().to(self.sizes.device)

    def generator_states(self) -> Tensor:
        """Return the state of each member's random generator, uint8 [K, bytes]."""
        return torch.stack([generator.get_state() for generator in self.generators])

    def restore_generators(self, states: Tensor) -> None:
        """Set the random generators to `states`, as `generator_states` returned them."""
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state.clone())  # PyTorch expects aligned memory, which a row of a file is not
