"""The files of a run: figures, tables and JSON."""

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from mlflow.tracking import MlflowClient

from tasks.tracking.tracker import TRACKER


def log_files(
    run_id: str, folder: str, figures: Mapping[str, Figure], tables: Mapping[str, pd.DataFrame] | None = None
) -> None:
    """Log figures as PNG and tables as Parquet, in one transfer."""
    draft = tempfile.TemporaryDirectory()  # until they are sent
    for name, figure in figures.items():
        figure.savefig(Path(draft.name, f"{name}.png"))
    for name, table in (tables or {}).items():
        table.to_parquet(Path(draft.name, f"{name}.parquet"), index=False)

    def write(client: MlflowClient) -> None:
        client.log_artifacts(run_id, draft.name, folder)
        draft.cleanup()

    TRACKER.post(write)


def download_table(run_id: str, path: str) -> pd.DataFrame:
    """Read a Parquet file of a run."""
    with tempfile.TemporaryDirectory() as folder:
        return pd.read_parquet(TRACKER.ask(lambda client: client.download_artifacts(run_id, path, folder)))


def log_json(run_id: str, name: str, content: Mapping[str, Any]) -> None:
    """Log one JSON file."""
    text = as_json(content)
    TRACKER.post(lambda client: client.log_text(run_id, text, name))


def as_json(content: Any) -> str:
    """Format as JSON, with null for numbers that are not finite, which JSON cannot express."""
    return json.dumps(_finite(content), indent=2, allow_nan=False)


def _finite(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {name: _finite(value) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return [_finite(value) for value in part]
    return None if isinstance(part, float) and not math.isfinite(part) else part


def artifact_folder(run_id: str) -> str:
    """Return where the files of a run are: a path if they are local, else a URI."""
    uri = str(TRACKER.ask(lambda client: client.get_run(run_id)).info.artifact_uri)
    return uri.removeprefix("file://")


def relative_to_here(place: str) -> str:
    """Return a path below the current folder relative to it, and any other place unchanged."""
    path = Path(place)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else place
