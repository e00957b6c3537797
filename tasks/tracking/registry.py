"""The registry: a registered model a series, a version a training, and the aliases that say which one counts.

`challenger` is the newest version; `champion` makes the forecasts, and moves through the gate alone.
"""

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from models.errors import InputError
from models.forecaster import Forecaster
from models.saving import load_forecaster
from tasks.tracking.errors import TrackerAwayError
from tasks.tracking.forecasters import MODEL_ID, SHA256
from tasks.tracking.outbox import OUTBOX
from tasks.tracking.tracker import connect

Found = TypeVar("Found")
CHAMPION, CHALLENGER = "champion", "challenger"
WAY_OUT = "name another version, or take the alias champion from it in MLflow and train again"
LONGEST_NAME = 120
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the second, where a version is no number
ABOUT = """Forecasters of the series **{name}**: a version each time that one was trained.

- `{name}@champion` makes the forecasts. It moves only to what beats it and the naive baselines on one test part.
- `{name}@challenger` is the newest version. The tags `gate` and `gate.reason` of a version say how it did.

`tidecast forecast --model {name} --output forecast.parquet`
"""


@dataclass(frozen=True)
class Version:
    """One version of a registered model: `name` and `number`, the run that trained it, and its tags."""

    name: str
    number: int
    run_id: str
    tags: Mapping[str, str]

    @property
    def trained_on(self) -> dict[str, Any]:
        """What was noted of its training when it was registered.

        **Raises:** `InputError` where something else registered it.
        """
        if "trained_on" not in self.tags:
            raise InputError(f"{self} was not registered by tidecast train; name another version")
        return dict(json.loads(self.tags["trained_on"]))

    def __str__(self) -> str:
        return f"{self.name}/{self.number}"


def registered_name(series: str) -> str:
    """A series' name as the registry, URLs and command lines can hold it."""
    return re.sub(r"[^\w.-]+", "-", series).strip("-.")[:LONGEST_NAME] or "series"


def register_version(name: str, run_id: str, tags: Mapping[str, str], description: str) -> Version:
    """Register the model that a run logged as the next version of `name`, and make it the challenger."""
    return OUTBOX.ask(lambda: _register(name, run_id, tags, description))


def promote(version: Version) -> None:
    """Make a version the champion."""
    OUTBOX.ask(lambda: connect().set_registered_model_alias(version.name, CHAMPION, str(version.number)))


def tag_version(version: Version, tags: Mapping[str, str]) -> None:
    """Set tags on a version."""

    def write() -> None:
        for key, value in tags.items():
            connect().set_model_version_tag(version.name, str(version.number), key, value)

    OUTBOX.ask(write)


def champion_of(name: str) -> Version | None:
    """The champion of a registered model, where it has one."""
    model = _there(lambda: connect().get_registered_model(name))
    return _version(name, model.aliases[CHAMPION]) if model and CHAMPION in model.aliases else None


def find_version(reference: str | None) -> Version:
    """The version that NAME (its champion), NAME@ALIAS or NAME/VERSION names; without a name, the only champion.

    **Raises:** `InputError` where there is none, with what there is.
    """
    reference = reference or _only_champion()
    mark = "/" if "/" in reference else "@"
    name, _, which = reference.partition(mark)
    model = _there(lambda: connect().get_registered_model(name))
    if model is None:
        known = ", ".join(sorted(_models())) or "none yet; train one with tidecast train"
        raise InputError(f"no model is registered as '{name}'; there is {known}")
    number = which if mark == "/" else model.aliases.get(which or CHAMPION)
    found = _version(name, number) if number else None
    if found is None:
        aliases = "".join(f"{name}@{alias}, " for alias in model.aliases)
        newest = max(int(version.version) for version in model.latest_versions)
        raise InputError(f"there is no {name}{mark}{which or CHAMPION}; there is {aliases}{name}/1 to {name}/{newest}")
    return found


def load_version(version: Version, device: str = "cpu") -> Forecaster:
    """The forecaster of a version.

    **Raises:** `InputError` where its files cannot be read, or are not those that were registered.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = OUTBOX.ask(partial(_download, f"models:/{version}/artifacts/forecaster", folder))
        except TrackerAwayError:
            raise
        except (MlflowException, OSError) as error:
            raise InputError(f"the files of {version} cannot be had ({error}); {WAY_OUT}") from error
        try:
            return load_forecaster(Path(found), device, version.tags.get(SHA256))
        except InputError as error:
            raise InputError(f"{version} is not used: {error}; {WAY_OUT}") from error


def _download(uri: str, folder: str) -> str:
    connect()
    return str(download_artifacts(artifact_uri=uri, dst_path=folder))


def _register(name: str, run_id: str, tags: Mapping[str, str], description: str) -> Version:
    client = connect()
    for found in client.search_model_versions(f"run_id = '{run_id}'"):
        if found.name == name:  # by an attempt that was cut short
            newest = client.get_registered_model(name).aliases.get(CHALLENGER, "0")
            if int(found.version) > int(newest):
                client.set_registered_model_alias(name, CHALLENGER, found.version)
            return Version(name, int(found.version), run_id, found.tags)
    try:
        client.create_registered_model(name, description=ABOUT.format(name=name))
    except MlflowException as error:  # the other way, looking first, would race with another run
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    run_tags = client.get_run(run_id).data.tags
    model_id, tags = run_tags[MODEL_ID], {**tags, SHA256: run_tags[SHA256]}
    made = client.create_model_version(
        name, f"models:/{model_id}", run_id, tags=tags, description=description, model_id=model_id
    )
    client.set_registered_model_alias(name, CHALLENGER, made.version)
    return Version(name, int(made.version), run_id, tags)


def _version(name: str, number: str) -> Version | None:
    found = _there(lambda: connect().get_model_version(name, number))
    return Version(name, int(found.version), str(found.run_id), found.tags) if found else None


def _there(get: Callable[[], Found]) -> Found | None:
    """What a call of the registry gets, or None where it is not there; other errors are errors."""

    def look() -> Found | None:
        try:
            return get()
        except MlflowException as error:
            if error.error_code in ABSENT:
                return None
            raise

    return OUTBOX.ask(look)


def _models() -> dict[str, bool]:
    """Every registered model, and whether it has a champion."""
    found = OUTBOX.ask(lambda: connect().search_registered_models())
    return {model.name: CHAMPION in model.aliases for model in found}


def _only_champion() -> str:
    found = [name for name, has_champion in _models().items() if has_champion]
    if not found:
        raise InputError("no model is a champion yet; train one with tidecast train")
    if len(found) > 1:
        raise InputError(f"there are {len(found)} champions; name one with --model: {', '.join(sorted(found))}")
    return found[0]
