"""Settings of the networks and of their training."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from models.errors import InputError
from models.specs.base import Spec, split_commas
from models.specs.data import WindowSpec

RECURRENT = ("rnn", "gru", "lstm")
MODELS = (*RECURRENT, "elman", "numpy_rnn")
COMBINED = "combined"
"""The name of the weighted mean of several networks and the baselines, as a model."""

Precision = Literal["float32", "tf32", "bf16"]
Seed = Annotated[int, Field(ge=0, le=2**53, description="Seed of the first weights and of the order of the windows.")]


class RecurrentSpec(Spec):
    """The network of rnn, gru and lstm."""

    hidden: int = Field(32, ge=1, le=4096, description="Hidden units per layer (H).")
    layers: int = Field(1, ge=1, le=16, description="Stacked layers.")
    gru_form: Literal["torch", "chung2014"] = Field(
        "torch", description="Which of the two published forms of the GRU to use; see models/population/cells.py."
    )
    input_offset: Literal["none", "last", "mean"] = Field(
        "last",
        description="What is subtracted from a window's inputs: nothing, its last value (for series that wander), or "
        "its mean.",
    )
    target_offset: Literal["none", "last", "mean", "season"] = Field(
        "last",
        description="What is subtracted from a window's targets: nothing, its last value, its mean, or the value one "
        "season before each target.",
    )
    window_scale: Literal["training", "window"] = Field(
        "training",
        description="What inputs, targets and errors are divided by: a scale measured on all training windows, or each "
        "window's own standard deviation.",
    )
    segment: int = Field(
        1, ge=1, le=10_000, description="Values that the network reads in one step; with more, long windows are faster."
    )
    highway: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Last values of a window that also go directly to the head, as in an autoregression.",
    )


class FitSpec(Spec):
    """The training of rnn, gru and lstm, by Adam."""

    epochs: int = Field(50, ge=1, le=1_000_000, description="Passes over the training windows, at most.")
    batch: int = Field(64, ge=1, le=1_000_000, description="Windows per step (B).")
    windows: int | None = Field(
        None, ge=1, description="Training windows per epoch, drawn at random for each; by default all of them."
    )
    loss: Literal["mse", "mae"] = Field("mse", description="The loss: mean squared or mean absolute error.")
    learning_rate: float = Field(0.005, gt=0, le=10, description="Adam's learning rate after the warm-up.")
    schedule: Literal["constant", "cosine"] = Field(
        "cosine", description="Course of the learning rate over the epochs."
    )
    warmup: float = Field(
        0.02, ge=0, lt=1, description="Share of the steps, from the first on, in which the learning rate rises."
    )
    weight_decay: float = Field(0.0, ge=0, le=1, description="Decoupled weight decay, as in AdamW.")
    clip: float | None = Field(
        1.0, gt=0, description="Largest norm of a member's gradient; a larger one is scaled down."
    )
    patience: int | None = Field(
        None, ge=1, description="Stop a member after so many epochs without a lower validation loss; by default never."
    )
    final_steps: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Steps on training and validation part together, after the best epoch and at 0.3 of the learning "
        "rate; 0: none.",
    )
    precision: Precision = Field(
        "float32", description="Precision of matrix products on a GPU; on a CPU it is float32."
    )
    deterministic: bool = Field(
        False, description="On a GPU, compute the same bits in every run, at some cost in speed."
    )
    scope: Literal["global", "local"] = Field(
        "global", description="Train one network for all series, or one for each series."
    )
    members: int = Field(
        1, ge=1, le=100_000, description="Members of the ensemble (K): networks that differ in their seeds."
    )
    combine: Literal["median", "mean"] = Field("median", description="How to combine the forecasts of the members.")


class ElmanSpec(Spec):
    """The Elman network, trained online: one point, one step of gradient descent."""

    hidden: int = Field(6, ge=1, le=4096, description="Context units.")
    epochs: int = Field(300, ge=1, le=1_000_000, description="Passes over the series.")
    learning_rate: float = Field(0.1, gt=0, le=10, description="Learning rate of the gradient descent.")
    input_deviation: float = Field(0.4, gt=0, description="Standard deviation of the first weights into the context.")
    output_deviation: float = Field(0.3, gt=0, description="Standard deviation of the first weights of the readout.")


class NumpyRNNSpec(Spec):
    """The RNN from scratch in NumPy, trained by truncated back-propagation through time."""

    hidden: int = Field(100, ge=1, le=4096, description="Hidden units.")
    epochs: int = Field(250, ge=1, le=1_000_000, description="Passes over the training windows.")
    batch: int = Field(100, ge=1, le=1_000_000, description="Windows per step.")
    learning_rate: float = Field(0.05, gt=0, le=10, description="Learning rate of the gradient descent.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Share of each step that is added to the next one.")
    truncate: int = Field(5, ge=1, description="Time steps through which the error is propagated back.")
    clip: float = Field(10.0, gt=0, description="Largest size of each entry of a gradient; larger ones are cut to it.")


def _check_models(names: list[str]) -> list[str]:
    for name in names:
        if name not in MODELS:
            raise InputError(f"unknown model '{name}': choose from {', '.join(MODELS)}")
        if names.count(name) > 1:
            raise InputError(f"model '{name}' is named twice in {','.join(names)}")
    if not names:
        raise InputError(f"no model is named: choose from {', '.join(MODELS)}")
    return names


Models = Annotated[
    list[str],
    BeforeValidator(split_commas),
    AfterValidator(_check_models),
    Field(
        description="Models to train: rnn, gru, lstm, elman, numpy_rnn.",
        json_schema_extra={"items": {"type": "string", "enum": list(MODELS)}},
    ),
]


class ModelSpec(Spec):
    """All settings of one model; saved beside its weights."""

    model: Annotated[str, AfterValidator(lambda name: name if name == COMBINED else _check_models([name])[0])]
    parts: tuple[str, ...] = Field((), description="The networks of a weighted mean, if the model is combined.")
    window: WindowSpec = WindowSpec()
    season: int = Field(1, ge=1, description="Points of one season.")
    recurrent: RecurrentSpec = RecurrentSpec()
    fit: FitSpec = FitSpec()
    elman: ElmanSpec = ElmanSpec()
    numpy_rnn: NumpyRNNSpec = NumpyRNNSpec()
    seed: Seed = 0

    @property
    def training_group(self) -> str:
        """The group of options that trains this model: `fit`, or the model's own."""
        return "fit" if self.model in (*RECURRENT, COMBINED) else self.model

    @property
    def training_settings(self) -> FitSpec | ElmanSpec | NumpyRNNSpec:
        """The settings of that group."""
        settings: FitSpec | ElmanSpec | NumpyRNNSpec = getattr(self, self.training_group)
        return settings

    @model_validator(mode="after")
    def _season_in_window(self) -> Self:
        if self.recurrent.target_offset == "season" and self.season > self.window.length:
            raise InputError(
                f"a window of {self.window.length} values holds no season of {self.season}: make --window.length at "
                "least that, or choose another --recurrent.target-offset"
            )
        return self
