"""What a user can set: the same models are the command line's options and Prefect's form."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from models.bounds import tell_bounds
from models.errors import InputError

RECURRENT = ("rnn", "gru", "lstm")
MODELS = (*RECURRENT, "elman", "numpy_rnn")

RecipeName = Annotated[str, Field(description="What the runs are called, and the experiment that holds them.")]
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    Field(description="Where rnn, gru and lstm are trained; auto takes CUDA where there is one."),
]
FreeRun = Annotated[
    Literal["first", "test"],
    Field(description="Where a model is left to its own forecasts: behind the first window, or at the test part."),
]
Season = Annotated[
    int | None,
    Field(ge=1, le=1_000_000, description="Points a season, for the seasonal baseline; by default from the time axis."),
]
Precision = Literal["float32", "tf32", "bf16"]
Seed = Annotated[int, Field(ge=0, le=2**53, description="Seed of the first weights and of the order of the windows.")]


Reference = Annotated[
    str | None,
    Field(description="Registered model: NAME for its champion, NAME@ALIAS or NAME/VERSION; by default the only one."),
]
Horizon = Annotated[
    int | None,
    Field(ge=1, le=100_000, description="Number of steps to forecast beyond the last row; by default one season."),
]


def _written_as(output: str | None) -> str | None:
    if output is not None and not output.endswith((".parquet", ".csv")):
        raise InputError(f"--output {output} tells no format; let it end in .parquet or .csv")
    return output


Output = Annotated[
    str | None,
    AfterValidator(_written_as),
    Field(description="Write the forecast here as well, a path or a URL that ends in .parquet or .csv."),
]

Bound = Annotated[
    float, Field(ge=-10, lt=1, description="Least skill against the seasonal naive; below it, the alarm is raised.")
]
Recent = Annotated[int, Field(ge=1, le=1000, description="Number of the champion's latest forecasts that are judged.")]
Most = Annotated[int, Field(ge=1, le=10_000, description="Number of logged forecasts, the latest, that are scored.")]


class Spec(BaseModel):
    """A frozen part of a recipe; unknown fields are refused, and the descriptions tell the bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __pydantic_init_subclass__(cls, **given: Any) -> None:
        super().__pydantic_init_subclass__(**given)
        tell_bounds(cls.model_fields)
        cls.model_rebuild(force=True)  # so that the schema has them too


class SeriesSpec(Spec):
    """Where the series comes from: a generated wave, or a CSV or Parquet file."""

    path: str | None = Field(None, description="CSV or Parquet file with one row a point.")
    id: str | None = Field(None, description="Column that names the series; 'unique_id' if there is one.")
    time: str | None = Field(None, description="Column of timestamps or integers; 'ds' if there is one.")
    value: str | None = Field(None, description="Column of values; 'y' if there is one.")
    fill: Literal["last", "linear", "error"] = Field(
        "last",
        description="Missing values: repeat the last one, draw a line to the next (which looks ahead), or stop. "
        "A filled value is never a target.",
    )
    name: str | None = Field(
        None, min_length=1, description="What the series is called in the registry; by default the file or the wave."
    )
    wave: Literal["sine", "cosine"] | None = Field(None, description="Generate this wave instead of reading a file.")
    start: float = Field(0.0, description="First argument of the wave, in radians.")
    stop: float = Field(100.0, description="Last argument of the wave, in radians.")
    points: int = Field(1000, ge=4, le=100_000_000, description="Number of points of the wave.")


