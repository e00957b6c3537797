"""The gate: a new model becomes the champion of its series if it beats its rivals on data that none of them saw."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.baselines import NAIVE
from models.display import enumerated, format_number
from models.errors import InputError
from models.metrics import score_table
from models.specs import GateSpec, SeriesSpec
from tasks.backtest.planning import BacktestPlan
from tasks.comparison import Choice
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
    """Whether the challenger was promoted to champion, the reason, and the errors of all compared, on the same points.

    `measure` names the error: RMSE, or MASE for several series.
    """

    challenger: Version
    champion: Version | None
    promoted: bool
    reason: str
    scores: dict[str, float]
    measure: str = "rmse"

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
def register_model(
    recipe: str, result: ModelResult, data: Dataset, source: SeriesSpec, choice: Choice | None = None
) -> Version:
    """Register the chosen model under its series' name, with what later forecasts and gates need to know.

    If the `choice` found a baseline better than every model, the version says so.
    """
    model, metrics = result.training.forecaster.spec.model, result.evaluation.scores
    if source.path:
        source = source.model_copy(update={"path": str(Path(source.path).absolute())})
    trained_on = {
        "format": TRAINED_ON_FORMAT,
        "series": source.model_dump(exclude_defaults=True),
        "step": str(data.panel.step),
        "season": data.season,
        "window_length": data.window.length,
        "horizon": data.horizon,
        "padded": data.window.short == "pad",
        "seen_until": last_time_seen(data),
    }
    scores = {name: f"{score:.3g}" for name, score in metrics.items() if name in ("val_rmse", "test_rmse")}
    tags = {"recipe": recipe, "model": model, **scores, "trained_on": json.dumps(trained_on)}
    parts = [*(f"{name} {score}" for name, score in scores.items()), model, f"recipe {recipe}"]
    if choice and choice.better:
        tags["better_baseline"] = choice.better
        parts.append(f"{choice.better} is better on the validation part")
    description = ", ".join(parts)
    return register_version(registered_name(data.series.name), result.run_id, tags, description)


def last_time_seen(data: Dataset) -> str:
    """Return the latest time in the training and validation parts of any series."""
    return str(max(data.panel.all_times()[data.split.validation - 1]))


@task(task_run_name="pass_gate", cache_policy=NO_CACHE)
def pass_gate(
    challenger: Version, evaluation: Evaluation, baselines: Mapping[str, Evaluation], plan: BacktestPlan, gate: GateSpec
) -> Verdict:
    """Compare the challenger with the champion and the baselines on the test part; promote it if it beats them all."""
    with locked("gate"):  # so that the second of two challengers is compared with the first
        verdict = compare(challenger, evaluation, baselines, plan, gate)
        # A process on another machine may have promoted its challenger meanwhile.
        while verdict.promoted and str(rival_of(challenger)) != str(verdict.champion):
            verdict = compare(challenger, evaluation, baselines, plan, gate)
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
    challenger: Version, evaluation: Evaluation, baselines: Mapping[str, Evaluation], plan: BacktestPlan, gate: GateSpec
) -> Verdict:
    """Decide whether the challenger is to be promoted.

    All are scored over the whole horizon, from the origins of the test part that the champion has not seen.
    """
    champion = rival_of(challenger)
    if "test" not in plan.origins:
        return Verdict(challenger, champion, False, "there is no test part to compare on", {})
    evaluations = {"challenger": evaluation, **baselines}
    forecasts = {name: each.forecasts["test"] for name, each in evaluations.items()}  # [M, S] each
    rows = np.arange(len(plan.origins["test"]))
    if champion:
        try:
            rows, of_champion = champion_forecasts(champion, plan)
        except InputError as error:
            return Verdict(
                challenger, champion, False, f"the champion, version {champion.number}, cannot be compared: {error}", {}
            )
        forecasts = {name: each[rows] for name, each in forecasts.items()} | {"champion": of_champion}  # [m, S] each
    measure = "mase" if len(plan.data.panel.ids) > 1 else "rmse"
    table = score_table(plan.actual["test"][rows], forecasts, plan.series("test")[rows], plan.mase_scales, {}, 0)
    scores = {name: each[measure] for name, each in table.overall.items()}
    naive = NAIVE if plan.data.season > 1 else NAIVE[:1]  # without a season the second is the first again
    rivals = [*naive, *(["linear_ar"] if gate.linear_ar else []), *(["champion"] if champion else [])]
    promoted, reason = decide(scores, rivals, gate.margin, measure)
    return Verdict(challenger, champion, promoted, reason, scores, measure)


def champion_forecasts(champion: Version, plan: BacktestPlan) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices [m] of the m test origins that the champion has not seen, and its forecasts [m, S] from them.

    **Raises:** `InputError` with the reason why the champion cannot be compared.
    """
    seen, forecaster = champion.trained_on["seen_until"], load_version(champion)
    panel, origins = plan.data.panel, plan.origins["test"]
    if forecaster.step != panel.step:
        raise InputError(
            f"it was trained on steps of {forecaster.step}, and this series has steps of {panel.step}; "
            "give this series another name with --series.name"
        )
    times = panel.all_times()[origins]
    if seen.lstrip("-").isdigit() != (times.dtype.kind == "i"):
        raise InputError("its times are of another kind; give this series another name with --series.name")
    unseen = times > np.array(seen).astype(times.dtype)
    rows = np.flatnonzero(unseen & (origins - panel.starts[panel.series_of(origins)] >= forecaster.spec.window.length))
    if len(rows) == 0:
        raise InputError("it has seen the whole test part; give newer rows, or another name with --series.name")
    return rows, forecaster.extend(panel, plan.horizon, origins[rows])


def decide(scores: Mapping[str, float], rivals: list[str], margin: float, measure: str = "rmse") -> tuple[bool, str]:
    """Return whether the challenger's score is lower than every rival's by the margin, and a reason in words."""
    score = scores["challenger"]
    beaten = {rival: score < (1 - margin) * scores[rival] for rival in rivals}
    promoted = all(beaten.values())
    decisive = [f"{rival} ({format_number(scores[rival])})" for rival in rivals if beaten[rival] == promoted]
    verb = "beats" if promoted else "does not beat"
    by_margin = f" by more than {100 * margin:.3g} %" if margin else ""
    return promoted, f"the test {measure.upper()} of {format_number(score)} {verb} {enumerated(decisive)}{by_margin}"
