"""Files that nobody meant to write: each must end in a forecast, or be refused in one clear line.

`python -m tests.support.fuzzing --inputs 1000000 --processes 2` tries many; `test_fuzz.py` tries some. An input is made from
its seed and its number alone: `--seed 3 --first 41 --inputs 1` makes one again.
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
from tasks.training import untrained
from tests.support.fuzzed_files import make_file, make_options

SECONDS, MEGABYTES, LONGEST = 10, 400, 1000
"""What an input may take at most, and how long the line of a refusal may be."""
NETWORK_EVERY = 200
"""One input in so many trains a small GRU; the others fit a baseline."""


class ModelResult(NamedTuple):
    """What became of an input: "forecast", the kind of refusal, or what went wrong."""

    said: str
    failed: bool = False


def forecast(path: Path, options: dict[str, Any], number: int) -> None:
    """What a run does with a file, up to a forecast of every series."""
    window = WindowSpec.model_validate(options["window"])
    series = read_series.fn(SeriesSpec(path=str(path), **options["series"]))
    data = prepare_data.fn(series, window, SplitSpec(**options["split"]), options["season"], options["free_run"])
    if number % NETWORK_EVERY == 0:
        answers = _by_a_network(data)
    else:
        scaling = fit_scaling(data.panel, data.split.train, window)
        scaling.scale(data.panel, steps=0)
        name, train = BASELINES[number % len(BASELINES)], data.origins["train"]
        baseline = fit_baseline(name, data.panel, train, window.length, window.horizon, data.season)
        for origins in data.origins.values():
            baseline.predict(data.panel, origins)
        answers = {name: baseline.extend(data.panel, window.horizon)}
    table = future_table(data.panel, answers)
    assert len(table) == len(data.panel.ids) * window.horizon
    assert not table["ds"].isna().any()


def _by_a_network(data: Dataset) -> dict[str, np.ndarray]:
    fit = FitSpec(epochs=1, batch=16)
    spec = ModelSpec(model="gru", window=data.window, season=data.season, recurrent=RecurrentSpec(hidden=2), fit=fit)
    refuse_misfit(spec, data.panel)
    forecaster = untrained(spec, data)
    scaled = forecaster.scaling.scale(data.panel, forecaster.network.dtype)
    for _ in forecaster.network.fit(scaled, data.origins["train"], data.origins.get("val")):
        pass
    return forecaster.forecast_columns(data.panel, data.window.horizon)


def try_input(seed: int, number: int, folder: Path) -> ModelResult:
    """Make one input and see what becomes of it; a failure stays in `folder`."""
    name, content = make_file(seed, number)
    path, options, before = folder / f"{seed}-{number}-{name}", make_options(seed, number), peak()
    path.write_bytes(content)
    signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of this process's own work, however busy the machine is
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            forecast(path, options, number)
        outcome = ModelResult("forecast")
    except InputError as refusal:
        outcome = judged(str(refusal), path)
    except Exception as error:  # any other is a failure
        outcome = ModelResult(f"{type(error).__name__}: {error}", failed=True)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if peak() - before > MEGABYTES:
        outcome = ModelResult(f"took {peak() - before:.0f} MB", failed=True)
    if not outcome.failed:
        path.unlink()
    return outcome


def warm_up() -> None:
    """Compile what is compiled once, so that no input pays for it."""
    build_network(ModelSpec(model="gru"))


def judged(line: str, path: Path) -> ModelResult:
    """A refusal by its kind, once it is seen to be one line that a person can read."""
    if "\n" in line or not line.isprintable() or len(line) > LONGEST or "Traceback" in line or not line.strip():
        return ModelResult(f"no clear line: {line!r}", failed=True)
    kind = re.sub(r"'.*?'|\d\S*", "_", line.replace(str(path), "FILE"))
    return ModelResult(kind[:60])


def peak() -> float:
    """The most memory that this process has taken, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _too_long(*_: object) -> None:
    raise TimeoutError(f"no end after {SECONDS} s")


def try_apart(seed: int, numbers: range, folder: Path, results: Any) -> None:
    """All of these inputs, in a process of its own, which tells each outcome; the file that it dies of is left."""
    warm_up()
    for number in numbers:
        results.put((number, try_input(seed, number, folder)))


def main(inputs: int, first: int, seed: int, processes: int, folder: Path) -> int:
    """Try inputs in processes that are replaced when one dies, and tell now and then what came of them."""
    folder.mkdir(parents=True, exist_ok=True)
    began, context, counts, failures = time.monotonic(), get_context("spawn"), Counter[str](), 0
    results = context.SimpleQueue()
    last = first + inputs
    shares = [range(first + n, last, processes) for n in range(processes)]
    workers = [context.Process(target=try_apart, args=(seed, share, folder, results)) for share in shares]
    for worker in workers:
        worker.start()
    done, told = 0, began
    while done < inputs:
        if not results.empty():
            number, outcome = results.get()
            shares[(number - first) % processes] = range(number + processes, last, processes)
        else:
            dead = [n for n, worker in enumerate(workers) if not worker.is_alive() and shares[n]]
            if not dead or not results.empty():
                time.sleep(0.05)
                continue
            place = dead[0]
            number, outcome = shares[place][0], ModelResult(f"died with {workers[place].exitcode}", failed=True)
            shares[place] = shares[place][1:]
            workers[place] = context.Process(target=try_apart, args=(seed, shares[place], folder, results))
            workers[place].start()
        done += 1
        counts[outcome.said if not outcome.failed else "FAILED"] += 1
        if outcome.failed:
            failures += 1
            with (folder / "failures.txt").open("a") as file:
                file.write(f"seed {seed}, number {number}: {outcome.said}\n")
        if time.monotonic() - told > 10 or done == inputs:
            told = time.monotonic()
            rate = done / (told - began)
            print(f"{done:,} of {inputs:,} inputs, {rate:.0f} a second, {failures} failures", flush=True)  # noqa: T201
    for said, count in counts.most_common():
        print(f"{count:>9,}  {said}")  # noqa: T201
    return int(failures > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "fuzz"), help="where failures go")
    given = parser.parse_args()
    sys.exit(main(given.inputs, given.first, given.seed, given.processes, given.folder))