def change_source(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A series' fields with what is changed; a file takes the place of a wave, and the reverse."""
    kept = set(old)
    if "path" in new:
        kept -= {"name", "wave", "start", "stop", "points"}
    if "wave" in new:
        kept -= {"name", "path", "id", "time", "value", "fill"}
    return {field: old[field] for field in old if field in kept} | new


class WindowSpec(Spec):
    """What a model reads and what it answers."""

    length: int = Field(32, ge=1, le=100_000, description="Number of past values that the model reads (T).")
    horizon: int = Field(1, ge=1, le=10_000, description="Number of steps that it forecasts at once (S).")
    scale: Literal["none", "standard"] = Field(
        "standard", description="Bring each series to mean 0 and deviation 1 by its training part."
    )


class SplitSpec(Spec):
    """Chronological parts. Below 1 a share of each series, from 1 a number of points."""

    train: float | None = Field(None, gt=0, description="First points, trained on; by default what the others leave.")
    validation: float = Field(0.15, ge=0, description="Points after them, which choose epoch and model.")
    test: float = Field(0.15, ge=0, description="Points after those, only reported.")

    @field_validator("train", "validation", "test")
    @classmethod
    def _whole_from_one_on(cls, share: float | None) -> float | None:
        if share is not None and share >= 1 and share != int(share):
            raise ValueError("it should be a share below 1, or a whole number of points")
        return share


class GateSpec(Spec):
    """What a new model has to beat on the test part before it becomes the champion of its series."""

    margin: float = Field(
        0.01, ge=0, lt=1, description="Share by which its test RMSE has to be lower than that of each rival."
    )
    linear_ar: bool = Field(False, description="Have it beat the linear autoregression as well as the naive baselines.")


class RecurrentSpec(Spec):
    """The network of rnn, gru and lstm."""

    hidden: int = Field(32, ge=1, le=4096, description="Hidden units a layer (H).")
    layers: int = Field(1, ge=1, le=16, description="Stacked layers.")
    gru_form: Literal["torch", "chung2014"] = Field(
        "torch", description="Which of the two published GRU equations to use; see models/cells.py."
    )
    reads: Literal["values", "relative"] = Field(
        "relative",
        description="Read a window's values as they are, or relative to its last one (for series that wander).",
    )
    answers: Literal["value", "change"] = Field(
        "change",
        description="Answer the value itself, or its change from the window's last one in units of the usual change.",
    )


class FitSpec(Spec):
    """How rnn, gru and lstm are trained: Adam on the mean squared error."""

    epochs: int = Field(50, ge=1, le=1_000_000, description="Passes over the training windows, at most.")
    batch: int = Field(64, ge=1, le=1_000_000, description="Windows a step (B).")
    learning_rate: float = Field(0.005, gt=0, le=10, description="Adam's learning rate after the warm-up.")
    schedule: Literal["constant", "cosine"] = Field("cosine", description="The learning rate's course over the epochs.")
    warmup: float = Field(0.02, ge=0, lt=1, description="Share of the steps in which the learning rate rises.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Decoupled weight decay, as in AdamW.")
    clip: float | None = Field(1.0, gt=0, description="Largest norm of a member's gradient.")
    patience: int | None = Field(
        None, ge=1, description="Stop a member after so many epochs without a better validation loss."
    )
    precision: Precision = Field("float32", description="Arithmetic of products on a GPU; on a CPU it is float32.")
    deterministic: bool = Field(False, description="On a GPU, the same bits in every run, at some cost in speed.")
    members: int = Field(
        1, ge=1, le=100_000, description="Networks trained in lockstep, a seed each; the forecast is their median (K)."
    )


class ElmanSpec(Spec):
    """The Elman network, trained online: one point, one step of gradient descent."""

    hidden: int = Field(6, ge=1, le=4096, description="Context neurons.")
    epochs: int = Field(300, ge=1, le=1_000_000, description="Passes over the series.")
    learning_rate: float = Field(0.1, gt=0, le=10, description="Step of the gradient descent.")
    input_deviation: float = Field(0.4, gt=0, description="Standard deviation of the first weights into the context.")
    output_deviation: float = Field(0.3, gt=0, description="Standard deviation of the first weights of the readout.")


class NumpyRNNSpec(Spec):
    """The RNN from scratch: NumPy, truncated back-propagation through time."""

    hidden: int = Field(100, ge=1, le=4096, description="Hidden units.")
    epochs: int = Field(250, ge=1, le=1_000_000, description="Passes over the training windows.")
    batch: int = Field(100, ge=1, le=1_000_000, description="Windows a step.")
    learning_rate: float = Field(0.05, gt=0, le=10, description="Step of the gradient descent.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Share of a step that is taken again at the next one.")
    truncate: int = Field(5, ge=1, description="Steps that the error travels back.")
    clip: float = Field(10.0, gt=0, description="Bound of each gradient's entries, both ways.")


def _split_commas(names: object) -> object:
    """`rnn,gru`, as typed on a command line, is two names."""
    if isinstance(names, str):
        names = [names]
    if isinstance(names, list | tuple):
        return [part.strip() for name in names for part in str(name).split(",")]
    return names


def _known_models(names: list[str]) -> list[str]:
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
    BeforeValidator(_split_commas),
    AfterValidator(_known_models),
    Field(
        description="Models to train: rnn, gru, lstm, elman, numpy_rnn.",
        json_schema_extra={"items": {"type": "string", "enum": list(MODELS)}},
    ),
]


class ModelSpec(Spec):
    """Everything that makes one model what it is, and all that is kept beside its weights."""

    model: Annotated[str, AfterValidator(lambda name: _known_models([name])[0])]
    window: WindowSpec = WindowSpec()
    recurrent: RecurrentSpec = RecurrentSpec()
    fit: FitSpec = FitSpec()
    elman: ElmanSpec = ElmanSpec()
    numpy_rnn: NumpyRNNSpec = NumpyRNNSpec()
    seed: Seed = 0
