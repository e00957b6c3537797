"""Read a series from a file, or generate a wave."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE
from pyarrow import ArrowException

from models.data.panel import Panel, one_series, panel_from_frame
from models.data.step_names import parse_step
from models.data.windows import actual_values
from models.display import printable
from models.errors import InputError
from models.specs import LONGEST_NAME, ROWS, Fill, SeriesSpec
from tasks.data.tables import covariate_names, read_long_table

WAVES = {"sine": np.sin, "cosine": np.cos}


@dataclass(frozen=True)
class Series:
    """The series of a run, read from a file or generated.

    `panel` holds the values and the series' ids as they stand in the source. `name`, `unit` (the name of the values)
    and `source` are for display. `notes` say what was changed on reading, such as filled gaps. `sha256` is that of the
    file, or of a wave's values. `wave` is the spec of a generated wave.
    """

    name: str
    panel: Panel
    notes: tuple[str, ...]
    sha256: str
    unit: str
    source: str
    wave: SeriesSpec | None = None
    fill: Fill = "last"

    def actual_values_from(self, begin: np.ndarray, steps: int) -> np.ndarray:
        """Return the actual values [N, steps] from the point `begin` [N] of each series on; NaN where unknown.

        A wave is known for any number of steps.
        """
        if self.wave is not None:
            return wave_values(self.wave, int(begin[0]), steps)[None]
        return actual_values(self.panel, begin, steps)


_AT_HAND: ContextVar[tuple[SeriesSpec, Series] | None] = ContextVar("series at hand", default=None)


@contextmanager
def series_at_hand(spec: SeriesSpec, series: Series) -> Iterator[None]:
    """Let `read_series(spec)` return this series inside the block, so that a checked file is not read twice."""
    token = _AT_HAND.set((spec, series))
    try:
        yield
    finally:
        _AT_HAND.reset(token)


@task(task_run_name="read_series", cache_policy=NO_CACHE)
def read_series(spec: SeriesSpec) -> Series:
    """Generate the wave, or read the file, that `spec` describes.

    **Raises:** `InputError` in one line with the file, the row or column, the value, and what to do.
    """
    if (at_hand := _AT_HAND.get()) and at_hand[0] == spec:
        return at_hand[1]
    if spec.wave and spec.path:
        raise InputError(
            f"both a wave ({spec.wave}) and a file ({spec.path}) are given; drop --series.wave or --series.path"
        )
    if spec.wave:
        return _generate(spec)
    if not spec.path:
        raise InputError("no series is given; name a file with --series.path, or a wave with --series.wave")
    path = Path(spec.path)
    try:
        exists, is_file = path.exists(), path.is_file()
    except OSError as error:
        raise InputError(f"{printable(path, 400)} cannot be read: {error.strerror}; check --series.path") from error
    if not exists:
        raise InputError(f"there is no file {printable(path, 400)}; check --series.path")
    if not is_file:
        raise InputError(f"{path} is not a file; name one CSV or Parquet file with --series.path")
    return _read_file(spec, path)


def wave_values(spec: SeriesSpec, begin: int, count: int) -> np.ndarray:
    """Return `count` values of the wave from point `begin` on; they may lie beyond its last point."""
    step = (spec.stop - spec.start) / (spec.points - 1)
    return np.asarray(WAVES[spec.wave or "sine"](spec.start + step * np.arange(begin, begin + count)))


def wave_season(spec: SeriesSpec) -> int:
    """Return the period of the wave in points, rounded."""
    step = abs(spec.stop - spec.start) / (spec.points - 1)
    return max(1, round(2 * np.pi / step))


def _generate(spec: SeriesSpec) -> Series:
    if spec.start == spec.stop:
        raise InputError(f"the wave has no length: --series.start and --series.stop are both {spec.start:g}")
    if not np.isfinite(spec.stop - spec.start):
        raise InputError(
            f"a wave from {spec.start:g} to {spec.stop:g} is too long; bring --series.start and --series.stop closer"
        )
    values = wave_values(spec, 0, spec.points)
    wave = str(spec.wave)
    sha256 = hashlib.sha256(values.tobytes()).hexdigest()
    source = f"{wave} of {spec.points} points from {spec.start:g} to {spec.stop:g}"
    return Series(spec.name or wave, one_series(wave, values), (), sha256, wave, source, spec)


def _read_file(spec: SeriesSpec, path: Path) -> Series:
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        step = parse_step(spec.step) if spec.step not in (None, ROWS) else None
        panel, notes = panel_from_frame(read_long_table(path, spec), spec.fill, covariate_names(spec), step)
        if spec.step == ROWS:
            notes.insert(0, "numbered the rows of each series; their times were not read (series.step=rows)")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {printable(error.strerror or error, 200)}") from error
    except (ArrowException, MemoryError) as error:  # damaged text is found only when it is used
        raise InputError(f"{path} is damaged: {printable(error, 200)}; write the file again") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    name = printable(spec.name or path.stem, LONGEST_NAME) or "series"
    unit = printable(spec.value or path.stem, LONGEST_NAME)
    return Series(name, panel, tuple(notes), sha256, unit, str(path), fill=spec.fill)
