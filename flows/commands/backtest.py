"""The command `tidecast backtest`."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from flows.backtest import backtest as backtest_flow
from flows.commands.checks import refuse_output
from flows.commands.running import Changes, JsonFile, run_command
from flows.commands.train import load_training_libraries, read_training_data
from flows.parameters import options_of
from models.specs import SeriesSpec

if TYPE_CHECKING:  # takes a second
    from tasks.data.series import Series

BacktestOptions: type[BaseModel] = options_of(backtest_flow.fn)


def backtest(
    recipe: str | None = None,
    /,
    *,
    changes: Changes[BacktestOptions] = None,  # type: ignore[valid-type]
    json_file: JsonFile = None,
) -> None:
    """Train models, forecast from rolling origins over the test part, and score them beside the naive baselines.

    A default that is shown holds where neither the recipe nor a flag says otherwise.

    Parameters
    ----------
    recipe
        A recipe of the catalogue, of `train` or of `backtest`; `sine` if no series is given either.
    """
    run_command(
        backtest_flow,
        recipe,
        changes,
        json_file,
        check=check_backtest,
        load_libraries=load_training_libraries,
        show=show_backtest,
    )


def check_backtest(options: dict[str, Any]) -> "tuple[SeriesSpec, Series]":
    """Find the user's mistakes before anything is started or written; returns the series that was read.

    **Raises:** `InputError`.
    """
    from tasks.backtest.planning import direct_window, plan_backtest, with_test_points

    refuse_output(options["output"])
    window = direct_window(options["window"], options["horizon"])
    split = with_test_points(options["split"], options["test"])
    series, data = read_training_data(options | {"window": window, "split": split, "free_run": "test"})
    plan_backtest.fn(data, options["horizon"], options["stride"])
    return options["series"], series


def show_backtest(summary: dict[str, Any]) -> None:
    """Print the table of scores, how long it took, and where the forecasts are."""
    from tasks.backtest.scoring import table_rows
    from tasks.tracking.files import artifact_folder, relative_to_here

    scores = {name: model["metrics"] for name, model in summary["models"].items()} | summary["baselines"]
    rows = table_rows(scores, summary["chosen"], summary["chosen_by"])
    table = Table(title=f"{summary['experiment']}: {summary['description']}", title_justify="left", header_style="bold")
    for name in (*rows[0], "seconds"):
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=name == "model")
    for name, row in zip(scores, rows, strict=True):
        model = summary["models"].get(name)
        table.add_row(*row.values(), f"{model['seconds']:.1f}" if model else "")
        if name == list(summary["models"])[-1]:
            table.add_section()
    screen, seconds = Console(markup=False), summary["seconds"]
    screen.print(table)
    folder = relative_to_here(artifact_folder(summary["parent_run_id"]))
    lines = [
        f"{seconds['total']:.1f} s in all: start {seconds['start']:.1f}, training {seconds['train']:.1f}, forecasting "
        f"{seconds['forecast']:.1f}.",
        f"Forecasts, scores by series and step, and plots: {folder}",
        *([f"Forecasts written to {summary['output']}"] if summary["output"] else []),
    ]
    screen.print("\n".join(lines), highlight=False, soft_wrap=True)
