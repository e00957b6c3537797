"""A forecaster on disk: weights as safetensors, everything else as JSON; never a pickle."""

import json
import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from models.columns import ColumnScaling
from models.covariates import Columns
from models.errors import InputError
from models.forecaster import Forecaster, build_network
from models.intervals import Intervals
from models.network import Layout
from models.scaling import Scaling
from models.specs import ModelSpec

WEIGHTS, DESCRIPTION = "weights.safetensors", "forecaster.json"


def save_forecaster(forecaster: Forecaster, folder: Path) -> None:
    """Write both files into `folder`, each of them whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    scaling, intervals = forecaster.scaling, forecaster.intervals
    description = {
        "spec": forecaster.spec.model_dump(mode="json"),
        "fill": forecaster.fill,
        "scaling": {name: [m, d] for name, m, d in zip(scaling.ids, scaling.centre, scaling.size, strict=True)},
        "columns": forecaster.columns._asdict(),
        "column_scaling": [part.tolist() for part in scaling.columns],
        "layout": forecaster.network.layout._asdict(),
        "intervals": intervals and {"level": intervals.level, "sizes": intervals.sizes.tolist()},
        "units": forecaster.units,
    }
    weights = {name: np.asarray(weight, order="C") for name, weight in forecaster.network.state().items()}
    write_whole(folder / WEIGHTS, save(weights))
    write_whole(folder / DESCRIPTION, json.dumps(description, indent=2).encode())


def load_forecaster(folder: Path, device: str = "cpu") -> Forecaster:
    """Read back what `save_forecaster` wrote.

    **Raises:** `InputError` where a file is missing, or holds what this version of the code cannot read.
    """
    for name in (WEIGHTS, DESCRIPTION):
        if not (folder / name).is_file():
            raise InputError(f"{folder} is no forecaster: it has no {name}")
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        spec, layout = ModelSpec.model_validate(description["spec"]), description["layout"]
        network = build_network(spec, device, Layout(**layout | {"ids": tuple(layout["ids"])}))
        network.load(load_file(folder / WEIGHTS))
        pairs = np.array(list(description["scaling"].values())).reshape(-1, 2)
        columns = ColumnScaling(*(np.array(part, np.float32) for part in description["column_scaling"]))
        scaling = Scaling(spec.window, tuple(description["scaling"]), pairs[:, 0], pairs[:, 1], columns)
        names = Columns(**{role: tuple(given) for role, given in description["columns"].items()})
        kept = description["intervals"]
        intervals, units = kept and Intervals(kept["level"], np.array(kept["sizes"], float)), description["units"]
    except (ValueError, LookupError, RuntimeError, TypeError, SafetensorError) as error:
        raise InputError(f"{folder} holds a forecaster that cannot be read ({error}); train it again") from error
    return Forecaster(spec, scaling, network, description["fill"], names, intervals, units)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
