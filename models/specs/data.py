"""Where a series comes from, how it is cut into parts and windows, and in which scale it is seen."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from models.errors import InputError
from models.specs.base import Name, Names, Spec

Season = Annotated[
    int | None,
    Field(ge=1, le=1_000_000, description="Points a season, for the seasonal baseline; by default from the time axis."),
]


MOST_NAMED = 70_000
"""Characters, as JSON, of the columns' names: MLflow keeps up to 100,000 of all that a version was trained on."""


class SeriesSpec(Spec):
    """Where the series comes from: a generated wave, or a CSV or Parquet file."""

    path: str | None = Field(None, description="CSV or Parquet file with one row a point.")
    id: str | None = Field(None, description="Column that names the series; 'unique_id' if there is one.")
    time: str | None = Field(None, description="Column of timestamps or integers; 'ds' if there is one.")
    value: str | None = Field(None, description="Column of values; 'y' if there is one.")
    past: Names = Field((), description="Covariates known up to the present: columns of numbers, by commas.")
    known: Names = Field(
        (), description="Covariates known ahead, such as holidays: columns whose future rows have no value yet."
    )
    static: Names = Field(
        (), description="Covariates of a series as a whole: columns of numbers, the same in its rows."
    )
    fill: Literal["last", "linear", "error"] = Field(
        "last",
        description="Missing values: repeat the last one, draw a line to the next (which looks ahead), or stop. "
        "A filled value is never a target.",
    )
    name: Name | None = Field(
        None, description="What the series is called in the registry; by default the file or the wave."
    )
    wave: Literal["sine", "cosine"] | None = Field(None, description="Generate this wave instead of reading a file.")
    start: float = Field(0.0, description="First argument of the wave, in radians.")
    stop: float = Field(100.0, description="Last argument of the wave, in radians.")
    points: int = Field(1000, ge=4, le=100_000_000, description="Number of points of the wave.")

    @model_validator(mode="after")
    def _columns_fit_into_the_registry(self) -> Self:
        named = json.dumps([self.id, self.time, self.value, self.past, self.known, self.static])
        if len(named) > MOST_NAMED:
            raise InputError(
                f"the names of the columns take {len(named):,} characters in all, more than {MOST_NAMED:,}; shorten "
                "them in the file, or name fewer of them with --series.past, --series.known and --series.static"
            )
        if "\\u0000" in named:
            raise InputError("a column's name holds the character NUL, which databases refuse; rename it in the file")
        return self


OF_A_WAVE = {"wave", "start", "stop", "points"}
OF_A_FILE = {"path", "id", "time", "value", "past", "known", "static", "fill"}


def change_source(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A series' fields with what is changed; a file takes the place of a wave, and the reverse."""
    kept = set(old)
    if "path" in new:
        kept -= {"name", *OF_A_WAVE}
    if "wave" in new:
        kept -= {"name", *OF_A_FILE}
    return {field: old[field] for field in old if field in kept} | new


MOMENTS = ("minute", "hour", "weekday", "day", "month")


def _known_moments(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in MOMENTS:
            raise InputError(f"unknown --window.calendar '{name}': choose from {', '.join(MOMENTS)}")
    return names


class WindowSpec(Spec):
    """What a model reads and what it answers, and in which scale."""

    length: int = Field(32, ge=1, le=100_000, description="Number of past values that the model reads (T).")
    horizon: int = Field(1, ge=1, le=10_000, description="Number of steps that it forecasts at once (S).")
    scale: Literal["none", "standard", "robust"] = Field(
        "standard",
        description="Bring each series to mean 0 and deviation 1 by its training part; robust takes the median and the "
        "middle half instead.",
    )
    transform: Literal["none", "log", "difference"] = Field(
        "none", description="Before that, take logarithms (of positive values), or changes from point to point."
    )
    calendar: Annotated[Names, AfterValidator(_known_moments)] = Field(
        (),
        description="Read these of each timestamp as well, as sine and cosine: minute, hour, weekday, day, month.",
        json_schema_extra={"items": {"type": "string", "enum": list(MOMENTS)}},
    )
    short: Literal["error", "leave_out", "pad"] = Field(
        "error",
        description="Series too short for a window: stop, leave them out, or repeat their first value in front.",
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
