"""Draw the README's pictures again: two trainings, a backtest and a forecast of `co2` through a `tidecast up`.

What the runs have drawn is copied, and their pages in Prefect and MLflow are taken by Debian's `chromium`.
"""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.services import chromium, new_page
from tests.support.stack import Stack, Up

PICTURES = Path(__file__).parent / "images"
PATIENCE = 30_000
SETTLING = 2_000
"""Milliseconds that a page's graph and columns take to find their places, once they are there."""


@contextmanager
def running() -> Iterator[Up]:
    """A `tidecast up` with nothing in it yet."""
    with tempfile.TemporaryDirectory(prefix="tidecast-") as folder:
        up = Up(Path(folder))
        up.start()
        try:
            yield up
        finally:
            up.end(signal.SIGTERM)


def keep_plot(stack: Stack, run_id: str, plot: str) -> None:
    """Copy what a run has drawn."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(stack.mlflow.download_artifacts(run_id, f"plots/{plot}.png", folder), PICTURES / f"co2_{plot}.png")


def photograph(page: Page, name: str, left: int, height: int) -> None:
    """Keep a page's upper part, from `left` on."""
    page.wait_for_timeout(SETTLING)
    width = page.evaluate("innerWidth") - left
    page.screenshot(path=PICTURES / f"{name}.png", clip={"x": left, "y": 0, "width": width, "height": height})


def take_pages(page: Page, stack: Stack, flow_run: str, experiment: str) -> None:
    """The flow run with its graph, the scores of all runs, and the versions of the registered model."""
    expect.set_options(timeout=PATIENCE)
    page.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
    page.set_viewport_size({"width": 1300, "height": 1000})
    page.goto(flow_run)
    expect(page.get_by_text("15 Task runs")).to_be_visible()
    photograph(page, "prefect_run", left=256, height=500)

    page.set_viewport_size({"width": 1400, "height": 1000})
    training = "workflowType=machine_learning"
    page.goto(f"{stack.tracking}/#/experiments/{experiment}/runs?{training}&viewStateShareKey=scores")
    page.get_by_role("button", name="Toggle sidebar").click()
    page.get_by_role("button", name="Hide banner").click()
    trainings = page.get_by_role("gridcell").filter(has=page.get_by_role("link", name="co2", exact=True))
    for nth in (0, 1):
        trainings.nth(nth).get_by_role("button").click()
    expect(page.get_by_role("link", name="gru", exact=True)).to_have_count(2)
    page.mouse.click(700, 700)  # beside the table, so that no cell of it has a frame
    photograph(page, "mlflow_runs", left=0, height=460)

    page.set_viewport_size({"width": 1300, "height": 1000})  # wider, and a tag shows this machine's folders
    page.goto(f"{stack.tracking}/#/models/co2?{training}")
    expect(page.get_by_text("Version 1", exact=True)).to_be_visible()
    page.mouse.move(0, 0)
    photograph(page, "mlflow_model", left=0, height=905)


def main() -> None:
    """Write `images/co2_*.png`, `images/prefect_run.png` and `images/mlflow_*.png`."""
    PICTURES.mkdir(exist_ok=True)
    with running() as up:
        stack = Stack(up)
        flow_runs = [stack.run("train/co2", seed=seed) for seed in (0, 1)]
        stack.run("forecast/co2")
        (forecast,) = stack.parents("co2 forecasts")
        (_, first) = stack.parents("co2")
        inner = f"tags.mlflow.parentRunId = '{first.info.run_id}' and tags.model = '{first.data.tags['chosen']}'"
        (chosen,) = stack.mlflow.search_runs([first.info.experiment_id], inner)
        stack.run("backtest/co2")
        (backtest,) = stack.parents("co2 backtests")
        kept = [(first, "comparison"), (chosen, "free_run"), (forecast, "forecast")]
        for run, plot in (*kept, (backtest, "forecasts"), (backtest, "error_by_step")):
            keep_plot(stack, run.info.run_id, plot)
        with chromium() as browser, new_page(browser) as page:
            page_of_run = f"http://127.0.0.1:{up.prefect}/runs/flow-run/{flow_runs[0].id}"
            take_pages(page, stack, page_of_run, first.info.experiment_id)


if __name__ == "__main__":
    main()
