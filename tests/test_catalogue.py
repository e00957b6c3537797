"""`prefect.yaml` fits the code: Prefect itself ignores unknown keys."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.backtest import backtest
from flows.catalogue import CATALOGUE, ROOT, UNSHARED_PARAMETERS, all_recipes, change, recipe_parameters, recipes_of
from flows.parameters import options_of
from flows.train import train
from models.errors import InputError

DEPLOYMENTS = yaml.safe_load(CATALOGUE.read_text())["deployments"]
KEYS = {"name", "description", "entrypoint", "tags", "work_pool", "schedules", "concurrency_limit", "parameters"}
NO_DATA = "bring-your-data"


@pytest.mark.parametrize(
    "deployment", DEPLOYMENTS, ids=lambda deployment: f"{deployment['entrypoint']}/{deployment['name']}"
)
def test_every_deployment_fits_its_flow(deployment: dict[str, Any]) -> None:
    assert set(deployment) - {"triggers"} == KEYS - ({"schedules"} if NO_DATA in deployment["tags"] else set())
    path, function = deployment["entrypoint"].split(":")
    assert (ROOT / path).is_file()
    module = __import__(path.removesuffix(".py").replace("/", "."), fromlist=[function])
    flow = getattr(module, function)
    assert flow.name == function
    parameters = dict(deployment["parameters"])
    assert set(parameters) <= set(inspect.signature(flow.fn).parameters)
    records_recipe = function in ("train", "backtest")
    assert parameters.pop("recipe", None) == (deployment["name"] if records_recipe else None)
    options_of(flow.fn).model_validate(parameters)


def test_names_are_unique_in_a_flow_and_easy_to_type() -> None:
    names = [(deployment["entrypoint"], deployment["name"]) for deployment in DEPLOYMENTS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for _, name in names)


def test_schedules_are_shipped_inactive() -> None:
    for deployment in DEPLOYMENTS:
        assert all(not schedule["active"] for schedule in deployment.get("schedules", []))


def test_a_deployment_has_a_schedule_if_and_only_if_it_has_data() -> None:
    for deployment in DEPLOYMENTS:
        uses_model = deployment["entrypoint"].endswith(("forecast", "monitor"))  # which names its file
        has_data = uses_model or {"path", "wave"} & set(deployment["parameters"].get("series", {}))
        assert bool(has_data) == ("schedules" in deployment) == (NO_DATA not in deployment["tags"])
    assert [d["name"] for d in DEPLOYMENTS if NO_DATA in d["tags"]] == ["etth1", "m4-hourly", "dysts"]


def test_train_and_backtest_share_their_recipes() -> None:
    assert list(all_recipes()) == [*recipes_of("train"), *(name for name in recipes_of("backtest") if name != "co2")]
    assert all_recipes()["co2"] == recipes_of("train")["co2"]
    for name in all_recipes():
        for flow in (train, backtest):
            parameters = recipe_parameters(flow.name, name)
            assert "recipe" not in parameters
            options_of(flow.fn).model_validate(parameters)


def test_a_recipe_without_data_takes_a_file_of_its_form() -> None:
    changed = change(recipe_parameters("backtest", "etth1"), {"series": {"path": "a.csv"}})
    assert changed["series"] == {"path": "a.csv", "time": "date", "value": "OT"}


def test_parameters_that_only_the_other_flow_has_are_left_out() -> None:
    assert recipes_of("train")["gru-sine"].parameters["free_run"] == "first"
    assert "free_run" not in recipe_parameters("backtest", "gru-sine")
    assert not {"stride", "refit"} & set(recipe_parameters("train", "dysts"))
    assert recipe_parameters("train", "dysts")["horizon"] == 30
    of_train, of_backtest = ({*inspect.signature(flow.fn).parameters} for flow in (train, backtest))
    assert of_train ^ of_backtest == set(UNSHARED_PARAMETERS)


def test_a_recipe_of_both_flows_trains_the_same_networks_on_the_same_file() -> None:
    trained, backtested = recipe_parameters("train", "co2"), recipe_parameters("backtest", "co2")
    assert (backtested["horizon"], backtested.pop("stride")) == (52, 4)
    assert backtested == trained


def test_a_recipes_own_file_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Path(recipe_parameters("train", "co2")["series"]["path"]).is_file()


def test_the_recipes_of_the_two_waves_differ_only_in_the_wave() -> None:
    sine, cosine = recipe_parameters("train", "gru-sine"), recipe_parameters("train", "gru-cosine")
    assert sine.pop("series") == {**cosine.pop("series"), "wave": "sine"}
    assert sine == cosine


def test_an_unknown_recipe_is_refused_with_the_list_of_recipes() -> None:
    for flow in ("train", "backtest"):
        with pytest.raises(InputError, match=r"'tango'.*gru-sine.*dysts|'tango'.*dysts.*gru-sine"):
            recipe_parameters(flow, "tango")
    assert next(iter(recipes_of("train"))) == "sine"


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
