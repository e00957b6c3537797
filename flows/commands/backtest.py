"""The command `tidecast backtest`."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

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
    )


def check_backtest(options: dict[str, Any]) -> "tuple[SeriesSpec, Series]":
    """Find the user's mistakes before anything is started or written; returns the series that was read.

    **Raises:** `InputError`.
    """
    from tasks.backtest.planning import plan_backtest, with_test_points

    refuse_output(options["output"])
    split = with_test_points(options["split"], options["test"])
    series, data = read_training_data(options | {"split": split, "free_run": "test"})
    plan_backtest.fn(data, None, options["stride"])
    return options["series"], series
