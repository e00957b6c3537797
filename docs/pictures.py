"""Draw the README's pictures again: `tidecast up` in a folder of its own, two trainings of `co2` and a forecast in it.

What the runs have drawn is copied, and what a person sees of them in Prefect and MLflow is photographed.
"""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import FloatRect, Page, expect

from tests.services import chromium, new_page
from tests.stack import Stack, Up

PICTURES = Path(__file__).parent / "images"
PATIENCE = 30_000
WHITE_SPACE = 1_500
"""Milliseconds until a page that has its data has drawn it: its graphs move into their places."""


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


def keep_plot(stack: Stack, run_id: str, plot: str, name: str) -> None:
    """Copy what a run has drawn."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(stack.mlflow.download_artifacts(run_id, f"plots/{plot}.png", folder), PICTURES / f"{name}.png")


def photograph(page: Page, name: str, clip: FloatRect) -> None:
    """Keep what is in sight of a page, once it is drawn."""
    page.wait_for_timeout(WHITE_SPACE)
    page.screenshot(path=PICTURES / f"{name}.png", clip=clip)


def main() -> None:
    """Write `images/co2_*.png`, `images/prefect_run.png` and `images/mlflow_*.png`."""
    PICTURES.mkdir(exist_ok=True)
    expect.set_options(timeout=PATIENCE)
    with running() as up:
        stack = Stack(up)
        flow_run = [stack.run("train/co2", seed=seed) for seed in (0, 1)][0]
        stack.run("forecast/co2")
        (forecast,) = stack.parents("co2 forecasts")
        first = stack.parents("co2")[-1]
        experiment, parent = first.info.experiment_id, f"tags.mlflow.parentRunId = '{first.info.run_id}'"
        models = {run.info.run_name: run.info.run_id for run in stack.mlflow.search_runs([experiment], parent)}
        keep_plot(stack, first.info.run_id, "comparison", "co2_comparison")
        keep_plot(stack, models[first.data.tags["chosen"]], "free_run", "co2_free_run")
        keep_plot(stack, forecast.info.run_id, "forecast", "co2_forecast")
        by_score = f"searchFilter={quote(parent)}&orderByKey={quote('metrics.`val_rmse`')}&orderByAsc=true"
        with chromium() as browser, new_page(browser) as page:
            page.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
            page.set_viewport_size({"width": 1280, "height": 900})
            page.goto(f"http://127.0.0.1:{up.prefect}/runs/flow-run/{flow_run.id}")
            expect(page.get_by_text("Finished in state Completed()")).to_be_visible()
            photograph(page, "prefect_run", {"x": 256, "y": 0, "width": 1024, "height": 520})
            training = "workflowType=machine_learning"
            page.goto(f"{stack.tracking}/#/experiments/{experiment}/runs?{training}&{by_score}&compareRunsMode=CHART")
            page.get_by_role("button", name="Toggle sidebar").click()
            expect(page.get_by_text("gru (val_loss)")).to_be_visible()
            photograph(page, "mlflow_runs", {"x": 0, "y": 0, "width": 1280, "height": 900})
            page.goto(f"{stack.tracking}/#/models/co2?{training}")
            expect(page.get_by_text("Version 1", exact=True)).to_be_visible()
            photograph(page, "mlflow_model", {"x": 0, "y": 0, "width": 1280, "height": 900})


if __name__ == "__main__":
    main()
