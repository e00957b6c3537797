"""Settings of the data: where a series comes from, how it is split, cut into windows, transformed and scaled."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from models.errors import InputError
from models.specs.base import Name, Names, Spec

Season = Annotated[
    int | None,
    Field(
        ge=1,
        le=1_000_000,
        description="Points of one season, for the seasonal baseline; by default it follows from the time step.",
    ),
]
Fill = Literal["last", "linear", "error"]
"""What to do with missing values."""
MOST_NAME_CHARACTERS = 70_000
"""Most characters of all column names as JSON: MLflow keeps 100,000 about the data that a version was trained on."""


ROWS = "rows"
"""The step of rows that are numbered, whatever their times."""


class SeriesSpec(Spec):
    """Where the series comes from: a generated wave, or a CSV or Parquet file."""

    path: str | None = Field(None, description="CSV or Parquet file with one row for each point.")
    id: str | None = Field(
        None, description="Column with the names of the series; by default 'unique_id', if the table has it."
    )
    time: str | None = Field(
        None, description="Column of times, timestamps or integers; by default 'ds', if the table has it."
    )
    value: str | None = Field(None, description="Column of values; by default 'y', if the table has it.")
    past: Names = Field(
        (),
        description="Columns of covariates that are known up to the present, such as weather; separated by commas.",
    )
    known: Names = Field(
        (), description="Columns of covariates that are known ahead, such as holidays, in future rows without a value."
    )
    static: Names = Field((), description="Columns of covariates that have one number for each series.")
    step: str | None = Field(
        None,
        description="Step of the time axis, such as D, 15min, 7D, MS, BME, B, Mon-Sat, or 'B 09:30-15:30/30min'; by "
        "default it is found from the times. 'rows' numbers the rows of each series instead of reading their times.",
    )
    fill: Fill = Field(
        "last",
        description="What to do with missing values: repeat the last one, draw a line to the next one (which looks "
        "ahead), or stop with an error. A filled value is never a target.",
    )
    name: Name | None = Field(
        None, description="Name of the series in the registry; by default that of the file or the wave."
    )
    wave: Literal["sine", "cosine"] | None = Field(None, description="Generate this wave instead of reading a file.")
    start: float = Field(0.0, description="Where the wave starts, in radians.")
    stop: float = Field(100.0, description="Where the wave stops, in radians.")
    points: int = Field(1000, ge=4, le=100_000_000, description="Number of points of the wave.")

    @model_validator(mode="after")
    def _names_fit_into_the_registry(self) -> Self:
        names = json.dumps([self.id, self.time, self.value, self.past, self.known, self.static])
        if len(names) > MOST_NAME_CHARACTERS:
            raise InputError(
                f"the names of the columns take {len(names):,} characters in all, more than "
                f"{MOST_NAME_CHARACTERS:,}; shorten them in the file, or name fewer of them with --series.past, "
                "--series.known and --series.static"
            )
        if "\\u0000" in names:
            raise InputError("a column's name holds the character NUL, which databases refuse; rename it in the file")
        return self


WAVE_FIELDS = {"wave", "start", "stop", "points"}
FILE_FIELDS = {"path", "id", "time", "value", "past", "known", "static", "step", "fill"}


def change_source(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a series with the new ones; a file replaces a wave and its fields, and the reverse."""
    dropped = set[str]()
    if "path" in new:
        dropped |= {"name", *WAVE_FIELDS}
    if "wave" in new:
        dropped |= {"name", *FILE_FIELDS}
    return {field: value for field, value in old.items() if field not in dropped} | new


MOMENTS = ("minute", "hour", "weekday", "day", "month")


def _check_moments(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in MOMENTS:
            raise InputError(f"unknown --window.calendar '{name}': choose from {', '.join(MOMENTS)}")
    return names


class WindowSpec(Spec):
    """What a model reads and what it forecasts, and how values are transformed and scaled for it."""

    length: int = Field(32, ge=1, le=100_000, description="Past values that the model reads (T).")
    horizon: int = Field(1, ge=1, le=10_000, description="Steps that the model forecasts at once (S).")
    scale: Literal["none", "standard", "robust"] = Field(
        "standard",
        description="How to scale each series by its training part: not at all, by mean and standard deviation, or by "
        "median and interquartile range (robust).",
    )
    transform: Literal["none", "log", "difference"] = Field(
        "none",
        description="How to transform values before scaling: logarithms (of positive values), or differences.",
    )
    calendar: Annotated[Names, AfterValidator(_check_moments)] = Field(
        (),
        description="Parts of the timestamp to read as covariates, each as sine and cosine: minute, hour, "
        "weekday, day, month.",
        json_schema_extra={"items": {"type": "string", "enum": list(MOMENTS)}},
    )
    short: Literal["error", "leave_out", "pad"] = Field(
        "error",
        description="What to do with series that are too short for a window: stop with an error, leave them out, or "
        "repeat their first value in front.",
    )


def _check_whole_points(size: float) -> float:
    if size >= 1 and size != int(size):
        raise ValueError("it should be a share below 1, or a whole number of points")
    return size


Size = Annotated[float, AfterValidator(_check_whole_points)]


class SplitSpec(Spec):
    """Sizes of the chronological parts: below 1 a share of each series, from 1 on a number of points."""

    train: Size | None = Field(None, gt=0, description="First points, for training; by default the rest of the series.")
    validation: Size = Field(0.15, ge=0, description="Next points, which choose the epoch and the model.")
    test: Size = Field(0.15, ge=0, description="Last points, for scores that are only reported.")
