"""What all benchmarks share: interleaved rounds, medians, the machine's description, a table and a JSON file."""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numba", "numpy", "prefect", "mlflow")


def options(description: str, rounds: int | None = None) -> argparse.ArgumentParser:
    """A parser with `--json FILE`, which every benchmark takes, and with `--rounds` where it has some."""
    parser = argparse.ArgumentParser(description=description)
    if rounds is not None:
        parser.add_argument(
            "--rounds", type=int, default=rounds, help="times each thing is measured; the median counts"
        )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the rows as JSON")
    return parser


def interleaved(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each of the works gives (its seconds), in turn, `rounds` times after a first one that does not count.

    In turn, so that a machine that slows down for a while slows all of them down, and their ratio holds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            seconds[name].append(work())
    return seconds


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Median of the ratios of the two, round by round."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def machine() -> dict[str, Any]:
    """What a figure's reader must know of the machine and the libraries."""
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def report(benchmark: str, tables: Mapping[str, Sequence[Mapping[str, Any]]], path: Path | None, **more: Any) -> None:
    """Print Markdown tables, the first one called `rows`, under the machine's line; write all to `path` as JSON."""
    about = machine()
    print(f"\n{benchmark}: " + ", ".join(f"{name} {value}" for name, value in about.items()))
    print(", ".join(f"{name} {_spoken(value)}" for name, value in more.items()))
    for name, rows in tables.items():
        columns = list(rows[0])
        print(f"\n{name.replace('_', ' ')}\n")
        print("| " + " | ".join(columns) + " |")
        print("|" + " --- |" * len(columns))
        for row in rows:
            print("| " + " | ".join(_spoken(row[column]) for column in columns) + " |")
    if path is not None:
        path.write_text(json.dumps({"benchmark": benchmark, "machine": about, **more, **tables}, indent=1))


def _spoken(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        fields = dict(line.split(":", 1) for line in information.read_text().split("\n\n")[0].splitlines())
        named = {name.strip(): value.strip() for name, value in fields.items()}
        return f"{named.get('model name')} (family {named.get('cpu family')}, model {named.get('model')})"
    return platform.processor()
