"""What several commands check before anything is started or written."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import InputError

if TYPE_CHECKING:  # takes seconds
    from tasks.tracking.registry import Version


def refuse_json_file(path: Path | None) -> None:
    """**Raises:** `InputError` where the summary could not be written to `path`."""
    if path and path.is_dir():
        raise InputError(f"--json {path} is a folder; name a file in it")
    if path and not path.parent.is_dir():
        raise InputError(f"--json {path}: there is no folder {path.parent}; make it first")


def refuse_output(output: str | None) -> None:
    """**Raises:** `InputError` where the folder of a local `output` is missing."""
    if output and "://" not in output and not Path(output).parent.is_dir():
        raise InputError(f"--output {output}: there is no folder {Path(output).parent}; make it first")


def find_model(options: dict[str, Any]) -> "Version":
    """Return the model version that the option `model` names, or else the only champion; sets the option to its name.

    **Raises:** `InputError` where there is none.
    """
    from tasks.tracking.registry import find_version
    from tasks.tracking.tracker import refuse_missing_database

    refuse_missing_database()
    version = find_version(options["model"])
    options["model"] = options["model"] or version.name
    return version
