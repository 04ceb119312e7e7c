"""Verdicts beside labels, true ones or hindsight: the same counts and shares for both, named by who prints them.

Where labels come from stands in `truth` and `hindsight`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.layout import VERDICTS
from regime_pipeline.domain.market import HOUR_MS
from regime_pipeline.services.backtest.figures import CONFIDENCE_BINS, DelayFigures, LabelFigures
from regime_pipeline.services.backtest.hours import MarketHours
from regime_pipeline.services.judgement.methods import CLASS_OF_VERDICT
from regime_pipeline.services.judgement.metrics import confusion, detection_delays, flips
from regime_pipeline.services.judgement.tracks import ABSTAIN, CLASSES, Classes


def label_figures(verdict: NDArray[np.int8], confidence: Float64, labels: Classes) -> LabelFigures:
    """Return how verdicts lie beside labels.

    Parameters
    ----------
    verdict : ndarray of int8, shape (n,)
        Codes into `layout.VERDICTS`.
    confidence : ndarray of float64, shape (n,)
        0..1.
    labels : ndarray of int8, shape (n,)
        Codes into `tracks.CLASSES`; hours that ABSTAIN are left out.
    """
    is_labelled = labels != ABSTAIN
    verdict, confidence, labels = verdict[is_labelled], confidence[is_labelled], labels[is_labelled]
    counts = np.zeros((len(CLASSES), len(VERDICTS)), dtype=np.int64)
    np.add.at(counts, (labels, verdict), 1)
    predicted = CLASS_OF_VERDICT[verdict]
    table = confusion(labels, predicted)[:, :-1].astype(np.float64)
    is_judged = predicted != ABSTAIN
    right, with_label, with_class = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    recall, precision = _shares(right, with_label), _shares(right, with_class)
    bins, same = _bins(confidence[is_judged]), _bins(confidence[is_judged & (predicted == labels)])
    known = [value for value in recall if value is not None]
    return LabelFigures(
        hours=len(labels),
        judged=int(is_judged.sum()),
        counts={
            name: dict(zip(VERDICTS, row, strict=True)) for name, row in zip(CLASSES, counts.tolist(), strict=True)
        },
        same=float(right.sum() / table.sum()) if table.any() else None,
        balanced=sum(known) / len(known) if known else None,
        kappa=_kappa(table),
        recall=dict(zip(CLASSES, recall, strict=True)),
        precision=dict(zip(CLASSES, precision, strict=True)),
        bins=tuple(bins.tolist()),
        same_in_bins=tuple(_shares(same, bins)),
    )


def _shares(part: NDArray[Any], whole: NDArray[Any]) -> list[float | None]:
    return [float(p / w) if w else None for p, w in zip(part, whole, strict=True)]


def _kappa(table: Float64) -> float | None:
    """Cohen's kappa; None where chance alone would reach everything, or without any hour."""
    total = table.sum()
    if not total:
        return None
    chance = float(table.sum(axis=1) @ table.sum(axis=0)) / total**2
    same = float(np.trace(table)) / total
    return float((same - chance) / (1.0 - chance)) if chance < 1.0 else None


def _bins(confidence: Float64) -> NDArray[np.int64]:
    return np.asarray(np.histogram(confidence, bins=CONFIDENCE_BINS, range=(0.0, 1.0))[0], dtype=np.int64)


def delay_figures(markets: Sequence[MarketHours]) -> DelayFigures:
    """Return how soon true changes of class were seen; changes across missing hours do not count."""
    delays: list[int] = []
    missed = true_flips = predicted_flips = 0
    for market in markets:
        for truth, predicted in _stretches(market):
            found, unseen = detection_delays(truth, predicted)
            delays.extend(found.tolist())
            missed += unseen
            true_flips += flips(truth)
            predicted_flips += flips(predicted)
    hours_each = markets[0].market.observation_ms / HOUR_MS
    return DelayFigures(
        changes=true_flips,
        missed=missed,
        median_hours=float(np.median(delays)) * hours_each if delays else None,
        flip_ratio=predicted_flips / true_flips if true_flips else None,
    )


def _stretches(market: MarketHours) -> list[tuple[Classes, Classes]]:
    """True and predicted classes of each stretch of joined hours with a true label."""
    is_known = market.truth != ABSTAIN
    is_first = is_known & ~market.is_joined
    is_first[1:] |= is_known[1:] & ~is_known[:-1]
    stretch = np.cumsum(is_first)[is_known]
    truth, predicted = market.truth[is_known], CLASS_OF_VERDICT[market.verdict[is_known]]
    return [(truth[stretch == number], predicted[stretch == number]) for number in np.unique(stretch)]
