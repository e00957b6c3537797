"""The command `tidecast train`."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from flows.commands.running import Changes, JsonFile, run_command
from flows.parameters import options_of
from flows.train import train as train_flow
from models.specs import RECURRENT, ModelSpec, SeriesSpec

if TYPE_CHECKING:  # takes a second
    from tasks.data.preparation import Dataset
    from tasks.data.series import Series

TrainOptions: type[BaseModel] = options_of(train_flow.fn)


def train(
    recipe: str | None = None,
    /,
    *,
    changes: Changes[TrainOptions] = None,  # type: ignore[valid-type]
    json_file: JsonFile = None,
) -> None:
    """Train models on a series, compare them with the naive baselines, and record it all in MLflow.

    A default that is shown holds where neither the recipe nor a flag says otherwise.

    Parameters
    ----------
    recipe
        A recipe of the catalogue, as `tidecast recipes` lists them; `sine` if no series is given either.
    """
    run_command(
        train_flow,
        recipe,
        changes,
        json_file,
        check=check_training,
        load_libraries=load_training_libraries,
    )


def check_training(options: dict[str, Any]) -> "tuple[SeriesSpec, Series]":
    """Find the user's mistakes before anything is started or written; returns the series that was read.

    **Raises:** `InputError`.
    """
    from tasks.backtest.planning import plan_evaluation

    series, data = read_training_data(options)
    plan_evaluation.fn(data)
    return options["series"], series


def read_training_data(options: dict[str, Any]) -> "tuple[Series, Dataset]":
    """Read the series and prepare its data, and check that the device and all models fit them.

    **Raises:** `InputError`.
    """
    from models.forecaster import refuse_misfit
    from tasks.data.preparation import prepare_data
    from tasks.data.series import read_series
    from tasks.data.settings import choose_settings

    if options["device"] == "cuda" or options["fit"].precision != "float32":
        from models.population.arithmetic import check_precision
        from tasks.training import choose_device

        device = choose_device(options["device"], options["models"])
        if set(options["models"]) & set(RECURRENT):
            check_precision(options["fit"].precision, device)
    series = read_series.fn(options["series"])
    chosen = {name: options[name] for name in ("models", "horizon", "season", "window", "split", "recurrent", "fit")}
    settings = choose_settings.fn(series, **chosen)
    data = prepare_data.fn(
        series, settings.window, settings.split, settings.season, options["free_run"], settings.horizon
    )
    for model in options["models"]:
        refuse_misfit(settings.spec(model), data.panel)
    return series, data


def load_training_libraries(options: dict[str, Any]) -> None:
    """Import what the tasks need, load the compiled cells of the models, and open MLflow's database."""
    from models.forecaster import build_network
    from tasks import drawing, recording  # noqa: F401
    from tasks.tracking.tracker import TRACKER

    for name in set(options["models"]) & set(RECURRENT):
        build_network(ModelSpec(model=name))
    TRACKER.ask(lambda client: client.search_experiments(max_results=1), patience=0.0)  # nothing is lost yet
