"""A forecaster on disk: weights as safetensors, everything else as JSON; never a pickle."""

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.data.covariate_scaling import CovariateScaling
from models.data.covariates import CovariateNames
from models.data.scaling import Scaling
from models.errors import InputError
from models.files import write_atomically
from models.forecaster import Forecaster, build_network
from models.intervals import Intervals
from models.network import Layout
from models.specs import ModelSpec

WEIGHTS, DESCRIPTION = "weights.safetensors", "forecaster.json"


def save_forecaster(forecaster: Forecaster, folder: Path) -> str:
    """Write both files into `folder`, each of them whole or not at all; returns the sha256 that vouches for both."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = save({name: np.asarray(weight, order="C") for name, weight in forecaster.network.state().items()})
    scaling, intervals = forecaster.scaling, forecaster.intervals
    description = {
        "spec": forecaster.spec.model_dump(mode="json"),
        "fill": forecaster.fill,
        "scaling": {name: [m, d] for name, m, d in zip(scaling.ids, scaling.offsets, scaling.scales, strict=True)},
        "columns": forecaster.covariate_names._asdict(),
        "column_scaling": [part.tolist() for part in scaling.covariates],
        "layout": forecaster.network.layout._asdict(),
        "intervals": intervals and {"level": intervals.level, "sizes": intervals.sizes.tolist()},
        "units": forecaster.interval_scales,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    told = json.dumps(description, indent=2).encode()
    write_atomically(folder / WEIGHTS, weights)
    write_atomically(folder / DESCRIPTION, told)
    return hashlib.sha256(told).hexdigest()


def load_forecaster(folder: Path, device: str = "cpu", sha256: str | None = None) -> Forecaster:
    """Read back what `save_forecaster` wrote; with the `sha256` that it gave, that and nothing else.

    **Raises:** `InputError` where a file is missing, was altered, or holds what this version of the code cannot read.
    """
    for name in (WEIGHTS, DESCRIPTION):
        if not (folder / name).is_file():
            raise InputError(f"{folder} is no forecaster: it has no {name}")
    told, weights = (folder / DESCRIPTION).read_bytes(), (folder / WEIGHTS).read_bytes()
    if sha256:
        _refuse_altered(folder / DESCRIPTION, told, sha256)
    try:
        description = json.loads(told)
        _refuse_altered(folder / WEIGHTS, weights, description["weights_sha256"])
        spec, layout = ModelSpec.model_validate(description["spec"]), description["layout"]
        network = build_network(spec, device, Layout(**layout | {"ids": tuple(layout["ids"])}))
        network.load(load(weights))
        pairs = np.array(list(description["scaling"].values())).reshape(-1, 2)
        columns = CovariateScaling(*(np.array(part, np.float32) for part in description["column_scaling"]))
        scaling = Scaling(spec.window, tuple(description["scaling"]), pairs[:, 0], pairs[:, 1], columns)
        names = CovariateNames(**{role: tuple(given) for role, given in description["columns"].items()})
        kept = description["intervals"]
        intervals, units = kept and Intervals(kept["level"], np.array(kept["sizes"], float)), description["units"]
    except InputError:
        raise
    except (ValueError, LookupError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        raise InputError(f"{folder.name} holds a forecaster that cannot be read ({error})") from error
    return Forecaster(spec, scaling, network, description["fill"], names, intervals, units)


def _refuse_altered(path: Path, content: bytes, sha256: str) -> None:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path.name} was altered since it was saved: it has another sha256")
