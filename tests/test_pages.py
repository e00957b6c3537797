"""What a person sees of a run in a browser, on the pages of Prefect and MLflow."""

import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from flows.catalogue import recipes_of
from models.baselines import BASELINES
from tests.support.stack import Stack, Up

pytestmark = pytest.mark.timeout(400)
TIMEOUT = 30_000  # milliseconds
LAX = {"linear_ar": False}
"""Three epochs do not beat the linear autoregression."""
NAMES = ("gru", "lstm", "combined")
TASKS = [
    *("read_series", "choose_settings", "prepare_data", "plan_evaluation", "record_data", "evaluate_baselines"),
    *("fit_model: gru", "fit_model: lstm", "combine_models"),
    *(f"{step}: {name}" for name in NAMES for step in ("evaluate", "plot_model", "record_model")),
    *("register_model", "pass_gate", "record_comparison"),
]


@dataclass(frozen=True)
class Runs:
    """Two trainings of co2 and a forecast, with the URLs of their pages.

    `parents` are the ids of the trainings' MLflow runs, and `models` those of the models of the second one, by name.
    """

    stack: Stack
    prefect: str
    mlflow: str
    flow_run: str
    forecast: str
    form: str
    parents: list[str]
    models: dict[str, str]


@pytest.fixture(scope="module")
def runs(up: Up) -> Runs:
    stack = Stack(up)
    trainings = [stack.run("train/co2", fit={"epochs": 3}, gate=LAX, seed=seed) for seed in (1, 2)]
    forecast = stack.start("forecast/co2")
    recorded = {run.data.tags["prefect.flow_run_id"]: run.info for run in stack.parents("co2")}
    first, second = (recorded[str(training.id)] for training in trainings)
    children = stack.mlflow.search_runs([second.experiment_id], f"tags.mlflow.parentRunId = '{second.run_id}'")
    prefect = f"http://127.0.0.1:{up.prefect}"
    return Runs(
        stack,
        prefect,
        f"{stack.tracking}/#/experiments/{second.experiment_id}/runs",
        f"{prefect}/runs/flow-run/{trainings[1].id}",
        f"{prefect}/runs/flow-run/{forecast}",
        f"{prefect}/deployments/deployment/{trainings[1].deployment_id}/run",
        [first.run_id, second.run_id],
        {run.info.run_name: run.info.run_id for run in children},
    )


@pytest.fixture
def page(page: Page) -> Page:
    """A page with long time limits, on which MLflow's Assistant does not open by itself."""
    expect.set_options(timeout=TIMEOUT)
    page.context.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
    return page


def open_tab(page: Page, flow_run: str, name: str) -> None:
    """Open a tab of a flow run's page in Prefect."""
    page.goto(flow_run)
    page.get_by_role("tablist").get_by_text(name, exact=True).click()


def test_the_page_of_a_training_in_prefect_says_how_it_went(runs: Runs, page: Page) -> None:
    page.goto(runs.flow_run)
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    expect(page.get_by_text(f"{len(TASKS)} Task runs")).to_be_visible()
    for model in ("gru", "lstm"):
        expect(page.get_by_text(re.compile(rf"^{model}: epoch 3 of 3, train_loss .*, val_loss "))).to_be_visible()


def test_the_steps_of_a_training_are_listed_by_name(runs: Runs, page: Page) -> None:
    open_tab(page, runs.flow_run, "Task Runs")
    for task in TASKS:
        expect(page.get_by_role("link", name=task, exact=True)).to_be_visible()


def test_the_artifacts_of_a_training_are_full_bars_and_a_table_with_the_verdict(runs: Runs, page: Page) -> None:
    open_tab(page, runs.flow_run, "Artifacts")
    for model in ("gru", "lstm"):
        expect(page.get_by_role("link", name=f"training-{model}")).to_contain_text(f"{model}: epoch 3 of 3, train_loss")
    page.get_by_role("link", name="comparison").click()
    expect(page.get_by_text(re.compile(r"^Version \d+ .* \* is the chosen model\."))).to_be_visible()
    for measure in ("model", "validation", "test", "free 100"):
        expect(page.get_by_role("columnheader", name=measure, exact=True)).to_be_visible()
    first = page.get_by_role("row").get_by_role("cell").get_by_role("article")
    expect(first.filter(has_text=re.compile(r"^(gru|lstm|combined) \*$"))).to_have_count(1)
    for name in (*NAMES, *BASELINES):
        expect(first.filter(has_text=re.compile(rf"^{name}( \*)?$"))).to_be_visible()


def test_a_link_leads_from_prefect_to_the_run_in_mlflow_and_back(runs: Runs, page: Page) -> None:
    open_tab(page, runs.flow_run, "Artifacts")
    page.get_by_role("link", name="mlflow-run").click()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="This run in MLflow").click()
    expect(opened.value).to_have_url(re.compile(runs.parents[1]))
    back = opened.value.get_by_role("link", name="Open the flow run in Prefect")
    expect(back).to_have_attribute("href", re.compile(runs.flow_run.rpartition("/")[2]))


