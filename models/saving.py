"""A forecaster on disk: weights as safetensors, everything else as JSON; never a pickle."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.data.covariate_scaling import CovariateScaling
from models.data.covariates import CovariateNames
from models.data.scaling import Scaling
from models.data.step_names import parse_step
from models.errors import InputError
from models.files import write_atomically
from models.forecaster import Forecaster, build_network
from models.intervals import Intervals
from models.network import Layout
from models.specs import ModelSpec

WEIGHTS, DESCRIPTION = "weights.safetensors", "forecaster.json"
FORMAT = 3
"""Number of the description's format; files without one have format 1."""


def save_forecaster(forecaster: Forecaster, folder: Path) -> str:
    """Write both files into `folder`, each whole or not at all; returns a sha256 that covers both."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = save({name: np.asarray(weight, order="C") for name, weight in forecaster.network.state().items()})
    description = describe_forecaster(forecaster) | {"weights_sha256": hashlib.sha256(weights).hexdigest()}
    content = json.dumps(description, indent=2).encode()
    write_atomically(folder / WEIGHTS, weights)
    write_atomically(folder / DESCRIPTION, content)
    return hashlib.sha256(content).hexdigest()


def describe_forecaster(forecaster: Forecaster) -> dict[str, Any]:
    """Return everything but the weights, in types that JSON can hold."""
    scaling, intervals = forecaster.scaling, forecaster.intervals
    return {
        "format": FORMAT,
        "spec": forecaster.spec.model_dump(mode="json"),
        "fill": forecaster.fill,
        "step": str(forecaster.step),
        "scaling": {
            name: [offset, scale]
            for name, offset, scale in zip(scaling.ids, scaling.offsets, scaling.scales, strict=True)
        },
        "covariate_names": forecaster.covariate_names._asdict(),
        "covariate_scaling": [part.tolist() for part in scaling.covariates],
        "layout": forecaster.network.layout._asdict(),
        "intervals": intervals and {"level": intervals.level, "half_widths": intervals.half_widths.tolist()},
        "interval_scales": forecaster.interval_scales,
    }


def load_forecaster(folder: Path, device: str = "cpu", sha256: str | None = None) -> Forecaster:
    """Read back what `save_forecaster` wrote; with the `sha256` that it returned, nothing else is accepted.

    **Raises:** `InputError` if a file is missing, was altered, or has a format that this version does not read.
    """
    for name in (WEIGHTS, DESCRIPTION):
        if not (folder / name).is_file():
            raise InputError(f"{folder} is no forecaster: it has no {name}")
    content, weights = (folder / DESCRIPTION).read_bytes(), (folder / WEIGHTS).read_bytes()
    if sha256:
        _refuse_altered(folder / DESCRIPTION, content, sha256)
    try:
        description = json.loads(content)
        _refuse_other_format(folder, description.get("format", 1))
        _refuse_altered(folder / WEIGHTS, weights, description["weights_sha256"])
        return _restore(description, load(weights), device)
    except InputError:
        raise
    except (ValueError, LookupError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        raise InputError(f"{folder.name} holds a forecaster that cannot be read ({error})") from error


def _restore(description: dict[str, Any], weights: dict[str, np.ndarray], device: str) -> Forecaster:
    spec, layout = ModelSpec.model_validate(description["spec"]), description["layout"]
    network = build_network(spec, device, Layout(**layout | {"ids": tuple(layout["ids"])}))
    network.load(weights)
    pairs = np.array(list(description["scaling"].values())).reshape(-1, 2)  # [N, 2]
    covariate_scaling = CovariateScaling(*(np.array(part, np.float32) for part in description["covariate_scaling"]))
    scaling = Scaling(spec.window, tuple(description["scaling"]), pairs[:, 0], pairs[:, 1], covariate_scaling)
    names = CovariateNames(**{role: tuple(names) for role, names in description["covariate_names"].items()})
    saved = description["intervals"]
    intervals = saved and Intervals(saved["level"], np.array(saved["half_widths"], float))
    scales, step = description["interval_scales"], parse_step(description["step"])
    return Forecaster(spec, scaling, network, description["fill"], names, intervals, scales, step)


def _refuse_other_format(folder: Path, number: object) -> None:
    if number != FORMAT:
        raise InputError(
            f"{folder.name} was saved by another version of Tidecast (format {number}; this one reads format "
            f"{FORMAT}); train it again"
        )


def _refuse_altered(path: Path, content: bytes, sha256: str) -> None:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path.name} was altered since it was saved: it has another sha256")
