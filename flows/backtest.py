"""Test models on the past: forecasts from rolling origins over the test part, scored beside the baselines."""

from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.parameters import document_parameters
from flows.startup import quick_imports
from models.specs import (
    AutoFit,
    AutoRecurrent,
    AutoSplit,
    AutoWindow,
    Device,
    ElmanSpec,
    IntervalSpec,
    Models,
    NumpyRNNSpec,
    Output,
    RecipeName,
    RefitSpec,
    RunHorizon,
    Season,
    Seed,
    SeriesSpec,
    Stride,
    TestPoints,
)
from tasks.timing import timer


@flow(name="backtest", flow_run_name="{recipe}")
@document_parameters
def backtest(
    recipe: RecipeName = "custom",
    models: Models = ["rnn", "gru", "lstm"],
    series: SeriesSpec = SeriesSpec(),
    horizon: RunHorizon = None,
    test: TestPoints = None,
    stride: Stride = 1,
    season: Season = None,
    window: AutoWindow = AutoWindow(),
    split: AutoSplit = AutoSplit(),
    recurrent: AutoRecurrent = AutoRecurrent(),
    fit: AutoFit = AutoFit(),
    refit: RefitSpec = RefitSpec(),
    intervals: IntervalSpec = IntervalSpec(),
    elman: ElmanSpec = ElmanSpec(),
    numpy_rnn: NumpyRNNSpec = NumpyRNNSpec(),
    seed: Seed = 0,
    device: Device = "auto",
    output: Output = None,
) -> dict[str, Any]:
    """Train models, forecast from rolling origins over the test part, and score them beside the naive baselines.

    Returns the summary that `tidecast backtest --json` writes.
    """
    others = {"elman": elman, "numpy_rnn": numpy_rnn, "seed": seed}
    with quick_imports():
        from tasks.backtest.drawing import plot_backtest
        from tasks.backtest.forecasting import forecast_with_baselines, forecast_with_model
        from tasks.backtest.planning import plan_backtest, with_test_points
        from tasks.backtest.recording import record_backtest, record_training, summarize_backtest
        from tasks.backtest.scoring import score_backtest
        from tasks.combination import fit_or_combine, with_combined
        from tasks.data.series import read_series
        from tasks.data.settings import choose_settings
        from tasks.recording import record_data
        from tasks.resuming.run_state import open_run_state
        from tasks.run_labels import experiment_name, run_tags
        from tasks.tracking.runs import tracked_run
        from tasks.training import Training, choose_device

    chosen_device, names, source = choose_device(device, models), with_combined(models), read_series(series)
    settings = choose_settings(source, models, horizon, season, window, with_test_points(split, test), recurrent, fit)
    data = settings.prepare(source, "test")
    experiment = f"{experiment_name(recipe, source)} backtests"
    with (
        timer() as timings,
        open_run_state("backtest", flow_run.parameters, source.sha256, chosen_device) as run_state,
        tracked_run(experiment, recipe, run_tags(source, chosen_device, recipe), names, run_state) as run,
    ):
        record_data(run.id, data, flow_run.parameters, settings)
        plan = plan_backtest(data, settings.horizon, stride)
        rolling, trainings = forecast_with_baselines(plan), dict[str, Training]()
        for name in names:
            with run.child(name) as run_id:
                spec, trained = settings.spec(name, **others), list(trainings.values())
                trainings[name] = fit_or_combine(spec, trained, plan, None, run_id, chosen_device, run_state)
                rolling[name] = forecast_with_model(trainings[name], plan, refit, intervals, chosen_device)
                record_training(run_id, trainings[name], timings)
        scores = score_backtest(plan, rolling, intervals.level)
        figures = plot_backtest(plan, rolling, scores, intervals.level)
        record_backtest(run.id, run.children, plan, rolling, scores, figures, intervals.level, output)
    return summarize_backtest(recipe, experiment, run, plan, trainings, scores, output, timings, settings.explained())
