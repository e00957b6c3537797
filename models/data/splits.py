"""Chronological parts: what is trained on, what chooses, and what is only reported; and series too short for them."""

from dataclasses import dataclass

import numpy as np

from models.data.panel import Panel
from models.data.scaling import constant_series, refuse_constant_series
from models.display import printable
from models.errors import InputError
from models.specs import SplitSpec, WindowSpec

NAMED = 5
"""Series that a note names one by one."""


@dataclass(frozen=True)
class Split:
    """Where each series' parts end, int64 [N] each: training, then validation, then test."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_panel(panel: Panel, spec: SplitSpec) -> Split:
    """Cut every series in time order. What `train` leaves at the end, where it is given, is unused.

    **Raises:** `InputError` where the parts ask for more points than a series has.
    """
    parts = _cut(panel, spec)
    short = np.flatnonzero(_overfull(panel, parts))
    if len(short):
        n = short[0]
        train, validation, test = np.diff([panel.starts[n], parts.train[n], parts.validation[n], parts.test[n]])
        raise InputError(
            f"series '{panel.ids[n]}' has {panel.ends[n] - panel.starts[n]} points: too few for a validation part of "
            f"{validation} and a test part of {test} behind a training part of {max(train, 1)}; make --split.train, "
            "--split.validation or --split.test smaller"
        )
    return parts


def split_for_windows(panel: Panel, spec: SplitSpec, window: WindowSpec) -> tuple[Panel, Split, list[str]]:
    """The parts of a panel in which every series has room for a window, and what was done to get there.

    As `window.short` says, a series that is too short is an error, left out, or gets its first value repeated in
    front of its training part, and may then have no window in the others. One whose training part is constant, or
    holds nothing but gaps to learn, is an error, left out, or kept.

    **Raises:** `InputError`.
    """
    if window.short == "error":
        parts = split_panel(panel, spec)
        refuse_constant_series(panel, parts.train)
        _refuse_short_series(panel, parts, spec, window)
        for n in np.flatnonzero(_unseen(panel, parts, window))[:1]:
            raise InputError(
                f"series '{panel.ids[n]}' has no value to learn behind the first {window.length} points of its "
                "training part: all are missing there; leave it out, or see --window.short"
            )
        return panel, parts, []
    if window.short == "pad":
        parts = split_panel(panel, spec)
        lack = np.maximum(window.length + window.horizon - (parts.train - panel.starts), 0)  # [N]
        padded = panel.padded(panel.ends - panel.starts + lack)
        shift = padded.ends - panel.ends  # [N]
        parts = Split(parts.train + shift, parts.validation + shift, parts.test + shift)
        count = int((lack > 0).sum())
        return padded, parts, [f"repeated the first value of {count} of {len(lack)} series in front"] if count else []
    parts = _cut(panel, spec)
    unfit = _overfull(panel, parts) | np.logical_or.reduce([room < 0 for _, room in _rooms(panel, parts, spec, window)])
    unfit[constant_series(panel, np.maximum(parts.train, panel.starts + 1))] = True
    unfit |= _unseen(panel, parts, window)
    if unfit.all():
        raise InputError(
            f"all {len(unfit)} series are too short for windows of {window.length} values and {window.horizon} to "
            "forecast, or constant; make --window.length, --window.horizon or the parts smaller"
        )
    left = [printable(panel.ids[n]) for n in np.flatnonzero(unfit)]
    kept = panel.select(np.flatnonzero(~unfit))
    told = ", ".join(left[:NAMED]) + (f" and {len(left) - NAMED} more" if len(left) > NAMED else "")
    note = f"left out {len(left)} of {len(unfit)} series, too short for a window or constant: {told}"
    return kept, split_panel(kept, spec), [note] if left else []


def _cut(panel: Panel, spec: SplitSpec) -> Split:
    lengths = panel.ends - panel.starts
    validation, test = _points(spec.validation, lengths), _points(spec.test, lengths)
    train = lengths - validation - test if spec.train is None else np.maximum(_points(spec.train, lengths), 1)
    first = panel.starts + train
    return Split(train=first, validation=first + validation, test=first + validation + test)


def _unseen(panel: Panel, parts: Split, window: WindowSpec) -> np.ndarray:
    """Whether a training part has no observed value behind its first window, bool [N]."""
    seen = np.concatenate([[0], np.cumsum(panel.observed)])  # [P + 1]
    end = np.clip(parts.train, panel.starts, panel.ends)  # a series may be too short for its training part
    return seen[end] == seen[np.minimum(panel.starts + window.length, end)]


def _overfull(panel: Panel, parts: Split) -> np.ndarray:
    """Whether the parts ask for more than a series has, bool [N]."""
    return (parts.train <= panel.starts) | (parts.test > panel.ends)


def _points(share: float, lengths: np.ndarray) -> np.ndarray:
    if share < 1:
        return np.floor(np.round(share * lengths, 6)).astype(np.int64)  # 0.58 of 50 is 29, not 28.999...
    return np.full(len(lengths), min(share, 2**53)).astype(np.int64)


def _rooms(panel: Panel, parts: Split, spec: SplitSpec, window: WindowSpec) -> list[tuple[str, np.ndarray]]:
    """How many points each part that is asked for has beyond those of one window, [N], by the part's full name."""
    cuts = [("training", panel.starts, parts.train)]
    if spec.validation:
        cuts.append(("validation", parts.train, parts.validation))
    if spec.test:
        cuts.append(("test", parts.validation, parts.test))
    first = panel.starts + window.length
    return [(name, end - np.maximum(begin, first) - window.horizon) for name, begin, end in cuts]


def _refuse_short_series(panel: Panel, parts: Split, spec: SplitSpec, window: WindowSpec) -> None:
    points = np.diff(np.stack([panel.starts, parts.train, parts.validation, parts.test]), axis=0)
    for name, room in _rooms(panel, parts, spec, window):
        for n in np.flatnonzero(room < 0)[:1]:
            own = points[["training", "validation", "test"].index(name), n]
            raise InputError(
                f"series '{panel.ids[n]}' is too short: its {name} part has {own} points, which hold no "
                f"window of {window.length} values and {window.horizon} to forecast; make --window.length or "
                "--window.horizon smaller, give more points, or see --window.short"
            )
