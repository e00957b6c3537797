"""How the MLflow runs of a flow run are named and tagged."""

from prefect.runtime import flow_run
from prefect.settings import PREFECT_UI_URL

from tasks.data.series import Series
from tasks.devices import device_tags
from tasks.tracking.entries import FLOW_RUN, FLOW_RUN_URL, git_commit


def experiment_name(recipe: str, series: Series) -> str:
    """Return the name of the experiment: the recipe's, or the series' where no recipe was named."""
    return recipe if recipe != "custom" else series.name


def run_tags(series: Series, device: str, recipe: str = "") -> dict[str, str]:
    """Return the tags of every MLflow run of a flow run: its recipe, device, data, code and Prefect page."""
    tags = {
        "recipe": recipe,
        **device_tags(device),
        "data.sha256": series.sha256,
        "mlflow.source.name": f"tidecast {flow_run.flow_name}" if flow_run.flow_name else "tidecast",
        "mlflow.source.git.commit": git_commit(),
        FLOW_RUN: flow_run.id,
        "prefect.flow_run_name": flow_run.name,
        FLOW_RUN_URL: flow_run.ui_url if PREFECT_UI_URL.value() else "",  # a temporary server has no pages
    }
    return {name: str(value) for name, value in tags.items() if value}
