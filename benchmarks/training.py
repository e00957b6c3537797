"""One training step of K networks, against a loop of `torch.nn` modules and against what the processor can do.

The reference does what a notebook would: for each member, gather a batch by index, `nn.GRU` (or `nn.RNN`, `nn.LSTM`), a
linear head, mean squared error, backward, `torch.optim.Adam(foreach=True)`. Ours is the step that training takes on a
CPU, the same work. Both run on one thread; the second table gives ours on two.

`gflops` counts the products with the weights, three times 2 G H (H + 1) a row and step; `peak_gflops` is the rate of a
loop of fused multiply-adds that never leaves the registers. `torch_ms` is plain PyTorch for all members at once,
Tidecast's own reference.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from benchmarks.measuring import interleaved, median_ratio, options, report
from models.kernels.steps import CompiledSteps
from models.kernels.vectors import LANES, fma, load, store
from models.population.network import Population, Sizes
from models.population.tensors import tensors_of_values
from models.population.torch_steps import TorchSteps
from models.specs import FitSpec, RecurrentSpec

MODULES = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
VALUES = torch.sin(torch.arange(10_000) / 7)
RATE = 1e-3
LEAST_SECONDS = 0.1


class Case(NamedTuple):
    """The size of a step: K networks of H units on B windows of T values."""

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
        works = {"reference": timed(notebook_step(case)), **ours(case)}
        seconds = interleaved(works, arguments.rounds)
        rows.append(row_of(case, seconds, fma_peak))
        if "two" in works:
            one, two = seconds["one"], seconds["two"]
            times = {"ms": milliseconds(one), "two_threads_ms": milliseconds(two), "speedup": median_ratio(one, two)}
            threads.append({**case._asdict(), **times})
    report("training", {"rows": rows, "two_threads": threads}, arguments.json, sgemm_gflops=sgemm)


def row_of(case: Case, seconds: dict[str, list[float]], peak: float) -> dict[str, Any]:
    """One line of the table."""
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[case.cell]
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


def ours(case: Case) -> dict[str, Callable[[], float]]:
    """The compiled step on one thread and on two, and the step in plain PyTorch."""
    origins, counts = draw_origins(case), torch.full((case.members,), case.batch)
    rates = torch.full((case.members,), RATE)

    def stepping(kind: Any, **options: int) -> Callable[[], float]:
        population = Population(case.cell, RecurrentSpec(hidden=case.hidden), Sizes(case.window), range(case.members))
        steps = kind(population, tensors_of_values(VALUES), FitSpec(clip=None), **options)
        return timed(lambda: steps.step(origins, counts, rates))

    works = {"one": stepping(CompiledSteps, threads=1), "torch": stepping(TorchSteps)}
    if case.members > 1:
        works["two"] = stepping(CompiledSteps, threads=2)
    return works


def notebook_step(case: Case, device: str = "cpu") -> Callable[[], None]:
    """A step of each member in turn, a module of `torch.nn` with a head and an Adam of its own."""
    networks = [MODULES[case.cell](1, case.hidden).to(device) for _ in range(case.members)]
    heads = [torch.nn.Linear(case.hidden, 1).to(device) for _ in range(case.members)]
    weights = [[*network.parameters(), *head.parameters()] for network, head in zip(networks, heads, strict=True)]
    adams = [torch.optim.Adam(own, lr=RATE, foreach=True) for own in weights]
    before, drawn = torch.arange(-case.window, 0, device=device).unsqueeze(1), draw_origins(case).to(device)
    values = VALUES.to(device)

    def step() -> None:
        for network, head, adam, origins in zip(networks, heads, adams, drawn, strict=True):
            outputs, _ = network(values[origins + before].unsqueeze(-1))  # [T, B, H]
            loss = (head(outputs[-1]).squeeze(-1) - values[origins]).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()

    return step


def draw_origins(case: Case) -> Tensor:
    """Origins [K, B]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(case.window, len(VALUES), (case.members, case.batch), generator=generator)


def timed(step: Callable[[], Any]) -> Callable[[], float]:
    """Seconds of one step, from as many as fill LEAST_SECONDS."""

    def work() -> float:
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < LEAST_SECONDS:
            step()
            count += 1
        return (time.perf_counter() - began) / count

    return work


def milliseconds(seconds: list[float]) -> float:
    """Their median."""
    return 1e3 * statistics.median(seconds)


@njit(nogil=True)
def spin(tile, times):  # type: ignore[no-untyped-def]
    """Eight chains of fused multiply-adds, in registers."""
    a, b, c, d = load(tile, 0), load(tile, 1), load(tile, 2), load(tile, 3)
    e, f, g, h = load(tile, 4), load(tile, 5), load(tile, 6), load(tile, 7)
    x, y = load(tile, 8), load(tile, 9)
    for _ in range(times):
        a, b, c, d = fma(a, x, y), fma(b, x, y), fma(c, x, y), fma(d, x, y)
        e, f, g, h = fma(e, x, y), fma(f, x, y), fma(g, x, y), fma(h, x, y)
    store(tile, 0, ((a + b) + (c + d)) + ((e + f) + (g + h)))


def peak_gflops(times: int = 1_000_000) -> float:
    """What one core can do at most: the best of five runs of `spin`."""
    tile = np.full((10, LANES), 0.5, dtype=np.float32)
    spin(tile, 1)
    return max(16 * LANES * times / seconds / 1e9 for seconds in (elapsed(lambda: spin(tile, times)) for _ in range(5)))


def sgemm_gflops(size: int = 1024) -> float:
    """What PyTorch's product of two square matrices does on one thread: the best of five."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    return max(2 * size**3 / seconds / 1e9 for seconds in (elapsed(lambda: a @ b) for _ in range(5)))


def elapsed(work: Callable[[], Any]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
