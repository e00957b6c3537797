"""What the tests of several networks check alike."""

import numpy as np

from models.data.panel import Panel
from models.network import TrainedNetwork


def assert_weights_are_restored(
    trained: TrainedNetwork, other: TrainedNetwork, panel: Panel, origins: np.ndarray
) -> None:
    """Loaded weights give the same forecasts to the bit, and `state` returns a copy."""
    state, expected = trained.state(), trained.predict(panel, origins)
    assert (other.predict(panel, origins) != expected).any()
    other.load(state)
    for weight in state.values():
        weight[:] = 0
    assert other.predict(panel, origins).tolist() == expected.tolist()
    assert trained.predict(panel, origins).tolist() == expected.tolist()