def field(page: Page, description: str) -> Locator:
    """Return the input below a description in the parameter form."""
    return page.get_by_text(description).locator("xpath=following::input[1]")


def test_the_form_describes_every_parameter_with_its_bounds(runs: Runs, page: Page) -> None:
    page.goto(runs.form)
    expect(page.get_by_text("Hidden units per layer (H). [at least 1, at most 4,096]")).to_be_visible()
    warmup = "Share of the steps, from the first on, in which the learning rate rises. [at least 0, below 1]"
    expect(page.get_by_text(warmup)).to_be_visible()
    expect(page.get_by_text("Last points, for scores that are only reported. [at least 0]")).to_be_visible()
    expect(field(page, "Adam's learning rate after the warm-up.")).to_have_value("0.005")


def test_the_form_offers_choices(runs: Runs, page: Page) -> None:
    page.goto(runs.form)
    for chosen, offered in {
        "gru lstm": ["rnn", "gru", "lstm", "elman", "numpy_rnn"],
        "cosine": ["constant", "cosine"],
        "standard": ["none", "standard", "robust"],
        "median": ["median", "mean"],
        "auto": ["auto", "cpu", "cuda"],
    }.items():
        # The last "auto" is that of the device; those before it are of settings that may be left to the rules.
        page.get_by_role("button", name=chosen, exact=True).last.press("ArrowDown")
        expect(page.get_by_role("option")).to_have_text(offered)
        page.keyboard.press("Escape")
        expect(page.get_by_role("option")).to_have_count(0)


def test_the_form_refuses_a_value_out_of_bounds(runs: Runs, page: Page) -> None:
    page.goto(runs.form)
    field(page, "Hidden units per layer (H)").fill("100000")
    page.get_by_role("button", name="Submit").click()
    refusal = "field 'recurrent.hidden'. Failure reason: 100000 is greater than the maximum of 4096"
    expect(page.get_by_text(refusal).first).to_be_visible()
    expect(page).to_have_url(runs.form)


def try_again(route: Route) -> None:
    """Repeat a request that a busy SQLite answers with 503, as Prefect's clients do but not its pages."""
    for _ in range(20):
        answer = route.fetch()
        if answer.status != 503:
            break
    route.fulfill(response=answer)


def test_a_run_that_is_started_from_the_form_takes_what_was_filled_in(runs: Runs, page: Page) -> None:
    page.route("**/create_flow_run", try_again)
    page.goto(runs.form)
    field(page, "Hidden units per layer (H)").fill("8")
    with page.expect_response("**/create_flow_run") as created:
        page.get_by_role("button", name="Submit").click()
    page.goto(f"{runs.prefect}/runs/flow-run/{created.value.json()['id']}?tab=Parameters")
    expect(page.get_by_text('"hidden": 8,')).to_be_visible()
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible(timeout=120_000)


def test_every_recipe_is_on_the_page_of_deployments_with_a_paused_schedule(runs: Runs, page: Page) -> None:
    page.goto(f"{runs.prefect}/deployments")
    page.get_by_role("button", name="10", exact=True).press("ArrowDown")
    page.get_by_role("option", name="25").click()
    for flow in ("train", "backtest", "forecast", "monitor"):
        for name, recipe in recipes_of(flow).items():
            if flow == "backtest" and "path" not in recipe.parameters.get("series", {}):
                continue  # without data it has no schedule
            tooltip = page.get_by_role("tooltip").filter(has_text="(Paused)")
            for _ in range(5):  # the page redraws its table at times, which closes a tooltip
                page.get_by_role("row", name=re.compile(rf"^{name} {flow} ")).get_by_text("AM every day").hover()
                with suppress(AssertionError):
                    expect(tooltip).to_be_visible(timeout=5_000)
                    break
                page.mouse.move(0, 0)
            expect(tooltip).to_be_visible()
            page.mouse.move(0, 0)
            expect(page.get_by_role("tooltip")).to_have_count(0)


def run_link(page: Page, run_id: str) -> Locator:
    """Return the link with a run's name in the table of an experiment."""
    return page.get_by_role("link").and_(page.locator(f'[href*="{run_id}"]'))


def test_the_scores_of_an_experiment_are_columns_behind_a_link_in_prefect(runs: Runs, page: Page) -> None:
    page.set_viewport_size({"width": 2000, "height": 1000})  # the table contains only the visible columns
    open_tab(page, runs.flow_run, "Artifacts")
    page.get_by_role("link", name="mlflow-scores").click()
    page.goto(str(page.get_by_role("link", name="All runs of the experiment").get_attribute("href")))
    for column in ("val_rmse", "test_rmse", "chosen", "gate", "device"):
        expect(page.get_by_role("columnheader", name=column, exact=True).first).to_be_visible()
    for parent in runs.parents:
        expect(run_link(page, parent)).to_be_visible()
    expect(page.get_by_role("gridcell", name="cpu", exact=True).first).to_be_visible()
    expect(page.get_by_role("gridcell", name=re.compile("^(promoted|kept out)$")).first).to_be_visible()


