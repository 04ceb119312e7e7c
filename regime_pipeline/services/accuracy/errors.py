"""Where wrong bars come from: seen late, lost again, never seen; and which changes of class were made.

How good predictions are on the whole stands in `judgement.metrics`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.services.judgement.tracks import ABSTAIN, CLASSES, Classes

SOURCES: Final = ("right", "late", "lost", "missed", "abstained")
RIGHT, LATE, LOST, MISSED, ABSTAINED = range(len(SOURCES))
SHORT_RUN_BARS: Final = 12


def error_sources(truth: Classes, predicted: Classes) -> NDArray[np.int8]:
    """Return why each bar is right or wrong.

    Parameters
    ----------
    truth, predicted : ndarray of int8, shape (n,)
        Codes into `CLASSES`; predicted may be ABSTAIN.

    Returns
    -------
    ndarray of int8, shape (n,)
        Codes into `SOURCES`. Wrong bars of a true spell are `late` before its first right bar, `lost` after it, and
        `missed` where it has none. The first spell counts as if it began with the first bar.
    """
    if not len(truth):
        return np.empty(0, dtype=np.int8)
    starts = np.flatnonzero(np.diff(truth, prepend=np.int8(ABSTAIN)))
    spell = np.searchsorted(starts, np.arange(len(truth)), side="right") - 1
    is_right, bar = predicted == truth, np.arange(len(truth))
    first_right = np.minimum.reduceat(np.where(is_right, bar, len(truth)), starts)[spell]
    chosen = np.select(
        [is_right, predicted == ABSTAIN, first_right == len(truth), bar < first_right],
        [RIGHT, ABSTAINED, MISSED, LATE],
        LOST,
    )
    return chosen.astype(np.int8)


def changes(classes: Classes) -> NDArray[np.int64]:
    """Return how often each class (row) changed into each other one (column); int64, shape (3, 3)."""
    table = np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64)
    before, after = classes[:-1], classes[1:]
    is_change = (before != after) & (before != ABSTAIN) & (after != ABSTAIN)
    np.add.at(table, (before[is_change], after[is_change]), 1)
    return table


def short_run_share(codes: NDArray[np.int8], below_bars: int = SHORT_RUN_BARS) -> float:
    """Return the share of runs of one code that last less than so many bars; the two cut runs at the ends are left out.

    NaN where no run is whole.
    """
    starts = np.flatnonzero(np.diff(codes)) + 1
    lengths = np.diff(starts)
    return float(np.mean(lengths < below_bars)) if len(lengths) else float("nan")
