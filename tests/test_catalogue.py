"""`prefect.yaml` against the code: Prefect itself ignores a key that it does not know."""

import inspect
import re
from pathlib import Path

import pytest
import yaml

from flows.catalogue import CATALOGUE, ROOT, change, recipe_parameters, recipes
from flows.parameters import options_of
from flows.train import train
from models.errors import InputError

DEPLOYMENTS = yaml.safe_load(CATALOGUE.read_text())["deployments"]
KEYS = {"name", "description", "entrypoint", "tags", "work_pool", "schedules", "concurrency_limit", "parameters"}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda given: f"{given['entrypoint']}/{given['name']}")
def test_every_deployment_fits_its_flow(deployment: dict[str, object]) -> None:
    assert set(deployment) - {"triggers"} == KEYS
    path, function = str(deployment["entrypoint"]).split(":")
    assert (ROOT / path).is_file()
    module = __import__(path.removesuffix(".py").replace("/", "."), fromlist=[function])
    flow = getattr(module, function)
    assert flow.name == function
    parameters = dict(deployment["parameters"])  # type: ignore[call-overload]
    assert set(parameters) <= set(inspect.signature(flow.fn).parameters)
    assert parameters.pop("recipe", None) == (deployment["name"] if function == "train" else None)
    options_of(flow.fn).model_validate(parameters)


def test_names_are_said_once_and_can_be_typed() -> None:
    names = [(deployment["entrypoint"], deployment["name"]) for deployment in DEPLOYMENTS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for _, name in names)


def test_schedules_are_shipped_inactive() -> None:
    for deployment in DEPLOYMENTS:
        assert [schedule["active"] for schedule in deployment["schedules"]] == [False]


def test_a_recipes_own_file_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Path(recipe_parameters("train", "co2")["series"]["path"]).is_file()


def test_the_two_waves_of_the_gru_differ_in_the_wave_alone() -> None:
    sine, cosine = recipe_parameters("train", "gru-sine"), recipe_parameters("train", "gru-cosine")
    assert sine.pop("series") == {**cosine.pop("series"), "wave": "sine"}
    assert sine == cosine


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'tango'.*gru-sine"):
        recipe_parameters("train", "tango")
    assert next(iter(recipes("train"))) == "sine"


def test_a_change_keeps_what_it_does_not_name() -> None:
    recipe = {"fit": {"epochs": 9, "batch": 3}, "models": ["gru"]}
    assert change(recipe, {"fit": {"epochs": 2}}) == {"fit": {"epochs": 2, "batch": 3}, "models": ["gru"]}
    assert recipe["fit"] == {"epochs": 9, "batch": 3}


def test_a_file_takes_the_place_of_a_wave_and_the_reverse() -> None:
    wave, file = {"wave": "sine", "points": 50}, {"path": "a.csv", "time": "day"}
    assert change({"series": wave}, {"series": {"path": "b.csv"}}) == {"series": {"path": "b.csv"}}
    assert change({"series": file}, {"series": {"wave": "cosine"}}) == {"series": {"wave": "cosine"}}
    assert change({"series": file}, {"series": {"path": "b.csv"}}) == {"series": {"path": "b.csv", "time": "day"}}
    assert change({"series": wave}, {"series": {"points": 70}}) == {"series": {"wave": "sine", "points": 70}}


def test_options_that_are_not_given_stay_unset() -> None:
    options = options_of(train.fn)
    assert options.model_validate({"fit": {"epochs": 3}}).model_dump(exclude_unset=True) == {"fit": {"epochs": 3}}
    assert "recipe" not in options.model_fields
