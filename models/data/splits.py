"""Chronological splits: training, validation and test part of each series; and series too short for them."""

from dataclasses import dataclass

import numpy as np

from models.data.panel import Panel
from models.data.scaling import constant_series, refuse_constant_series
from models.display import printable
from models.errors import InputError
from models.specs import SplitSpec, WindowSpec

MOST_NAMED = 5
"""Series that a note names one by one."""


@dataclass(frozen=True)
class Split:
    """The end of each part of each series, int64 [N] each: training, then validation, then test."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_panel(panel: Panel, spec: SplitSpec) -> Split:
    """Split every series in time order. If `spec.train` is given, points that are left at the end are unused.

    **Raises:** `InputError` if the parts ask for more points than a series has.
    """
    split = cut_series(panel, spec)
    short = np.flatnonzero(_exceeds_series(panel, split))
    if len(short):
        n = short[0]
        train, validation, test = np.diff([panel.starts[n], split.train[n], split.validation[n], split.test[n]])
        raise InputError(
            f"series '{panel.ids[n]}' has {panel.ends[n] - panel.starts[n]} points: too few for a validation part of "
            f"{validation} and a test part of {test} after a training part of {max(train, 1)}; make --split.train, "
            "--split.validation or --split.test smaller"
        )
    return split


def split_for_windows(panel: Panel, spec: SplitSpec, window: WindowSpec) -> tuple[Panel, Split, list[str]]:
    """Split a panel so that every series has room for a window; returns the panel to use, its split, and notes.

    `window.short` says what happens to a series that is too short: it is an error, the series is left out, or its first
    value is repeated in front of its training part (its other parts may then have no window). A series whose training
    part is constant, or has no observed value to learn, is an error, is left out, or is kept, respectively.

    **Raises:** `InputError` with the first such series, and where all series would be left out.
    """
    if window.short == "error":
        split = split_panel(panel, spec)
        refuse_constant_series(panel, split.train)
        _refuse_short_series(panel, split, spec, window)
        for n in np.flatnonzero(_has_no_target(panel, split, window))[:1]:
            raise InputError(
                f"series '{panel.ids[n]}' has no value to learn after the first {window.length} points of its "
                "training part: all are missing there; leave it out, or see --window.short"
            )
        return panel, split, []
    return _pad_short(panel, spec, window) if window.short == "pad" else _leave_out_unfit(panel, spec, window)


def _pad_short(panel: Panel, spec: SplitSpec, window: WindowSpec) -> tuple[Panel, Split, list[str]]:
    split = split_panel(panel, spec)
    n_repeats = np.maximum(window.length + window.horizon - (split.train - panel.starts), 0)  # [N]
    padded = panel.padded(panel.ends - panel.starts + n_repeats)
    shift = padded.ends - panel.ends  # [N]
    split = Split(split.train + shift, split.validation + shift, split.test + shift)
    count = int((n_repeats > 0).sum())
    return padded, split, [f"repeated the first value of {count} of {len(n_repeats)} series in front"] if count else []


def _leave_out_unfit(panel: Panel, spec: SplitSpec, window: WindowSpec) -> tuple[Panel, Split, list[str]]:
    split = cut_series(panel, spec)
    without_window = [room < 0 for *_, room in _room_for_windows(panel, split, spec, window)]
    unfit = _exceeds_series(panel, split) | np.logical_or.reduce(without_window)  # [N]
    unfit[constant_series(panel, np.maximum(split.train, panel.starts + 1))] = True
    unfit |= _has_no_target(panel, split, window)
    if unfit.all():
        raise InputError(
            f"all {len(unfit)} series are too short for windows of {window.length} values and {window.horizon} to "
            "forecast, or constant; make --window.length, --window.horizon or the parts smaller"
        )
    names = [printable(panel.ids[n]) for n in np.flatnonzero(unfit)]
    kept = panel.select(np.flatnonzero(~unfit))
    listed = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    note = f"left out {len(names)} of {len(unfit)} series, too short for a window or constant: {listed}"
    return kept, split_panel(kept, spec), [note] if names else []


def cut_series(panel: Panel, spec: SplitSpec) -> Split:
    """Return the requested split, even where a series is too short for it."""
    lengths = panel.ends - panel.starts
    validation, test = _count_points(spec.validation, lengths), _count_points(spec.test, lengths)
    train = lengths - validation - test if spec.train is None else np.maximum(_count_points(spec.train, lengths), 1)
    train_ends = panel.starts + train
    return Split(train=train_ends, validation=train_ends + validation, test=train_ends + validation + test)


def _has_no_target(panel: Panel, split: Split, window: WindowSpec) -> np.ndarray:
    """Tell which training parts have no observed value after their first window, bool [N]."""
    counts = np.concatenate([[0], np.cumsum(panel.observed)])  # [P + 1], observed values before each point
    ends = np.clip(split.train, panel.starts, panel.ends)  # a series may be too short for its training part
    return counts[ends] == counts[np.minimum(panel.starts + window.length, ends)]


def _exceeds_series(panel: Panel, split: Split) -> np.ndarray:
    """Tell which series have fewer points than their parts ask for, bool [N]."""
    return (split.train <= panel.starts) | (split.test > panel.ends)


def _count_points(size: float, lengths: np.ndarray) -> np.ndarray:
    """Return the points of a part in series of these lengths, [N]; below 1 `size` is a share, from 1 on a number."""
    if size < 1:
        return np.floor(np.round(size * lengths, 6)).astype(np.int64)  # 0.58 of 50 is 29, not 28.999...
    return np.full(len(lengths), min(size, 2**53)).astype(np.int64)


def _room_for_windows(
    panel: Panel, split: Split, spec: SplitSpec, window: WindowSpec
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return each requested part: its name, its points [N], and how many of them are beyond those of one window [N]."""
    parts = [("training", panel.starts, split.train)]
    if spec.validation:
        parts.append(("validation", split.train, split.validation))
    if spec.test:
        parts.append(("test", split.validation, split.test))
    first = panel.starts + window.length
    return [(name, end - begin, end - np.maximum(begin, first) - window.horizon) for name, begin, end in parts]


def _refuse_short_series(panel: Panel, split: Split, spec: SplitSpec, window: WindowSpec) -> None:
    for name, points, room in _room_for_windows(panel, split, spec, window):
        for n in np.flatnonzero(room < 0)[:1]:
            raise InputError(
                f"series '{panel.ids[n]}' is too short: its {name} part has {points[n]} points, which hold no "
                f"window of {window.length} values and {window.horizon} to forecast; make --window.length or "
                "--window.horizon smaller, give more points, or see --window.short"
            )
