"""Make the pictures of the README and of docs/ again, from runs of `co2` on a new `tidecast up`.

The runs are two trainings, a backtest and a forecast. Their plots are copied, and Debian's `chromium` takes screenshots
of their pages in Prefect and MLflow.
"""

import re
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
"""Milliseconds in which a page must show what is expected."""
SETTLING = 2_000
"""Milliseconds until the graph and the columns of a page no longer move."""


@contextmanager
def running() -> Iterator[Up]:
    """Yield a running `tidecast up` in a new folder."""
    with tempfile.TemporaryDirectory(prefix="tidecast-") as folder:
        up = Up(Path(folder))
        up.start()
        try:
            yield up
        finally:
            up.end(signal.SIGTERM)


def keep_plot(stack: Stack, run_id: str, plot: str) -> None:
    """Copy a plot of a run to the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(stack.mlflow.download_artifacts(run_id, f"plots/{plot}.png", folder), PICTURES / f"co2_{plot}.png")


def photograph(page: Page, name: str, left: int, height: int) -> None:
    """Save a screenshot of a page's top, without the first `left` pixels of its width."""
    page.wait_for_timeout(SETTLING)
    width = page.evaluate("innerWidth") - left
    page.screenshot(path=PICTURES / f"{name}.png", clip={"x": left, "y": 0, "width": width, "height": height})


def take_pages(page: Page, stack: Stack, flow_run: str, experiment: str) -> None:
    """Save screenshots of a flow run with its graph, of the scores of all runs, and of the registered model."""
    expect.set_options(timeout=PATIENCE)
    page.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
    page.set_viewport_size({"width": 1300, "height": 1000})
    page.goto(flow_run)
    expect(page.get_by_text(re.compile(r"\d+ Task runs"))).to_be_visible()
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
    page.mouse.click(700, 700)  # beside the table, so that none of its cells is outlined
    photograph(page, "mlflow_runs", left=0, height=460)

    page.set_viewport_size({"width": 1300, "height": 1000})  # no wider, since a tag would show folders of this machine
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
        plots = [(first, "comparison"), (chosen, "free_run"), (forecast, "forecast")]
        for run, plot in (*plots, (backtest, "forecasts"), (backtest, "error_by_step")):
            keep_plot(stack, run.info.run_id, plot)
        with chromium() as browser, new_page(browser) as page:
            page_of_run = f"http://127.0.0.1:{up.prefect}/runs/flow-run/{flow_runs[0].id}"
            take_pages(page, stack, page_of_run, first.info.experiment_id)


if __name__ == "__main__":
    main()
