"""The files of a run: figures, tables and JSON."""

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from tasks.tracking.outbox import OUTBOX
from tasks.tracking.tracker import connect


def log_files(
    run_id: str, folder: str, figures: Mapping[str, Figure], tables: Mapping[str, pd.DataFrame] | None = None
) -> None:
    """Log figures as PNG and tables as Parquet, in one transfer."""
    draft = tempfile.TemporaryDirectory()  # until they are sent
    for name, figure in figures.items():
        figure.savefig(Path(draft.name, f"{name}.png"))
    for name, table in (tables or {}).items():
        table.to_parquet(Path(draft.name, f"{name}.parquet"), index=False)

    def write() -> None:
        connect().log_artifacts(run_id, draft.name, folder)
        draft.cleanup()

    OUTBOX.post(write)


def read_table(run_id: str, path: str) -> pd.DataFrame:
    """A Parquet file of a run."""
    with tempfile.TemporaryDirectory() as folder:
        return pd.read_parquet(OUTBOX.ask(lambda: connect().download_artifacts(run_id, path, folder)))


def log_json(run_id: str, name: str, content: Mapping[str, Any]) -> None:
    """Log one JSON file."""
    text = as_json(content)
    OUTBOX.post(lambda: connect().log_text(run_id, text, name))


def as_json(content: Any) -> str:
    """As JSON, with null in place of a score that is no number, for which it has no word."""
    return json.dumps(_finite(content), indent=2, allow_nan=False)


def _finite(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {name: _finite(value) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return [_finite(value) for value in part]
    return None if isinstance(part, float) and not math.isfinite(part) else part


def artifact_folder(run_id: str) -> str:
    """Where the files of a run lie: a path where they are local, else a URI."""
    uri = str(OUTBOX.ask(lambda: connect().get_run(run_id)).info.artifact_uri)
    return uri.removeprefix("file://")


def relative_to_here(place: str) -> str:
    """A path as it is typed from here, where it lies below; else as it is."""
    path = Path(place)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else place
