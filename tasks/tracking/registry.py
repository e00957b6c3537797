"""The registry: a registered model for each series, a version for each training, and the aliases of versions in use.

`challenger` is the newest version; `champion` makes the forecasts, and moves through the gate alone.
"""

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from models.errors import InputError
from models.forecaster import Forecaster
from models.saving import load_forecaster
from models.specs import LONGEST_NAME
from tasks.tracking.errors import TrackerAwayError
from tasks.tracking.forecasters import MODEL_ID, SHA256
from tasks.tracking.tracker import TRACKER

Entry = TypeVar("Entry")
CHAMPION, CHALLENGER = "champion", "challenger"
TRAINED_ON_FORMAT = 3
"""The format of a version's tag `trained_on`."""
WAY_OUT = "name another version, or take the alias champion from it in MLflow and train again"
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the second, where a version is not a number
DESCRIPTION = """Forecasters of the series **{name}**: a version for each training.

- `{name}@champion` makes the forecasts. A version becomes champion when it beats the present champion and the naive
  baselines on the same test part.
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
        """What was noted about the training at registration, such as series, step and season, and the last time seen.

        **Raises:** `InputError` if something else, or an earlier version of Tidecast, registered it.
        """
        if "trained_on" not in self.tags:
            raise InputError(f"{self} was not registered by tidecast train; name another version")
        trained_on = dict(json.loads(self.tags["trained_on"]))
        if trained_on.get("format") != TRAINED_ON_FORMAT:
            raise InputError(f"{self} was registered by an earlier version of Tidecast; {WAY_OUT}")
        return trained_on

    def __str__(self) -> str:
        return f"{self.name}/{self.number}"


def registered_name(series: str) -> str:
    """Return a series' name with the characters that the registry, URLs and command lines can hold."""
    return re.sub(r"[^\w.-]+", "-", series).strip("-.")[:LONGEST_NAME] or "series"


def register_version(name: str, run_id: str, tags: Mapping[str, str], description: str) -> Version:
    """Register the model that a run logged as the next version of `name`, and make it the challenger."""
    return TRACKER.ask(lambda client: _register(client, name, run_id, tags, description))


def promote(version: Version) -> None:
    """Make a version the champion."""
    TRACKER.ask(lambda client: client.set_registered_model_alias(version.name, CHAMPION, str(version.number)))


def tag_version(version: Version, tags: Mapping[str, str]) -> None:
    """Set tags on a version."""

    def write(client: MlflowClient) -> None:
        for key, value in tags.items():
            client.set_model_version_tag(version.name, str(version.number), key, value)

    TRACKER.ask(write)


def champion_of(name: str) -> Version | None:
    """Return the champion of a registered model; None if it has none."""
    model = _get(lambda client: client.get_registered_model(name))
    return _get_version(name, model.aliases[CHAMPION]) if model and CHAMPION in model.aliases else None


def find_version(reference: str | None) -> Version:
    """Find the version that NAME (its champion), NAME@ALIAS or NAME/VERSION names; by default the only champion.

    **Raises:** `InputError` if there is none, with those that exist.
    """
    reference = reference or _only_champion()
    mark = "/" if "/" in reference else "@"
    name, _, which = reference.partition(mark)
    model = _get(lambda client: client.get_registered_model(name))
    if model is None:
        existing = ", ".join(sorted(_models())) or "none yet; train one with tidecast train"
        raise InputError(f"no model is registered as '{name}'; there is {existing}")
    number = which if mark == "/" else model.aliases.get(which or CHAMPION)
    version = _get_version(name, number) if number else None
    if version is None:
        aliases = "".join(f"{name}@{alias}, " for alias in model.aliases)
        newest = max(int(version.version) for version in model.latest_versions)
        raise InputError(f"there is no {name}{mark}{which or CHAMPION}; there is {aliases}{name}/1 to {name}/{newest}")
    return version


def load_version(version: Version, device: str = "cpu") -> Forecaster:
    """Load the forecaster of a version.

    **Raises:** `InputError` if its files cannot be read, or are not those that were registered.
    """

    def download(_: MlflowClient) -> str:
        return str(download_artifacts(artifact_uri=f"models:/{version}/artifacts/forecaster", dst_path=folder))

    with tempfile.TemporaryDirectory() as folder:
        try:
            files = TRACKER.ask(download)
        except TrackerAwayError:
            raise
        except (MlflowException, OSError) as error:
            raise InputError(f"the files of {version} cannot be downloaded ({error}); {WAY_OUT}") from error
        try:
            return load_forecaster(Path(files), device, version.tags.get(SHA256))
        except InputError as error:
            raise InputError(f"{version} is not used: {error}; {WAY_OUT}") from error


def _register(client: MlflowClient, name: str, run_id: str, tags: Mapping[str, str], description: str) -> Version:
    for registered in client.search_model_versions(f"run_id = '{run_id}'"):
        if registered.name == name:  # by an attempt that was interrupted
            newest = client.get_registered_model(name).aliases.get(CHALLENGER, "0")
            if int(registered.version) > int(newest):
                client.set_registered_model_alias(name, CHALLENGER, registered.version)
            return Version(name, int(registered.version), run_id, registered.tags)
    try:
        client.create_registered_model(name, description=DESCRIPTION.format(name=name))
    except MlflowException as error:  # to look first would race with another run
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    run_tags = client.get_run(run_id).data.tags
    model_id, tags = run_tags[MODEL_ID], {**tags, SHA256: run_tags[SHA256]}
    created = client.create_model_version(
        name, f"models:/{model_id}", run_id, tags=tags, description=description, model_id=model_id
    )
    client.set_registered_model_alias(name, CHALLENGER, created.version)
    return Version(name, int(created.version), run_id, tags)


def _get_version(name: str, number: str) -> Version | None:
    entry = _get(lambda client: client.get_model_version(name, number))
    return Version(name, int(entry.version), str(entry.run_id), entry.tags) if entry else None


def _get(question: Callable[[MlflowClient], Entry]) -> Entry | None:
    """Ask the registry for an entry; returns None if it has none."""

    def get(client: MlflowClient) -> Entry | None:
        try:
            return question(client)
        except MlflowException as error:
            if error.error_code in ABSENT:
                return None
            raise

    return TRACKER.ask(get)


def _models() -> dict[str, bool]:
    """Return whether each registered model has a champion, by the name of the model."""
    models = TRACKER.ask(lambda client: client.search_registered_models())
    return {model.name: CHAMPION in model.aliases for model in models}


def _only_champion() -> str:
    names = [name for name, has_champion in _models().items() if has_champion]
    if not names:
        raise InputError("no model is a champion yet; train one with tidecast train")
    if len(names) > 1:
        raise InputError(f"there are {len(names)} champions; name one with --model: {', '.join(sorted(names))}")
    return names[0]
