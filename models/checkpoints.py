"""A forecaster on disk: weights as safetensors, everything else as JSON; never a pickle."""

import json
import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from models.errors import InputError
from models.forecaster import Forecaster, build_network
from models.scaling import Scaling
from models.specs import ModelSpec

WEIGHTS, DESCRIPTION = "weights.safetensors", "forecaster.json"


def save_forecaster(forecaster: Forecaster, folder: Path) -> None:
    """Write both files into `folder`, each of them whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    scaling = forecaster.scaling
    description = {
        "spec": forecaster.spec.model_dump(mode="json"),
        "fill": forecaster.fill,
        "scaling": {name: [m, d] for name, m, d in zip(scaling.ids, scaling.mean, scaling.deviation, strict=True)},
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
        spec = ModelSpec.model_validate(description["spec"])
        network = build_network(spec, device)
        network.load(load_file(folder / WEIGHTS))
    except (ValueError, LookupError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{folder} holds a forecaster that cannot be read ({error}); train it again") from error
    pairs = np.array(list(description["scaling"].values())).reshape(-1, 2)
    scaling = Scaling(tuple(description["scaling"]), pairs[:, 0], pairs[:, 1])
    return Forecaster(spec, scaling, network, description["fill"])


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
