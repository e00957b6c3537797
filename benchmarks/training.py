"""One training step of K networks, compared with a loop of `torch.nn` modules and with the processor's peak.

The reference does what a notebook would: for each member, gather a batch by index, `nn.GRU` (or `nn.RNN`, `nn.LSTM`), a
linear head, mean squared error, backward, `torch.optim.Adam(foreach=True)`. Tidecast's compiled step does the same.
Both run on one thread; the second table has the compiled step on two.

`gflops` counts the products with the weights: three times 2 G H (H + 1) for each row of a batch and each time step,
with G gates and H hidden units. `peak_gflops` is the rate of a loop of fused multiply-adds that never leaves the
registers.
`torch_ms` is Tidecast's reference in plain PyTorch, for all members at once.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from benchmarks.measuring import elapsed, interleaved, median_ratio, options, report
from models.kernels.steps import CompiledSteps
from models.kernels.vectors import LANES, fma, load, store
from models.population.cells import CELLS
from models.population.network import Population, Sizes
from models.population.tensors import tensors_of_values
from models.population.torch_steps import TorchSteps
from models.specs import FitSpec, RecurrentSpec

MODULES = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
VALUES = torch.sin(torch.arange(10_000) / 7)
RATE = 1e-3
MIN_SECONDS = 0.1
"""Seconds that one measurement takes at least."""


class Case(NamedTuple):
    """The size of a step: K `members` of H `hidden` units, on a `batch` of B windows of T values."""

    cell: str
    members: int
    hidden: int
    window: int
    batch: int


CASES = [
    Case("gru", 1, 50, 10, 64),
    Case("gru", 1, 64, 50, 256),
    Case("gru", 1, 16, 32, 64),
    Case("gru", 64, 16, 32, 64),
    Case("gru", 32, 64, 50, 64),
    Case("gru", 8, 128, 50, 64),
    Case("rnn", 1, 64, 50, 256),
    Case("lstm", 1, 64, 50, 256),
]


def main() -> None:
    """Measure all cases and print both tables."""
    parser = options(__doc__.splitlines()[0], rounds=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    fma_peak, sgemm = peak_gflops(), sgemm_gflops()
    rows, threads = [], []
    for case in CASES:
        works = {"reference": timed(notebook_step(case)), **tidecast_steps(case)}
        seconds = interleaved(works, arguments.rounds)
        rows.append(make_row(case, seconds, fma_peak))
        if "two" in works:
            one, two = seconds["one"], seconds["two"]
            times = {"ms": milliseconds(one), "two_threads_ms": milliseconds(two), "speedup": median_ratio(one, two)}
            threads.append({**case._asdict(), **times})
    report("training", {"rows": rows, "two_threads": threads}, arguments.json, sgemm_gflops=sgemm)


def make_row(case: Case, seconds: dict[str, list[float]], peak: float) -> dict[str, Any]:
    """Return one row of the first table."""
    gates = CELLS[case.cell].gates
    work = 6 * case.members * case.batch * case.window * gates * case.hidden * (case.hidden + 1)
    return {
        **case._asdict(),
        "ms": milliseconds(seconds["one"]),
        "reference_ms": milliseconds(seconds["reference"]),
        "speedup": median_ratio(seconds["reference"], seconds["one"]),
        "gflops": work / statistics.median(seconds["one"]) / 1e9,
        "peak_gflops": peak,
        "torch_ms": milliseconds(seconds["torch"]),
    }


def tidecast_steps(case: Case) -> dict[str, Callable[[], float]]:
    """Return Tidecast's steps by name, timed: compiled on one thread and on two, and in plain PyTorch."""
    origins, counts = draw_origins(case), torch.full((case.members,), case.batch)
    rates = torch.full((case.members,), RATE)

    def timed_step(kind: Any, **options: int) -> Callable[[], float]:
        population = Population(case.cell, RecurrentSpec(hidden=case.hidden), Sizes(case.window), range(case.members))
        steps = kind(population, tensors_of_values(VALUES), FitSpec(clip=None), **options)
        return timed(lambda: steps.step(origins, counts, rates))

    works = {"one": timed_step(CompiledSteps, threads=1), "torch": timed_step(TorchSteps)}
    if case.members > 1:
        works["two"] = timed_step(CompiledSteps, threads=2)
    return works


def notebook_step(case: Case, device: str = "cpu") -> Callable[[], None]:
    """Return a step that trains the members in turn, each a module of `torch.nn` with its own head and Adam."""
    networks = [MODULES[case.cell](1, case.hidden).to(device) for _ in range(case.members)]
    heads = [torch.nn.Linear(case.hidden, 1).to(device) for _ in range(case.members)]
    weights = [[*network.parameters(), *head.parameters()] for network, head in zip(networks, heads, strict=True)]
    adams = [torch.optim.Adam(of_member, lr=RATE, foreach=True) for of_member in weights]
    offsets = torch.arange(-case.window, 0, device=device).unsqueeze(1)  # [T, 1]
    all_origins = draw_origins(case).to(device)  # [K, B]
    values = VALUES.to(device)

    def step() -> None:
        for network, head, adam, origins in zip(networks, heads, adams, all_origins, strict=True):
            outputs, _ = network(values[origins + offsets].unsqueeze(-1))  # [T, B, H]
            loss = (head(outputs[-1]).squeeze(-1) - values[origins]).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()

    return step


def draw_origins(case: Case) -> Tensor:
    """Draw random origins [K, B]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(case.window, len(VALUES), (case.members, case.batch), generator=generator)


def timed(step: Callable[[], Any]) -> Callable[[], float]:
    """Wrap a step to return its seconds: the mean of as many steps as take MIN_SECONDS."""

    def work() -> float:
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < MIN_SECONDS:
            step()
            count += 1
        return (time.perf_counter() - began) / count

    return work


def milliseconds(seconds: list[float]) -> float:
    """Return the median, in milliseconds."""
    return 1e3 * statistics.median(seconds)


@njit(nogil=True)
def spin(tile, times):  # type: ignore[no-untyped-def]
    """Compute eight chains of fused multiply-adds in registers."""
    a, b, c, d = load(tile, 0), load(tile, 1), load(tile, 2), load(tile, 3)
    e, f, g, h = load(tile, 4), load(tile, 5), load(tile, 6), load(tile, 7)
    x, y = load(tile, 8), load(tile, 9)
    for _ in range(times):
        a, b, c, d = fma(a, x, y), fma(b, x, y), fma(c, x, y), fma(d, x, y)
        e, f, g, h = fma(e, x, y), fma(f, x, y), fma(g, x, y), fma(h, x, y)
    store(tile, 0, ((a + b) + (c + d)) + ((e + f) + (g + h)))


def peak_gflops(times: int = 1_000_000) -> float:
    """Return the peak rate of one core: the best of five runs of `spin`."""
    tile = np.full((10, LANES), 0.5, dtype=np.float32)
    spin(tile, 1)
    return max(16 * LANES * times / seconds / 1e9 for seconds in (elapsed(lambda: spin(tile, times)) for _ in range(5)))


def sgemm_gflops(size: int = 1024) -> float:
    """Return the rate of PyTorch's product of two square matrices on one thread: the best of five runs."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    return max(2 * size**3 / seconds / 1e9 for seconds in (elapsed(lambda: a @ b) for _ in range(5)))


if __name__ == "__main__":
    main()
