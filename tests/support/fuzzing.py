"""Fuzz the reading of files: each random file must end in a forecast, or be refused in one clear line.

`python -m tests.support.fuzzing --inputs 1000000 --processes 2` tries many; `test_fuzz.py` tries some. An input depends
only on its seed and number: `--seed 3 --first 41 --inputs 1` repeats one.
"""

import argparse
import re
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models.baselines import BASELINES, fit_baseline
from models.data.scaling import fit_scaling
from models.errors import InputError
from models.forecaster import build_network, future_table, refuse_misfit
from models.specs import FitSpec, ModelSpec, RecurrentSpec, SeriesSpec, SplitSpec, WindowSpec
from tasks.data.preparation import Dataset, prepare_data
from tasks.data.series import read_series
from tasks.training import build_forecaster
from tests.support.fuzzed_files import make_file, make_options

SECONDS, MEGABYTES, LONGEST = 10, 400, 1000
"""The most time and memory that an input may take, and the most characters of a refusal."""
NETWORK_EVERY = 200
"""One of so many inputs trains a small GRU; the others fit a baseline."""


class FuzzResult(NamedTuple):
    """How an input ended: with a "forecast", a kind of refusal, or a failure."""

    text: str
    failed: bool = False


def forecast(path: Path, options: dict[str, Any], number: int) -> None:
    """Do what a run does with a file, up to a forecast of every series."""
    window = WindowSpec.model_validate(options["window"])
    series = read_series.fn(SeriesSpec(path=str(path), **options["series"]))
    data = prepare_data.fn(series, window, SplitSpec(**options["split"]), options["season"], options["free_run"])
    if number % NETWORK_EVERY == 0:
        columns = _forecast_with_gru(data)
    else:
        scaling = fit_scaling(data.panel, data.split.train, window)
        scaling.scale(data.panel, steps=0)
        name, train = BASELINES[number % len(BASELINES)], data.origins["train"]
        baseline = fit_baseline(name, data.panel, train, window.length, window.horizon, data.season)
        for origins in data.origins.values():
            baseline.predict(data.panel, origins)
        columns = {name: baseline.extend(data.panel, window.horizon)}
    table = future_table(data.panel, columns)
    assert len(table) == len(data.panel.ids) * window.horizon
    assert not table["ds"].isna().any()


def _forecast_with_gru(data: Dataset) -> dict[str, np.ndarray]:
    fit = FitSpec(epochs=1, batch=16)
    spec = ModelSpec(model="gru", window=data.window, season=data.season, recurrent=RecurrentSpec(hidden=2), fit=fit)
    refuse_misfit(spec, data.panel)
    forecaster = build_forecaster(spec, data)
    scaled = forecaster.scaling.scale(data.panel, forecaster.network.dtype)
    for _ in forecaster.network.fit(scaled, data.origins["train"], data.origins.get("val")):
        pass
    return forecaster.forecast_panel(data.panel, data.window.horizon)


def try_input(seed: int, number: int, folder: Path) -> FuzzResult:
    """Make one input and try it; the file of a failure stays in `folder`."""
    name, content = make_file(seed, number)
    path, options, before = folder / f"{seed}-{number}-{name}", make_options(seed, number), peak()
    path.write_bytes(content)
    signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # processor time, so that other processes do not count
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            forecast(path, options, number)
        result = FuzzResult("forecast")
    except InputError as refusal:
        result = classify_refusal(str(refusal), path)
    except Exception as error:  # any other error is a failure
        result = FuzzResult(f"{type(error).__name__}: {error}", failed=True)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if peak() - before > MEGABYTES:
        result = FuzzResult(f"took {peak() - before:.0f} MB", failed=True)
    if not result.failed:
        path.unlink()
    return result


def warm_up() -> None:
    """Load the compiled kernels, so that no input is charged for it."""
    build_network(ModelSpec(model="gru"))


def classify_refusal(line: str, path: Path) -> FuzzResult:
    """Return the kind of a refusal, or a failure if it is not one readable line."""
    if "\n" in line or not line.isprintable() or len(line) > LONGEST or "Traceback" in line or not line.strip():
        return FuzzResult(f"no clear line: {line!r}", failed=True)
    kind = re.sub(r"'.*?'|\d\S*", "_", line.replace(str(path), "FILE"))
    return FuzzResult(kind[:60])


def peak() -> float:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _too_long(*_: object) -> None:
    raise TimeoutError(f"not finished after {SECONDS} s")


def try_apart(seed: int, numbers: range, folder: Path, results: Any) -> None:
    """Try inputs in a process of their own, and put each result into the queue; the file that kills it stays."""
    warm_up()
    for number in numbers:
        results.put((number, try_input(seed, number, folder)))


def main(inputs: int, first: int, seed: int, processes: int, folder: Path) -> int:
    """Try inputs in several processes, replace those that die, and print the counts of the results now and then."""
    folder.mkdir(parents=True, exist_ok=True)
    began, context, counts, failures = time.monotonic(), get_context("spawn"), Counter[str](), 0
    results = context.SimpleQueue()
    last = first + inputs
    shares = [range(first + n, last, processes) for n in range(processes)]
    workers = [context.Process(target=try_apart, args=(seed, share, folder, results)) for share in shares]
    for worker in workers:
        worker.start()
    done, printed = 0, began
    while done < inputs:
        if not results.empty():
            number, result = results.get()
            shares[(number - first) % processes] = range(number + processes, last, processes)
        else:
            ended = [n for n, worker in enumerate(workers) if not worker.is_alive() and shares[n]]
            if not ended or not results.empty():
                time.sleep(0.05)
                continue
            index = ended[0]
            number, result = shares[index][0], FuzzResult(f"died with {workers[index].exitcode}", failed=True)
            shares[index] = shares[index][1:]
            workers[index] = context.Process(target=try_apart, args=(seed, shares[index], folder, results))
            workers[index].start()
        done += 1
        counts[result.text if not result.failed else "FAILED"] += 1
        if result.failed:
            failures += 1
            with (folder / "failures.txt").open("a") as file:
                file.write(f"seed {seed}, number {number}: {result.text}\n")
        if time.monotonic() - printed > 10 or done == inputs:
            printed = time.monotonic()
            rate = done / (printed - began)
            print(f"{done:,} of {inputs:,} inputs, {rate:.0f} a second, {failures} failures", flush=True)  # noqa: T201
    for text, count in counts.most_common():
        print(f"{count:>9,}  {text}")  # noqa: T201
    return int(failures > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "fuzz"), help="where failures go")
    arguments = parser.parse_args()
    sys.exit(main(**vars(arguments)))
