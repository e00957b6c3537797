"""The command `tidecast backtest`: checked, run and reported."""

import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import BaseModel
from rich.console import Console

from flows.backtest import backtest as backtest_flow
from flows.cli import STARTED
from flows.commands.running import (
    changed_options,
    recipe_options,
    refuse_json_file,
    refuse_output,
    run_flow,
    write_summary,
)
from flows.commands.train import load_libraries, refuse_misfits
from flows.parameters import options_of

BacktestOptions: type[BaseModel] = options_of(backtest_flow.fn)


def backtest(
    recipe: str | None = None,
    /,
    *,
    changes: Annotated[BacktestOptions | None, Parameter(name="*")] = None,  # type: ignore[valid-type]
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
) -> None:
    """What `tidecast backtest` does.

    Parameters
    ----------
    recipe
        A recipe of the catalogue, of `train` or of `backtest`; `sine` where no series is given either.
    json_file
        Write a summary for scripts to this file.
    """
    changed = changed_options(changes)
    name = recipe or (None if "series" in changed else "sine")
    options = recipe_options(BacktestOptions, "backtest", name, changed)
    refuse_json_file(json_file)
    refuse_mistakes(options)
    given = {"recipe": name or "custom", **options}
    summary = run_flow(backtest_flow, given, partial(load_libraries, options["models"]))
    total = time.perf_counter() - STARTED
    summary["seconds"] |= {"start": total - summary["seconds"].pop("flow"), "total": total}
    write_summary(summary, json_file)
    show(summary)


def refuse_mistakes(options: dict[str, Any]) -> None:
    """Find the user's mistakes before anything is started or written.

    **Raises:** `InputError`.
    """
    from tasks.backtest.planning import direct_window, plan_backtest, with_test_points

    refuse_output(options["output"])
    window = direct_window(options["window"], options["horizon"])
    split = with_test_points(options["split"], options["test"])
    data = refuse_misfits(options | {"window": window, "split": split, "free_run": "test"})
    plan_backtest.fn(data, options["horizon"], options["stride"])


def show(summary: dict[str, Any]) -> None:
    """Show the scores to who waits for them, and say what lies where."""
    from tasks.report import report_backtest

    screen = Console(markup=False)
    for part in report_backtest(summary):
        screen.print(part, highlight=False, soft_wrap=isinstance(part, str))
