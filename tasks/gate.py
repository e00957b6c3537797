"""The gate: a new model becomes the champion of its series where it beats what there is, on data that none has seen."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.baselines import NAIVE
from models.data.windows import actual_values
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

DECISIONS = {True: "promoted", False: "kept out"}


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger became the champion, why, and the RMSE of all that were compared, on the same points."""

    challenger: Version
    champion: Version | None
    promoted: bool
    reason: str
    scores: dict[str, float]

    def __str__(self) -> str:
        """The decision as a sentence."""
        name, number = self.challenger.name, self.challenger.number
        if self.promoted:
            return f"Version {number} is the new champion of {name}: {self.reason}."
        stays = f"version {self.champion.number} stays champion" if self.champion else "there is no champion"
        return f"Version {number} of {name} is kept out, and {stays}: {self.reason}."

    def tags(self) -> dict[str, str]:
        """The decision as tags of the run and of the version."""
        before = {"gate.champion_before": str(self.champion)} if self.champion else {}
        return {"version": str(self.challenger), "gate": DECISIONS[self.promoted], "gate.reason": self.reason, **before}


@task(task_run_name="register_model", cache_policy=NO_CACHE)
def register_model(recipe: str, result: ModelResult, data: Dataset, source: SeriesSpec) -> Version:
    """Register the chosen model under its series' name, with what a forecast and the next comparison need to know."""
    model, measures = result.training.forecaster.spec.model, result.evaluation.scores
    if source.path:
        source = source.model_copy(update={"path": str(Path(source.path).absolute())})
    trained_on = {
        "format": TRAINED_ON_FORMAT,
        "series": source.model_dump(exclude_defaults=True),
        "season": data.season,
        "window_length": data.window.length,
        "horizon": data.window.horizon,
        "padded": data.window.short == "pad",
        "seen_until": seen_until(data),
    }
    scores = {name: f"{score:.3g}" for name, score in measures.items() if name in ("val_rmse", "test_rmse")}
    tags = {"recipe": recipe, "model": model, **scores, "trained_on": json.dumps(trained_on)}
    told = ", ".join([*(f"{measure} {score}" for measure, score in scores.items()), model, f"recipe {recipe}"])
    return register_version(registered_name(data.series.name), result.run_id, tags, told)


def seen_until(data: Dataset) -> str:
    """The latest time that training or validation saw, in any series."""
    return str(max(data.panel.all_times()[data.parts.validation - 1]))


@task(task_run_name="pass_gate", cache_policy=NO_CACHE)
def pass_gate(
    challenger: Version, evaluation: Evaluation, baselines: Mapping[str, Evaluation], data: Dataset, gate: GateSpec
) -> Verdict:
    """Compare the challenger with the champion and the baselines on one test part; it is promoted if it beats them."""
    with locked("gate"):  # so that of two challengers the second meets the first
        verdict = compare(challenger, evaluation, baselines, data, gate)
        while verdict.promoted and str(rival_of(challenger)) != str(verdict.champion):  # one elsewhere was faster
            verdict = compare(challenger, evaluation, baselines, data, gate)
        # Tagged first: a process that goes on for one which was killed in between has to come to the same.
        tag_version(challenger, {name: value for name, value in verdict.tags().items() if name != "version"})
        if verdict.promoted:
            promote(challenger)
    return verdict


def rival_of(challenger: Version) -> Version | None:
    """The champion that the challenger has to beat; where it is the champion already, the one before it."""
    champion = champion_of(challenger.name)
    if str(champion) != str(challenger):
        return champion
    before = champion.tags.get("gate.champion_before") if champion else None
    return find_version(before) if before else None


def compare(
    challenger: Version, evaluation: Evaluation, baselines: Mapping[str, Evaluation], data: Dataset, gate: GateSpec
) -> Verdict:
    """What the gate finds.

    The champion is scored on the points behind what it has seen, and everyone else on the same; where forecasts reach
    differently far, on the steps that all have.
    """
    champion = rival_of(challenger)
    if "test" not in data.origins:
        return Verdict(challenger, champion, False, "there is no test part to compare on", {})
    forecasts = {"challenger": evaluation.forecasts["test"]} | {
        name: baseline.forecasts["test"] for name, baseline in baselines.items()
    }
    origins, kept = data.origins["test"], np.arange(len(data.origins["test"]))
    if champion:
        try:
            kept, forecasts["champion"] = champion_forecasts(champion, data)
        except InputError as error:
            return Verdict(
                challenger, champion, False, f"the champion, version {champion.number}, cannot be compared: {error}", {}
            )
    steps = min(forecast.shape[1] for forecast in forecasts.values())
    actual = actual_values(data.panel, origins[kept], steps)  # [m, steps]
    scores = {
        name: rmse(actual, (forecast if name == "champion" else forecast[kept])[:, :steps])
        for name, forecast in forecasts.items()
    }
    rivals = [*NAIVE, *(["linear_ar"] if gate.linear_ar else []), *(["champion"] if champion else [])]
    promoted, reason = decide(scores, rivals, gate.margin)
    return Verdict(challenger, champion, promoted, reason, scores)


def champion_forecasts(champion: Version, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The champion's forecasts [m, S] of the part of the test part that it has not seen, and which of the origins, [m].

    **Raises:** `InputError` that says why it cannot be compared.
    """
    seen, forecaster = champion.trained_on["seen_until"], load_version(champion)
    panel, origins = data.panel, data.origins["test"]
    times = panel.all_times()[origins]
    if seen.lstrip("-").isdigit() != (times.dtype.kind == "i"):
        raise InputError("it counts time in another way; give this series another name with --series.name")
    behind = times > np.array(seen).astype(times.dtype)
    kept = np.flatnonzero(behind & (origins - panel.starts[panel.series_of(origins)] >= forecaster.spec.window.length))
    if len(kept) == 0:
        raise InputError("it has seen the whole test part; give newer rows, or another name with --series.name")
    return kept, forecaster.predict(panel, origins[kept])


def decide(scores: Mapping[str, float], rivals: list[str], margin: float) -> tuple[bool, str]:
    """Whether the challenger's score is lower than every rival's by the margin, and that in words."""
    own = scores["challenger"]
    better = {rival: own < (1 - margin) * scores[rival] for rival in rivals}
    won = all(better.values())
    named = " and ".join(f"{rival} ({scores[rival]:.3g})" for rival in rivals if better[rival] == won)
    by = f" by more than {100 * margin:.3g} %" if margin else ""
    return won, f"the test RMSE of {own:.3g} {'beats' if won else 'does not beat'} {named}{by}"
