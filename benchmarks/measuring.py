"""Shared by all benchmarks: interleaved rounds, medians, a description of the machine, tables and a JSON file."""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numba", "numpy", "prefect", "mlflow")


def options(description: str, rounds: int | None = None) -> argparse.ArgumentParser:
    """Return a parser with `--json FILE`, and with `--rounds N` unless `rounds` is None."""
    parser = argparse.ArgumentParser(description=description)
    if rounds is not None:
        parser.add_argument(
            "--rounds", type=int, default=rounds, help="times each thing is measured; the median counts"
        )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the rows as JSON")
    return parser


def interleaved(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run all works in turn, `rounds` times, after one round that does not count; return the seconds of each.

    A work returns its own seconds. A machine that slows down for a while slows down all of them, so that their ratios
    stay the same.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            seconds[name].append(work())
    return seconds


def elapsed(work: Callable[[], Any]) -> float:
    """Return the seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median over the rounds of the ratio `above / below`."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def machine() -> dict[str, Any]:
    """Describe the machine and the versions of the libraries."""
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def report(
    benchmark: str, tables: Mapping[str, Sequence[Mapping[str, Any]]], path: Path | None, **details: Any
) -> None:
    """Print Markdown tables by name, below a line on the machine and one of `details`; write all to `path` as JSON."""
    description = machine()
    print(f"\n{benchmark}: " + ", ".join(f"{name} {value}" for name, value in description.items()))
    print(", ".join(f"{name} {_formatted(value)}" for name, value in details.items()))
    for name, rows in tables.items():
        columns = list(rows[0])
        print(f"\n{name.replace('_', ' ')}\n")
        print("| " + " | ".join(columns) + " |")
        print("|" + " --- |" * len(columns))
        for row in rows:
            print("| " + " | ".join(_formatted(row[column]) for column in columns) + " |")
    if path is not None:
        path.write_text(json.dumps({"benchmark": benchmark, "machine": description, **details, **tables}, indent=1))


def _formatted(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        fields = dict(line.split(":", 1) for line in information.read_text().split("\n\n")[0].splitlines())
        processor = {name.strip(): value.strip() for name, value in fields.items()}
        family, model = processor.get("cpu family"), processor.get("model")
        return f"{processor.get('model name')} (family {family}, model {model})"
    return platform.processor()
