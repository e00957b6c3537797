"""Batches as indices: which origins each of K members learns from, step by step."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor


class Origins:
    """Each member's origins, [K, M], padded with its first; `real` [K, M] tells which count."""

    def __init__(self, origins: Sequence[np.ndarray], members: int, device: torch.device):
        rows = [torch.from_numpy(row) for row in origins] * (members if len(origins) == 1 else 1)
        longest = max(len(row) for row in rows)
        self.index = torch.stack([torch.cat([row, row[:1].expand(longest - len(row))]) for row in rows]).to(device)
        self.sizes = torch.tensor([len(row) for row in rows], device=device)  # [K]
        self.real = torch.arange(longest, device=device) < self.sizes.unsqueeze(1)  # [K, M]


class Batches:
    """Batches of origins [K, B], in each member's own random order."""

    def __init__(
        self, origins: Sequence[np.ndarray], members: int, batch: int, seeds: Sequence[int], device: torch.device
    ):
        self.origins = Origins(origins, members, torch.device("cpu"))
        self.sizes = self.origins.sizes.to(device)  # [K]
        self.batch = min(batch, int(self.sizes.max()))
        self.steps = -(-self.sizes // self.batch)  # [K], the steps a member takes an epoch
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.device = device

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Origins [K, B] and which of them are real; a member whose origins are used up waits."""
        longest = self.origins.index.shape[1]
        padded = -(-longest // self.batch) * self.batch
        order = torch.zeros(len(self.generators), padded, dtype=torch.int64)  # [K, steps * B]
        for row, size, generator in zip(order, self.origins.sizes.tolist(), self.generators, strict=True):
            row[:size] = torch.randperm(size, generator=generator)
        index = self.origins.index.gather(1, order).to(self.device)
        real = torch.arange(padded, device=self.device) < self.sizes.unsqueeze(1)
        yield from zip(index.split(self.batch, dim=1), real.split(self.batch, dim=1), strict=True)
