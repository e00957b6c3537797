"""The main job: train, score, draw, record and compare models of a series."""

from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.parameters import document_parameters
from flows.startup import quick_imports
from models.specs import (
    Device,
    ElmanSpec,
    FitSpec,
    FreeRun,
    GateSpec,
    IntervalSpec,
    Models,
    ModelSpec,
    NumpyRNNSpec,
    RecipeName,
    RecurrentSpec,
    Season,
    Seed,
    SeriesSpec,
    SplitSpec,
    WindowSpec,
)
from tasks.timing import timer


@flow(name="train", flow_run_name="{recipe}")
@document_parameters
def train(
    recipe: RecipeName = "custom",
    models: Models = ["rnn", "gru", "lstm"],
    series: SeriesSpec = SeriesSpec(),
    window: WindowSpec = WindowSpec(),
    split: SplitSpec = SplitSpec(),
    season: Season = None,
    free_run: FreeRun = "test",
    recurrent: RecurrentSpec = RecurrentSpec(),
    fit: FitSpec = FitSpec(),
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
    networks = {"recurrent": recurrent, "fit": fit, "elman": elman, "numpy_rnn": numpy_rnn, "seed": seed}
    with quick_imports():
        from tasks.comparison import choose_model
        from tasks.data.preparation import prepare_data
        from tasks.data.series import read_series
        from tasks.drawing import plot_model
        from tasks.evaluation import ModelResult, evaluate, evaluate_baselines
        from tasks.gate import pass_gate, register_model
        from tasks.recording import record_comparison, record_data, record_model, summarize_training
        from tasks.resuming.run_state import open_run_state
        from tasks.run_labels import experiment_name, run_tags
        from tasks.run_page import link_run
        from tasks.tracking.runs import tracked_run
        from tasks.training import choose_device, fit_model

    chosen_device = choose_device(device, models)
    data = prepare_data(read_series(series), window, split, season, free_run)
    experiment, tags = experiment_name(recipe, data.series), run_tags(data.series, chosen_device, recipe)
    with (
        timer() as timings,
        open_run_state("train", flow_run.parameters, data.series.sha256, chosen_device) as run_state,
        tracked_run(experiment, recipe, tags, models, run_state) as run,
    ):
        link_run(run.id)
        record_data(run.id, data, flow_run.parameters)
        baselines = evaluate_baselines(data)
        results: dict[str, ModelResult] = {}
        for name in models:
            spec = ModelSpec(model=name, window=window, season=data.season, **networks)
            with run.child(name) as run_id:
                training = fit_model(spec, data, intervals, run_id, chosen_device, run_state)
                evaluation = evaluate(name, training.forecaster, data)
                figures = plot_model(training, evaluation, data)
                record_model(run_id, training, evaluation, data, figures)
            results[name] = ModelResult(run_id, training, evaluation)
        chosen = choose_model({name: result.evaluation.scores for name, result in results.items()})
        version = register_model(recipe, results[chosen], data, series)
        verdict = pass_gate(version, results[chosen].evaluation, baselines, data, gate)
        record_comparison(run.id, results, baselines, chosen, verdict)
    return summarize_training(recipe, experiment, run.id, chosen, results, baselines, verdict, timings)
