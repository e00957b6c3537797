"""One training step of K GRUs on a GPU: the step in a CUDA graph, compared with a loop of cuDNN's.

Each row trains K networks of H units on B windows of T values. The loop is what a notebook would do: `nn.GRU`, a
linear head and `torch.optim.Adam(foreach=True)` for each member, one after the other. The last column names the
kernels that cuDNN picks. Precision is float32 for both, unless `--precision` says otherwise.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.measuring import interleaved, median_ratio, options, report
from benchmarks.training import VALUES, Case, draw_origins, notebook_step
from models.population.arithmetic import on_gpu
from models.population.cuda_graphs import GraphedSteps
from models.population.network import Population, Sizes
from models.population.tensors import tensors_of_values
from models.specs import FitSpec, RecurrentSpec

CASES = [Case("gru", members, hidden, 64, 256) for hidden in (64, 128, 192, 256) for members in (1, 16, 132)]
STEPS = 10


def main() -> None:
    """Measure all cases and print the table, or print that there is no GPU."""
    parser = options(__doc__.splitlines()[0], rounds=5)
    parser.add_argument("--precision", default="float32", choices=("float32", "tf32", "bf16"))
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("gpu: no CUDA device is here, so nothing was measured")
        return
    spec = FitSpec(clip=None, precision=arguments.precision)
    with on_gpu(spec):
        rows = [measure_case(case, spec, arguments.rounds) for case in CASES]
    report("gpu", {"rows": rows}, arguments.json, device=torch.cuda.get_device_name(), precision=spec.precision)


def measure_case(case: Case, spec: FitSpec, rounds: int) -> dict[str, Any]:
    """Return one row of the table."""
    loop = notebook_step(case, "cuda")
    seconds = interleaved({"graph": timed(graphed_step(case, spec)), "loop": timed(loop)}, rounds)
    return {
        **case._asdict(),
        "graph_ms": 1e3 * statistics.median(seconds["graph"]),
        "loop_ms": 1e3 * statistics.median(seconds["loop"]),
        "speedup": median_ratio(seconds["loop"], seconds["graph"]),
        "longest_kernels_of_the_loop": ", ".join(longest_kernels(loop)),
    }


def graphed_step(case: Case, spec: FitSpec) -> Callable[[], Any]:
    """Return Tidecast's step, which is captured at its first call."""
    network, sizes = RecurrentSpec(hidden=case.hidden), Sizes(case.window)
    population = Population(case.cell, network, sizes, range(case.members), device="cuda")
    steps = GraphedSteps(population, tensors_of_values(VALUES.cuda()), spec)
    origins, counts = draw_origins(case).cuda(), torch.full((case.members,), case.batch, device="cuda")
    rates = torch.full((case.members,), spec.learning_rate, device="cuda")  # [K]
    return lambda: steps.step(origins, counts, rates)


def timed(step: Callable[[], Any]) -> Callable[[], float]:
    """Wrap a step to return its seconds: the mean of STEPS steps, after which the device is synchronized once."""

    def work() -> float:
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(STEPS):
            step()
        torch.cuda.synchronize()
        return (time.perf_counter() - began) / STEPS

    return work


def longest_kernels(step: Callable[[], Any], count: int = 2) -> list[str]:
    """Return the names of the kernels in which the device spends most of a step."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        step()
        torch.cuda.synchronize()
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_device_time_total)
    return [event.key[:60] for event in events[:count]]


if __name__ == "__main__":
    main()
