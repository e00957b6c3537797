"""The forecasts of a backtest from all its origins in one pass, against one origin at a time.

`python -m benchmarks.backtest [--rounds N] [--json FILE]`. The series is generated: 14,400 hours of a day, a week and
noise, in the parts of the recipe etth1, so its test part has 2,785 origins from which 96 steps are forecast. The models
are the recipe's GRU, after one short epoch, with and without its calendar, with a head of 96 steps or one of 24 that
goes on from its own forecasts; and the linear autoregression.

One at a time is the same call with nothing but the 336 values before an origin, cut out beforehand, for 200 origins
evenly drawn; its `alone_seconds` are scaled to all of them. `difference` is the largest between the forecasts of both.
`peak_MB` is what one pass adds to the peak memory of a process that has forecast from one origin.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measuring import interleaved, median_ratio, options, report
from benchmarks.memory import peak
from benchmarks.training import elapsed
from flows.backtest import backtest
from flows.catalogue import change, recipe_parameters
from flows.parameters import options_of
from models.baselines import BASELINES, fit_baseline
from models.data.panel import Panel, one_series
from models.network import Network
from models.specs import ModelSpec
from tasks.backtest.planning import plan_backtest
from tasks.data.preparation import Dataset, prepare_data
from tasks.data.series import Series
from tasks.training import untrained

POINTS, STEPS, DRAWN, WINDOWS = 14_400, 96, 200, 2_000


class Case(NamedTuple):
    """A model of K members with a head of so many steps; `calendar` by commas, "" for none."""

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
    parser.add_argument("--peak", metavar="CASE", help="one process's own work")
    arguments = parser.parse_args()
    if arguments.peak:
        print(pass_memory(Case(*json.loads(arguments.peak))))
        return
    rows = [row_of(case, arguments.rounds) for case in CASES]
    report("backtest", {"rows": rows}, arguments.json, device="cpu", precision="float32", drawn=DRAWN)


def row_of(case: Case, rounds: int) -> dict[str, Any]:
    """One line of the table."""
    given, data, origins = prepared(case)
    network, panel = made(case, given, data, trained=True), data.panel
    drawn = np.unique(np.linspace(0, len(origins) - 1, DRAWN).round().astype(int))
    windows = [window_before(panel, int(origin), data.window.length) for origin in origins[drawn]]
    found: dict[str, np.ndarray] = {}

    def one_pass() -> None:
        found["all"] = network.extend(panel, STEPS, origins)

    def one_at_a_time() -> None:
        found["alone"] = np.concatenate([network.extend(window, STEPS) for window in windows])

    works = {"all": clocked(one_pass), "alone": clocked(one_at_a_time, len(origins) / len(drawn))}
    seconds = interleaved(works, rounds)
    return {
        **case._asdict(),
        "origins": len(origins),
        "seconds": statistics.median(seconds["all"]),
        "alone_seconds": statistics.median(seconds["alone"]),
        "ratio": median_ratio(seconds["all"], seconds["alone"]),
        "difference": float(np.abs(found["all"][drawn] - found["alone"]).max()),
        "peak_MB": in_a_process(case) / 1e6,
    }


def prepared(case: Case) -> tuple[Any, Dataset, np.ndarray]:
    """The recipe's parameters with the case's changes, the series in its parts, and the test part's origins."""
    changes = {
        "window": {"horizon": case.head, "calendar": case.calendar},
        "fit": {"members": case.members, "epochs": 1, "windows": WINDOWS},
    }
    given: Any = options_of(backtest.fn).model_validate(change(recipe_parameters("backtest", "etth1"), changes))
    hours = np.arange(POINTS)
    values = np.sin(hours * np.pi / 12) + 0.5 * np.sin(hours * np.pi / 84)
    values += 0.1 * np.random.default_rng(0).standard_normal(POINTS)
    panel = replace(one_series("hours", values), first=(np.datetime64("2020-01-01", "us"),), step="h")
    series = Series("hours", panel, (), "", "", "")
    data = prepare_data.fn(series, given.window, given.split, given.season, "test")
    return given, data, plan_backtest.fn(data, STEPS, 1).origins["test"]


def made(case: Case, given: Any, data: Dataset, *, trained: bool) -> Network:
    """The forecaster; where it need not be trained, as good as untrained, so that training leaves no peak."""
    train = data.origins["train"]
    if case.model in BASELINES:
        origins = train if trained else train[: data.window.length]
        return fit_baseline(case.model, data.panel, origins, data.window.length, STEPS, data.season)
    spec = ModelSpec(model=case.model, window=data.window, season=data.season, recurrent=given.recurrent, fit=given.fit)
    forecaster = untrained(spec, data)
    if trained:
        for _ in forecaster.network.fit(forecaster.scaling.scale(data.panel, forecaster.network.dtype), train, None):
            pass
    return forecaster


def window_before(panel: Panel, origin: int, length: int) -> Panel:
    """A panel of nothing but the values before an origin."""
    first = panel.times(0, origin - length, 1)[0]
    return replace(one_series(panel.ids[0], panel.values[origin - length : origin]), first=(first,), step=panel.step)


def clocked(work: Callable[[], None], times: float = 1) -> Callable[[], float]:
    """The work as one that gives its seconds, times so much."""
    return lambda: times * elapsed(work)


def pass_memory(case: Case) -> int:
    """Bytes that one pass adds to the process's peak."""
    given, data, origins = prepared(case)
    network = made(case, given, data, trained=False)
    network.extend(data.panel, STEPS, origins[:1])
    before = peak()
    network.extend(data.panel, STEPS, origins)
    return peak() - before


def in_a_process(case: Case) -> int:
    """`pass_memory` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.backtest", "--peak", json.dumps(case)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
