"""What the flows are told beside the data and the networks: names, places, and what a result has to reach."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from models.errors import InputError
from models.specs.base import Name, Spec

RecipeName = Annotated[Name, Field(description="What the runs are called, and the experiment that holds them.")]
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    Field(description="Where rnn, gru and lstm are trained; auto takes CUDA where there is one."),
]
FreeRun = Annotated[
    Literal["first", "test"],
    Field(description="Where a model is left to its own forecasts: behind the first window, or at the test part."),
]

Reference = Annotated[
    str | None,
    Field(description="Registered model: NAME for its champion, NAME@ALIAS or NAME/VERSION; by default the only one."),
]
Horizon = Annotated[
    int | None,
    Field(
        ge=1,
        le=100_000,
        description="Number of steps to forecast beyond the last row; by default one season, or all that the model "
        "answers at once, or as far as covariates are told.",
    ),
]


def _written_as(output: str | None) -> str | None:
    if output is not None and not output.endswith((".parquet", ".csv")):
        raise InputError(f"--output {output} tells no format; let it end in .parquet or .csv")
    return output


Output = Annotated[
    str | None,
    AfterValidator(_written_as),
    Field(description="Write the forecasts here as well, a path or a URL that ends in .parquet or .csv."),
]

Bound = Annotated[
    float, Field(ge=-10, lt=1, description="Least skill against the seasonal naive; below it, the alarm is raised.")
]
Recent = Annotated[int, Field(ge=1, le=1000, description="Number of the champion's latest forecasts that are judged.")]
Most = Annotated[int, Field(ge=1, le=10_000, description="Number of logged forecasts, the latest, that are scored.")]

Ahead = Annotated[
    int | None,
    Field(
        ge=1,
        le=10_000,
        description="Steps ahead that are forecast from every origin; by default window.horizon. Fewer make a head of "
        "so many, more come from the model's own forecasts.",
    ),
]
TestPoints = Annotated[
    int | None, Field(ge=1, description="Last points of each series to forecast; by default the test part of split.")
]
Stride = Annotated[int, Field(ge=1, le=1_000_000, description="Points from one origin to the next.")]


class IntervalSpec(Spec):
    """Intervals about a forecast: conformal, from the errors on the validation part, step by step."""

    level: int = Field(90, ge=1, le=99, description="Share of the actual values that they should hold, in percent.")
    recent: int | None = Field(
        None,
        ge=10,
        description="In a backtest, take the errors of so many origins, the latest whose outcome an origin knows; by "
        "default those of the validation part, for all origins.",
    )


class RefitSpec(Spec):
    """Training again while a backtest goes on, from the weights that are there."""

    every: int = Field(
        0,
        ge=0,
        description="Origins from one training to the next, the first before any, counted by their times; 0: never.",
    )
    epochs: int = Field(5, ge=1, le=1_000_000, description="Passes over all windows that are known by then.")
    learning_rate: float | None = Field(
        None, gt=0, le=10, description="Of rnn, gru and lstm; by default that of the fit."
    )


class GateSpec(Spec):
    """What a new model has to beat on the test part before it becomes the champion of its series."""

    margin: float = Field(
        0.01, ge=0, lt=1, description="Share by which its test RMSE has to be lower than that of each rival."
    )
    linear_ar: bool = Field(False, description="Have it beat the linear autoregression as well as the naive baselines.")
