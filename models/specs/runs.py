"""Settings of the flows that concern neither data nor networks: names, places, horizons, intervals, and the gate."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from models.errors import InputError
from models.specs.base import Name, Spec

RecipeName = Annotated[Name, Field(description="Name of the runs and of the experiment that holds them.")]
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    Field(description="Where to train rnn, gru and lstm; auto takes CUDA if there is a CUDA device."),
]
FreeRun = Annotated[
    Literal["first", "test"],
    Field(
        description="Where the free run, in which a model reads its own forecasts, starts: after the first window, or "
        "at the test part."
    ),
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
        description="Steps to forecast beyond the last row; by default as far as covariates are given, if any are "
        "known ahead, else one season or all that the model forecasts at once, whichever is more.",
    ),
]


def _check_ending(output: str | None) -> str | None:
    if output is not None and not output.endswith((".parquet", ".csv")):
        raise InputError(f"--output {output} names no format; let it end in .parquet or .csv")
    return output


Output = Annotated[
    str | None,
    AfterValidator(_check_ending),
    Field(description="Path or URL, ending in .parquet or .csv, to write the forecasts to as well."),
]

SkillBound = Annotated[
    float,
    Field(ge=-10, lt=1, description="Lowest skill, against the seasonal naive forecast, that raises no alarm."),
]
RecentForecasts = Annotated[
    int, Field(ge=1, le=1000, description="Number of the champion's latest forecasts to judge it by.")
]
MostForecasts = Annotated[
    int, Field(ge=1, le=10_000, description="Most logged forecasts to score, from the latest back.")
]

RunHorizon = Annotated[
    int | None,
    Field(
        ge=1,
        le=10_000,
        description="Steps to forecast, over which models are compared; by default window.horizon, or else one season. "
        "A number smaller than window.horizon makes the model forecast only so many steps at once.",
    ),
]
TestPoints = Annotated[
    int | None, Field(ge=1, description="Last points of each series to forecast; by default the test part of split.")
]
Stride = Annotated[int, Field(ge=1, le=1_000_000, description="Points from one origin to the next.")]


class IntervalSpec(Spec):
    """Conformal intervals about a forecast, from the errors on the validation part at each step ahead."""

    level: int = Field(
        90, ge=1, le=99, description="Share of the actual values, in percent, that intervals should hold."
    )
    recent: int | None = Field(
        None,
        ge=10,
        description="In a backtest, take the errors of so many latest origins whose actual values are known at an "
        "origin; by default the errors of the validation part for all origins.",
    )


class RefitSpec(Spec):
    """Training again during a backtest, from the current weights."""

    every: int = Field(
        0,
        ge=0,
        description="Train again before the first origin and after every so many, counted by their times; 0: never.",
    )
    epochs: int = Field(5, ge=1, le=1_000_000, description="Passes over all windows that are known at that time.")
    learning_rate: float | None = Field(
        None, gt=0, le=10, description="Learning rate of rnn, gru and lstm; by default that of fit."
    )


class GateSpec(Spec):
    """What a new model has to beat on the test part to become the champion of its series."""

    margin: float = Field(0.01, ge=0, lt=1, description="Share by which its error has to be below that of each rival.")
    linear_ar: bool = Field(
        True, description="Whether it has to beat the linear autoregression too, besides the naive baselines."
    )
