"""The gate: a new model becomes the champion of its series if it beats its rivals on data that none of them saw."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.baselines import NAIVE
from models.data.windows import actual_values
from models.display import format_number
from models.errors import InputError
from models.metrics import rmse
from models.specs import GateSpec, SeriesSpec
from tasks.data.preparation import Dataset
from tasks.evaluation import Evaluation, ModelResult
from tasks.resuming.locks import locked
from tasks.tracking.registry import (
    TRAINED_ON_FORMAT,
    Version,
    champion_of,
    find_version,
    load_version,
    promote,
    register_version,
    registered_name,
    tag_version,
)


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger was promoted to champion, the reason, and the RMSE of all compared, on the same points."""

    challenger: Version
    champion: Version | None
    promoted: bool
    reason: str
    scores: dict[str, float]

    def __str__(self) -> str:
        """Return the decision as a sentence."""
        name, number = self.challenger.name, self.challenger.number
        if self.promoted:
            return f"Version {number} is the new champion of {name}: {self.reason}."
        stays = f"version {self.champion.number} stays champion" if self.champion else "there is no champion"
        return f"Version {number} of {name} is kept out, and {stays}: {self.reason}."

    def tags(self) -> dict[str, str]:
        """Return the decision as tags of the run and of the version."""
        decision = "promoted" if self.promoted else "kept out"
        previous = {"gate.champion_before": str(self.champion)} if self.champion else {}
        return {"version": str(self.challenger), "gate": decision, "gate.reason": self.reason, **previous}


@task(task_run_name="register_model", cache_policy=NO_CACHE)
def register_model(recipe: str, result: ModelResult, data: Dataset, source: SeriesSpec) -> Version:
    """Register the chosen model under its series' name, with what later forecasts and gates need to know."""
    model, metrics = result.training.forecaster.spec.model, result.evaluation.scores
    if source.path:
        source = source.model_copy(update={"path": str(Path(source.path).absolute())})
    trained_on = {
        "format": TRAINED_ON_FORMAT,
        "series": source.model_dump(exclude_defaults=True),
        "season": data.season,
        "window_length": data.window.length,
        "horizon": data.window.horizon,
        "padded": data.window.short == "pad",
        "seen_until": last_time_seen(data),
    }
    scores = {name: f"{score:.3g}" for name, score in metrics.items() if name in ("val_rmse", "test_rmse")}
    tags = {"recipe": recipe, "model": model, **scores, "trained_on": json.dumps(trained_on)}
    description = ", ".join([*(f"{name} {score}" for name, score in scores.items()), model, f"recipe {recipe}"])
    return register_version(registered_name(data.series.name), result.run_id, tags, description)


def last_time_seen(data: Dataset) -> str:
    """Return the latest time in the training and validation parts of any series."""
    return str(max(data.panel.all_times()[data.split.validation - 1]))


@task(task_run_name="pass_gate", cache_policy=NO_CACHE)
def pass_gate(
    challenger: Version, evaluation: Evaluation, baselines: Mapping[str, Evaluation], data: Dataset, gate: GateSpec
) -> Verdict:
    """Compare the challenger with the champion and the baselines on the test part; promote it if it beats them all."""
    with locked("gate"):  # so that the second of two challengers is compared with the first
        verdict = compare(challenger, evaluation, baselines, data, gate)
        # A process on another machine may have promoted its challenger meanwhile.
        while verdict.promoted and str(rival_of(challenger)) != str(verdict.champion):
            verdict = compare(challenger, evaluation, baselines, data, gate)
        # Tags come before the promotion: if the process is killed in between, a resumed run must decide the same.
        tag_version(challenger, {name: value for name, value in verdict.tags().items() if name != "version"})
        if verdict.promoted:
            promote(challenger)
    return verdict


def rival_of(challenger: Version) -> Version | None:
    """Return the champion that the challenger has to beat; if the challenger is the champion, the one before it."""
    champion = champion_of(challenger.name)
    if str(champion) != str(challenger):
        return champion
    previous = champion.tags.get("gate.champion_before") if champion else None
    return find_version(previous) if previous else None


def compare(
    challenger: Version, evaluation: Evaluation, baselines: Mapping[str, Evaluation], data: Dataset, gate: GateSpec
) -> Verdict:
    """Decide whether the challenger is to be promoted.

    All are scored on the same points: those of the test part that the champion has not seen, and the steps ahead that
    all of them forecast.
    """
    champion = rival_of(challenger)
    if "test" not in data.origins:
        return Verdict(challenger, champion, False, "there is no test part to compare on", {})
    origins, rival = data.origins["test"], dict[str, np.ndarray]()
    rows = np.arange(len(origins))
    if champion:
        try:
            rows, rival["champion"] = champion_forecasts(champion, data)
        except InputError as error:
            return Verdict(
                challenger, champion, False, f"the champion, version {champion.number}, cannot be compared: {error}", {}
            )
    evaluations = {"challenger": evaluation, **baselines}
    forecasts = {name: each.forecasts["test"][rows] for name, each in evaluations.items()} | rival  # [m, S] each
    steps = min(forecast.shape[1] for forecast in forecasts.values())
    actual = actual_values(data.panel, origins[rows], steps)  # [m, steps]
    scores = {name: rmse(actual, forecast[:, :steps]) for name, forecast in forecasts.items()}
    rivals = [*NAIVE, *(["linear_ar"] if gate.linear_ar else []), *(["champion"] if champion else [])]
    promoted, reason = decide(scores, rivals, gate.margin)
    return Verdict(challenger, champion, promoted, reason, scores)


def champion_forecasts(champion: Version, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices [m] of the m test origins that the champion has not seen, and its forecasts [m, S] from them.

    **Raises:** `InputError` with the reason why the champion cannot be compared.
    """
    seen, forecaster = champion.trained_on["seen_until"], load_version(champion)
    panel, origins = data.panel, data.origins["test"]
    times = panel.all_times()[origins]
    if seen.lstrip("-").isdigit() != (times.dtype.kind == "i"):
        raise InputError("its times are of another kind; give this series another name with --series.name")
    unseen = times > np.array(seen).astype(times.dtype)
    rows = np.flatnonzero(unseen & (origins - panel.starts[panel.series_of(origins)] >= forecaster.spec.window.length))
    if len(rows) == 0:
        raise InputError("it has seen the whole test part; give newer rows, or another name with --series.name")
    return rows, forecaster.predict(panel, origins[rows])


def decide(scores: Mapping[str, float], rivals: list[str], margin: float) -> tuple[bool, str]:
    """Return whether the challenger's score is lower than every rival's by the margin, and a reason in words."""
    score = scores["challenger"]
    beaten = {rival: score < (1 - margin) * scores[rival] for rival in rivals}
    promoted = all(beaten.values())
    decisive = [f"{rival} ({format_number(scores[rival])})" for rival in rivals if beaten[rival] == promoted]
    verb = "beats" if promoted else "does not beat"
    by_margin = f" by more than {100 * margin:.3g} %" if margin else ""
    return promoted, f"the test RMSE of {format_number(score)} {verb} {' and '.join(decisive)}{by_margin}"
