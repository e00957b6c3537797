"""Batches as indices: which origins each of K members learns from, step by step."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


class Origins:
    """Each member's origins, `index` [K, M], of which the first `sizes` [K] are real; [1, M] where all share them."""

    def __init__(self, origins: Sequence[np.ndarray], members: int, device: torch.device):
        rows = [torch.from_numpy(row) for row in origins]
        # One row is not copied: there may be as many origins as points.
        self.index = (rows[0].unsqueeze(0) if len(rows) == 1 else pad_sequence(rows, batch_first=True)).to(device)
        self.sizes = torch.tensor([len(row) for row in origins], device=device).expand(members)  # [K]


class Batches:
    """Batches of origins [K, B], in each member's own random order; an epoch draws `most` of them, or takes all."""

    def __init__(
        self,
        origins: Sequence[np.ndarray],
        members: int,
        batch: int,
        most: int | None,
        seeds: Sequence[int],
        device: torch.device,
    ):
        self.origins = Origins(origins, members, torch.device("cpu"))
        self.sizes = self.origins.sizes.clamp(max=most or 2**62).to(device)  # [K], the origins of an epoch
        self.batch = min(batch, int(self.sizes.max()))
        self.steps = -(-self.sizes // self.batch)  # [K], the steps a member takes an epoch
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        begins = torch.arange(int(self.steps.max()), device=device).unsqueeze(1) * self.batch  # [N, 1]
        self.counts = (self.sizes - begins).clamp(0, self.batch)  # [N, K], the real origins of each batch

    def epoch(self) -> Iterator[Tensor]:
        """N batches [K, B], of which each member's first `counts` are real; one whose origins are used up waits."""
        padded = len(self.counts) * self.batch
        order = torch.zeros(len(self.generators), padded, dtype=torch.int32)  # [K, N * B]
        for row, size, generator in zip(order, self.origins.sizes.tolist(), self.generators, strict=True):
            if size <= padded:  # no copy: there may be as many origins as points
                torch.randperm(size, generator=generator, out=row[:size])
            else:
                row[:] = torch.randperm(size, generator=generator, dtype=torch.int32)[:padded]
        index = self.origins.index.expand(len(order), -1)  # [K, M]
        for begin in range(0, padded, self.batch):
            part = order[:, begin : begin + self.batch].long()  # [K, B]
            yield index.gather(1, part).long().to(self.sizes.device)

    def orders(self) -> Tensor:
        """Where each member's random order stands, uint8 [K, bytes]."""
        return torch.stack([generator.get_state() for generator in self.generators])

    def put(self, orders: Tensor) -> None:
        """Put the random orders where `orders` told that they stood."""
        for generator, state in zip(self.generators, orders, strict=True):
            generator.set_state(state.clone())  # PyTorch reads it as if it were aligned