def test_the_page_of_a_training_in_mlflow_begins_with_the_verdict_and_the_table(runs: Runs, page: Page) -> None:
    page.goto(f"{runs.mlflow}/{runs.parents[1]}")
    expect(page.get_by_text(re.compile(r"(is the new champion of co2|of co2 is kept out).*RMSE"))).to_be_visible()
    page.get_by_text("Show more").click()
    for name in ("gru", "lstm", *BASELINES):
        expect(page.get_by_role("row", name=re.compile(rf"^{name} "))).to_be_visible()
    for model in ("gru", "lstm"):
        expect(run_link(page, runs.models[model])).to_have_text(model)


def test_a_model_has_a_curve_of_each_loss(runs: Runs, page: Page) -> None:
    page.goto(f"{runs.mlflow}/{runs.models['gru']}")
    page.get_by_role("tab", name="Model metrics").click()
    for loss in ("train_loss", "val_loss"):
        expect(page.get_by_role("heading", name=loss)).to_be_visible()
        expect(page.get_by_text(f"gru ({loss})").first).to_be_visible()


def expect_drawn(page: Page, name: str) -> None:
    """Expect that an image is shown, not the icon of a broken one."""
    page.wait_for_function("image => image.naturalWidth > 500", arg=page.get_by_role("img", name=name).element_handle())


def test_the_plots_of_a_model_are_drawn_in_the_page(runs: Runs, page: Page) -> None:
    page.goto(f"{runs.mlflow}/{runs.models['gru']}/artifacts/plots/free_run.png")
    expect_drawn(page, "plots/free_run.png")
    for name in ("loss_curves.png", "predictions.png", "spec.json"):
        expect(page.get_by_text(name)).to_be_visible()


def test_the_models_of_a_training_can_be_compared(runs: Runs, page: Page) -> None:
    page.goto(runs.mlflow)
    training = page.get_by_role("row").filter(has=run_link(page, runs.parents[1]))
    training.get_by_role("button").first.click()
    for run_id in runs.models.values():
        page.get_by_role("row").filter(has=run_link(page, run_id)).get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Comparing 3 Runs from 1 Experiment")).to_be_visible()
    names = page.get_by_role("row", name=re.compile("^Run Name:"))
    for model in runs.models:
        expect(names.get_by_role("cell", name=model, exact=True)).to_be_visible()


def test_the_curves_of_the_models_of_a_training_share_a_chart(runs: Runs, page: Page) -> None:
    of_training = quote(f"tags.`mlflow.parentRunId` = '{runs.parents[1]}'")
    order = f"orderByKey={quote('metrics.`val_rmse`')}&orderByAsc=true"
    page.goto(f"{runs.mlflow}?searchFilter={of_training}&{order}&compareRunsMode=CHART")
    page.get_by_placeholder("Search metric charts").fill("loss")
    for loss in ("train_loss", "val_loss"):
        expect(page.get_by_role("heading", name=loss)).to_be_visible()
        for model in ("gru", "lstm"):
            expect(page.get_by_text(f"{model} ({loss})").first).to_be_visible()


def test_the_page_of_a_registered_model_describes_it_and_shows_its_aliases(runs: Runs, page: Page) -> None:
    aliases = runs.stack.mlflow.get_registered_model("co2").aliases
    assert set(aliases) == {"champion", "challenger"}
    page.goto(f"{runs.stack.tracking}/#/models/co2")
    expect(page.get_by_text("Forecasters of the series co2: a version for each training.")).to_be_visible()
    for alias, number in aliases.items():
        version = page.get_by_role("row", name=re.compile(rf"^Version {number} "))
        expect(version.get_by_text(re.compile(rf"^@\s*{alias}$"))).to_be_visible()
        expect(version.get_by_role("status", name="gate", exact=True)).to_have_text(re.compile("promoted|kept out"))


def test_the_page_of_a_forecast_shows_its_first_steps_and_leads_to_the_plot(runs: Runs, page: Page) -> None:
    open_tab(page, runs.forecast, "Artifacts")
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible(timeout=120_000)
    page.get_by_role("link", name="table forecast").click()
    for column in ("ds", "last_value", "seasonal_naive"):
        expect(page.get_by_role("columnheader", name=column, exact=True)).to_be_visible()
    expect(page.get_by_text("2002-01-05", exact=True)).to_be_visible()
    open_tab(page, runs.forecast, "Artifacts")
    page.get_by_role("link", name="mlflow-run").click()
    run = str(page.get_by_role("link", name="This run in MLflow").get_attribute("href")).partition("?")[0]
    page.goto(f"{run}/artifacts/plots/forecast.png")
    expect_drawn(page, "plots/forecast.png")
