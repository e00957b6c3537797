"""Time of a backtest that forecasts from all origins in one pass, compared with one origin at a time.

`python -m benchmarks.backtest [--rounds N] [--json FILE]`. The series is generated: 14,400 hours with a daily and a
weekly period and noise, split as in the recipe etth1. So its test part has 2,785 origins, from which 96 steps are
forecast. The models are the recipe's GRU, after one short epoch, with and without its calendar, with a head of 96
steps or with one of 24 that continues from its own forecasts; and the linear autoregression.

One at a time is the same call with only the 336 values before an origin, cut out beforehand, for 200 evenly spaced
origins; `alone_seconds` is scaled to all origins. `difference` is the largest one between the forecasts of both.
`peak_MB` is the memory that one pass adds to the peak of a process that has forecast from one origin.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measuring import elapsed, interleaved, median_ratio, options, report
from benchmarks.memory import peak
from benchmarks.quality import flow_parameters
from models.baselines import BASELINES, fit_baseline
from models.data.panel import Panel, one_series
from models.data.step_names import parse_step
from models.network import Network
from models.specs import ModelSpec
from tasks.backtest.planning import plan_backtest
from tasks.data.preparation import Dataset, prepare_data
from tasks.data.series import Series
from tasks.training import build_forecaster

POINTS, STEPS, SAMPLED, WINDOWS = 14_400, 96, 200, 2_000
"""Points of the series, steps ahead, origins measured one at a time, and training windows of the one epoch."""


class Case(NamedTuple):
    """A model of K members, the steps of its head, and its `calendar` by commas, "" for none."""

    model: str
    members: int
    head: int
    calendar: str


CASES = [
    Case("gru", 1, 96, "hour"),
    Case("gru", 3, 96, "hour"),
    Case("gru", 1, 96, ""),
    Case("gru", 3, 96, ""),
    Case("gru", 3, 24, "hour"),
    Case("gru", 3, 24, ""),
    Case("linear_ar", 1, 1, ""),
]


def main() -> None:
    """Measure all cases and print the table."""
    parser = options(__doc__.splitlines()[0], rounds=5)
    parser.add_argument("--peak", metavar="CASE", help="measure the peak memory of one case in this process")
    arguments = parser.parse_args()
    if arguments.peak:
        print(measure_memory(Case(*json.loads(arguments.peak))))
        return
    rows = [measure_case(case, arguments.rounds) for case in CASES]
    report("backtest", {"rows": rows}, arguments.json, device="cpu", precision="float32", drawn=SAMPLED)


def measure_case(case: Case, rounds: int) -> dict[str, Any]:
    """Return one row of the table."""
    parameters, data, origins = prepare_case(case)
    network, panel = make_forecaster(case, parameters, data, trained=True), data.panel
    sample = np.unique(np.linspace(0, len(origins) - 1, SAMPLED).round().astype(int))
    windows = [window_before(panel, int(origin), data.window.length) for origin in origins[sample]]
    forecasts: dict[str, np.ndarray] = {}

    def one_pass() -> None:
        forecasts["all"] = network.extend(panel, STEPS, origins)

    def one_at_a_time() -> None:
        forecasts["alone"] = np.concatenate([network.extend(window, STEPS) for window in windows])

    works = {"all": timed(one_pass), "alone": timed(one_at_a_time, factor=len(origins) / len(sample))}
    seconds = interleaved(works, rounds)
    return {
        **case._asdict(),
        "origins": len(origins),
        "seconds": statistics.median(seconds["all"]),
        "alone_seconds": statistics.median(seconds["alone"]),
        "ratio": median_ratio(seconds["all"], seconds["alone"]),
        "difference": float(np.abs(forecasts["all"][sample] - forecasts["alone"]).max()),
        "peak_MB": measure_memory_in_process(case) / 1e6,
    }


def prepare_case(case: Case) -> tuple[Any, Dataset, np.ndarray]:
    """Return the recipe's parameters with the changes of the case, the data set, and the origins of its test part."""
    changes = {
        "window": {"horizon": case.head, "calendar": case.calendar},
        "fit": {"members": case.members, "epochs": 1, "windows": WINDOWS},
    }
    parameters = flow_parameters("etth1", changes)
    hours = np.arange(POINTS)
    values = np.sin(hours * np.pi / 12) + 0.5 * np.sin(hours * np.pi / 84)
    values += 0.1 * np.random.default_rng(0).standard_normal(POINTS)
    panel = replace(one_series("hours", values), first=(np.datetime64("2020-01-01", "us"),), step=parse_step("h"))
    series = Series("hours", panel, (), "", "", "")
    data = prepare_data.fn(series, parameters.window, parameters.split, parameters.season, "test")
    return parameters, data, plan_backtest.fn(data, STEPS, 1).origins["test"]


def make_forecaster(case: Case, parameters: Any, data: Dataset, *, trained: bool) -> Network:
    """Make the forecaster of a case. If not `trained`, it is fitted hardly or not at all, which takes little memory."""
    train = data.origins["train"]
    if case.model in BASELINES:
        origins = train if trained else train[: data.window.length]
        return fit_baseline(case.model, data.panel, origins, data.window.length, STEPS, data.season)
    spec = ModelSpec(
        model=case.model, window=data.window, season=data.season, recurrent=parameters.recurrent, fit=parameters.fit
    )
    forecaster = build_forecaster(spec, data)
    if trained:
        for _ in forecaster.network.fit(forecaster.scaling.scale(data.panel, forecaster.network.dtype), train, None):
            pass
    return forecaster


def window_before(panel: Panel, origin: int, length: int) -> Panel:
    """Return a panel of only the `length` values before an origin."""
    first = panel.times(0, origin - length, 1)[0]
    return replace(one_series(panel.ids[0], panel.values[origin - length : origin]), first=(first,), step=panel.step)


def timed(work: Callable[[], None], factor: float = 1) -> Callable[[], float]:
    """Wrap a work so that it returns its seconds, multiplied by `factor`."""
    return lambda: factor * elapsed(work)


def measure_memory(case: Case) -> int:
    """Return the bytes that one pass adds to the peak memory of this process."""
    parameters, data, origins = prepare_case(case)
    network = make_forecaster(case, parameters, data, trained=False)
    network.extend(data.panel, STEPS, origins[:1])
    before = peak()
    network.extend(data.panel, STEPS, origins)
    return peak() - before


def measure_memory_in_process(case: Case) -> int:
    """Return the result of `measure_memory` in a new process."""
    command = [sys.executable, "-m", "benchmarks.backtest", "--peak", json.dumps(case)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
