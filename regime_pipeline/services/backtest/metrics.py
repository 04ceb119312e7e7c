"""How good predicted classes are, in numpy alone: confusion, accuracy, delays, flips, calibration, intervals.

See `labels` and `evaluation` for what is predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.services.backtest.classes import ABSTAIN, CLASSES, RANGE, Classes

BOOTSTRAPS: Final = 2_000
_BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Score:
    """How one method did on one market; NaN where nothing can be said.

    Parameters
    ----------
    balanced_accuracy, macro_f1, range_precision, range_recall : float
        0..1, over the bars that are not abstained from and the classes that occur.
    flip_ratio : float
        Predicted changes of class per true change.
    delay_bars : float
        Median bars from a true change to the first right prediction within the spell.
    missed_share : float
        Share of spells without one.
    coverage : float
        Share of bars that are not abstained from.
    confusion : tuple of tuple of int
        Bars by true class (row) and predicted class (column, the last one is abstention).
    """

    balanced_accuracy: float
    macro_f1: float
    range_precision: float
    range_recall: float
    flip_ratio: float
    delay_bars: float
    missed_share: float
    coverage: float
    confusion: tuple[tuple[int, ...], ...]


def score(truth: Classes, predicted: Classes) -> Score:
    """Return how well the predicted classes match the true ones, int8 codes into `CLASSES`, shape (n,) each."""
    table = confusion(truth, predicted)
    counted = table[:, :-1].astype(np.float64)
    right = np.diag(counted)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = right / counted.sum(axis=1), right / counted.sum(axis=0)
        f1 = 2 * right / (counted.sum(axis=1) + counted.sum(axis=0))
    delays, missed = detection_delays(truth, predicted)
    true_flips = flips(truth)
    return Score(
        balanced_accuracy=float(np.nanmean(recall)),
        macro_f1=float(np.nanmean(f1)),
        range_precision=float(precision[RANGE]),
        range_recall=float(recall[RANGE]),
        flip_ratio=flips(predicted) / true_flips if true_flips else float("nan"),
        delay_bars=float(np.median(delays)) if len(delays) else float("nan"),
        missed_share=missed / (len(delays) + missed) if len(delays) + missed else float("nan"),
        coverage=float(np.mean(predicted != ABSTAIN)),
        confusion=tuple(tuple(row) for row in table.tolist()),
    )


def confusion(truth: Classes, predicted: Classes) -> NDArray[np.int64]:
    """Return bars by true and predicted class, int64, shape (3, 4); the last column is abstention."""
    table = np.zeros((len(CLASSES), len(CLASSES) + 1), dtype=np.int64)
    np.add.at(table, (truth, predicted), 1)  # ABSTAIN is -1, the last column
    return table


def flips(classes: Classes) -> int:
    """Return how often the class changes."""
    return int(np.count_nonzero(np.diff(classes)))


def detection_delays(truth: Classes, predicted: Classes) -> tuple[NDArray[np.int64], int]:
    """Return the bars from each true change to the first right prediction in its spell, and the spells without one."""
    starts = np.flatnonzero(np.diff(truth)) + 1
    delays = []
    for first, end in zip(starts, np.append(starts[1:], len(truth)), strict=False):
        hits = np.flatnonzero(predicted[first:end] == truth[first])
        if len(hits):
            delays.append(int(hits[0]))
    return np.array(delays, dtype=np.int64), len(starts) - len(delays)


def brier(truth: Classes, weights: Float64) -> float:
    """Return the mean squared distance of weights, float64 of shape (n, 3), from the truth; 0 best, 2 worst."""
    return float(np.mean(np.sum((weights - np.eye(len(CLASSES))[truth]) ** 2, axis=1)))


def calibration_error(truth: Classes, weights: Float64) -> float:
    """Return the expected calibration error of the largest weight over ten equal bins, 0..1."""
    top, chosen = weights.max(axis=1), weights.argmax(axis=1)
    bins = np.minimum((top * _BINS).astype(np.int64), _BINS - 1)
    gaps = [
        abs(np.mean(chosen[bins == b] == truth[bins == b]) - np.mean(top[bins == b])) * np.mean(bins == b)
        for b in np.unique(bins)
    ]
    return float(np.sum(gaps))


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return mean and 95 % bootstrap interval of one figure per market; NaN ones are left out."""
    known = np.array([value for value in values if value == value])
    if not len(known):
        return (float("nan"),) * 3
    drawn = np.random.default_rng(0).choice(known, (BOOTSTRAPS, len(known))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(known.mean()), float(low), float(high)
