"""The main job: train, score, draw, record and compare models of a series."""

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
    FreeRun,
    GateSpec,
    IntervalSpec,
    Models,
    NumpyRNNSpec,
    RecipeName,
    RunHorizon,
    Season,
    Seed,
    SeriesSpec,
)
from tasks.timing import timer


@flow(name="train", flow_run_name="{recipe}")
@document_parameters
def train(
    recipe: RecipeName = "custom",
    models: Models = ["rnn", "gru", "lstm"],
    series: SeriesSpec = SeriesSpec(),
    horizon: RunHorizon = None,
    window: AutoWindow = AutoWindow(),
    split: AutoSplit = AutoSplit(),
    season: Season = None,
    free_run: FreeRun = "test",
    recurrent: AutoRecurrent = AutoRecurrent(),
    fit: AutoFit = AutoFit(),
    elman: ElmanSpec = ElmanSpec(),
    numpy_rnn: NumpyRNNSpec = NumpyRNNSpec(),
    intervals: IntervalSpec = IntervalSpec(),
    gate: GateSpec = GateSpec(),
    seed: Seed = 0,
    device: Device = "auto",
) -> dict[str, Any]:
    """Train models on a series, compare them with the naive baselines, register the best, and record all in MLflow.

    Returns the summary that `tidecast train --json` writes.
    """
    others = {"elman": elman, "numpy_rnn": numpy_rnn, "seed": seed}
    with quick_imports():
        from tasks.backtest.planning import plan_evaluation
        from tasks.combination import fit_or_combine, with_combined
        from tasks.comparison import choose
        from tasks.data.series import read_series
        from tasks.data.settings import choose_settings
        from tasks.drawing import plot_model
        from tasks.evaluation import ModelResult, evaluate, evaluate_baselines, scores_of
        from tasks.gate import pass_gate, register_model
        from tasks.recording import record_comparison, record_data, record_model, summarize_training
        from tasks.resuming.run_state import open_run_state
        from tasks.run_labels import experiment_name, run_tags
        from tasks.tracking.runs import tracked_run
        from tasks.training import choose_device

    chosen_device, names, source = choose_device(device, models), with_combined(models), read_series(series)
    settings = choose_settings(source, models, horizon, season, window, split, recurrent, fit)
    data = settings.prepare(source, free_run)
    plan = plan_evaluation(data)
    experiment, tags = experiment_name(recipe, source), run_tags(source, chosen_device, recipe)
    with (
        timer() as timings,
        open_run_state("train", flow_run.parameters, source.sha256, chosen_device) as run_state,
        tracked_run(experiment, recipe, tags, names, run_state) as run,
    ):
        record_data(run.id, data, flow_run.parameters, settings)
        baselines, results = evaluate_baselines(plan), dict[str, ModelResult]()
        for name in names:
            with run.child(name) as run_id:
                spec, trained = settings.spec(name, **others), [result.training for result in results.values()]
                training = fit_or_combine(spec, trained, plan, intervals, run_id, chosen_device, run_state)
                evaluation = evaluate(name, training.forecaster, plan, training.validated)
                record_model(run_id, training, evaluation, data, plot_model(training, evaluation, data))
            results[name] = ModelResult(run_id, training, evaluation)
        choice = choose(scores_of(results), scores_of(baselines), len(data.panel.ids))
        version = register_model(recipe, results[choice.model], data, series, choice)
        verdict = pass_gate(version, results[choice.model].evaluation, baselines, plan, gate)
        record_comparison(run.id, results, baselines, choice, verdict)
    return summarize_training(recipe, experiment, run.id, choice, results, baselines, verdict, timings, settings)
