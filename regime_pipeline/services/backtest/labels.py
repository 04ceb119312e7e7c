"""Verdicts beside labels, true or in hindsight: the same counts for both; and the truth of simulated markets.

See `hindsight` for labels made from what came after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import COLUMNS, Candles, Float64
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.sorted_times import is_in
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.simulation.market import EPOCH_MS, MarketSimulation
from regime_pipeline.services.backtest.classes import ABSTAIN, CLASS_OF_LABEL, CLASS_OF_VERDICT, CLASSES, Classes
from regime_pipeline.services.backtest.figures import CONFIDENCE_BINS, DelayFigures, LabelFigures
from regime_pipeline.services.backtest.hours import BacktestHours
from regime_pipeline.services.backtest.metrics import confusion, detection_delays, flips

_PROBE_BARS = 100


def true_classes(candles: Candles, hours: Int64, seed: int) -> Classes | None:
    """Return the true class of each hour.

    Parameters
    ----------
    candles : Candles
        Stored candles of the market.
    hours : ndarray of int64, shape (n,)
        Starts of hours, epoch milliseconds UTC, ascending.
    seed : int
        Of the simulator.

    Returns
    -------
    ndarray of int8, shape (n,), or None
        Codes into `tracks.CLASSES`; None unless every stored candle is one of the simulator's, to the last tick: no
        name and no setting makes a market simulated.
    """
    if not len(candles) or not len(hours) or candles.open_time_ms[0] < EPOCH_MS:
        return None
    simulation = MarketSimulation(seed, candles.market.symbol, candles.price_scale)
    if not (_is_made_by(simulation, candles[:_PROBE_BARS]) and _is_made_by(simulation, candles)):
        return None
    first = max(int(hours[0]), EPOCH_MS)
    labels = CLASS_OF_LABEL[simulation.labels(first, int(hours[-1]) + HOUR_MS)]
    found = np.full(len(hours), ABSTAIN, dtype=np.int8)
    is_listed = hours >= first
    found[is_listed] = labels[(hours[is_listed] - first) // HOUR_MS]
    return found


def _is_made_by(simulation: MarketSimulation, candles: Candles) -> bool:
    first, last = int(candles.open_time_ms[0]), int(candles.close_time_ms[-1])
    made = simulation.bars(candles.market.timeframe, first, last)
    made = made[is_in(made.open_time_ms, candles.open_time_ms)]
    return all(np.array_equal(getattr(made, name), getattr(candles, name)) for name in COLUMNS)


def label_figures(verdict: NDArray[np.int8], confidence: Float64, labels: Classes) -> LabelFigures:
    """Return how verdicts lie beside labels.

    Parameters
    ----------
    verdict : ndarray of int8, shape (n,)
        Codes into `schema.VERDICTS`.
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


def delay_figures(markets: Sequence[BacktestHours]) -> DelayFigures:
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


def _stretches(market: BacktestHours) -> list[tuple[Classes, Classes]]:
    """True and predicted classes of each stretch of joined hours with a true label."""
    is_known = market.truth != ABSTAIN
    is_first = is_known & ~market.is_joined
    is_first[1:] |= is_known[1:] & ~is_known[:-1]
    stretch = np.cumsum(is_first)[is_known]
    truth, predicted = market.truth[is_known], CLASS_OF_VERDICT[market.verdict[is_known]]
    return [(truth[stretch == number], predicted[stretch == number]) for number in np.unique(stretch)]
