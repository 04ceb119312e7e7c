"""Rows to figures: counts, spells, transitions, confidences and returns, of one market or several.

See `labels` for rows beside labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candle_regimes.periods import summarize_returns
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.schema import DIRECTIONS, VERDICTS
from regime_pipeline.domain.spells import Dwell
from regime_pipeline.services.backtest.classes import ABSTAIN
from regime_pipeline.services.backtest.figures import (
    CONFIDENCE_BINS,
    Distribution,
    Figures,
    ReturnFigures,
    VerdictFigures,
)
from regime_pipeline.services.backtest.hours import BacktestHours
from regime_pipeline.services.backtest.labels import delay_figures, label_figures

Mask = NDArray[np.bool_]
RETURN_GROUPS: Final = (*VERDICTS[1:4], "TREND up", "TREND down", *VERDICTS[4:], VERDICTS[0], "all")
"""Whose bars after are judged: every verdict, TREND also by its direction, and all hours."""
_INSUFFICIENT: Final = VERDICTS.index("INSUFFICIENT_DATA")


def measure(markets: Sequence[BacktestHours]) -> Figures:
    """Return the figures of markets of one timeframe taken together; spells and transitions never cross markets.

    Parameters
    ----------
    markets : sequence of BacktestHours
        At least one. `total_pct` of returns is None for several: nobody holds one market after the other.
    """
    verdict = np.concatenate([m.verdict for m in markets])
    confidence = np.concatenate([m.confidence for m in markets])
    is_joined = np.concatenate([m.is_joined for m in markets])
    hours_each = markets[0].market.observation_ms / HOUR_MS
    asked = sum(m.asked for m in markets)
    steps = transitions(verdict, is_joined)
    changes = int(steps.sum() - np.trace(steps))
    has_truth = any((m.truth != ABSTAIN).any() for m in markets)
    return Figures(
        asked=asked,
        hours=len(verdict),
        missing=asked - len(verdict),
        without_bar=int(np.isnan(np.concatenate([m.close for m in markets])).sum()),
        verdicts=_verdict_figures(verdict, confidence, is_joined, hours_each),
        confidence=distribution(confidence[verdict != _INSUFFICIENT]),
        transitions=_named(steps),
        changes=changes,
        changes_per_day=changes / (float(steps.sum()) * hours_each / 24.0) if steps.sum() else None,
        returns=return_figures(markets),
        hindsight=label_figures(verdict, confidence, np.concatenate([m.hindsight for m in markets])),
        truth=label_figures(verdict, confidence, np.concatenate([m.truth for m in markets])) if has_truth else None,
        delay=delay_figures(markets) if has_truth else None,
    )


def _verdict_figures(
    verdict: NDArray[np.int8], confidence: Float64, is_joined: Mask, hours_each: float
) -> dict[str, VerdictFigures]:
    codes, lengths = spells(verdict, is_joined)
    found = {}
    for code, name in enumerate(VERDICTS):
        is_it = verdict == code
        found[name] = VerdictFigures(
            hours=int(is_it.sum()),
            share=float(is_it.mean()) if len(verdict) else 0.0,
            dwell=Dwell.of(lengths[codes == code] * hours_each),
            confidence=distribution(confidence[is_it]),
        )
    return found


def spells(verdict: NDArray[np.int8], is_joined: Mask) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return verdict and length in observations of each maximal run of one verdict over joined hours."""
    if not len(verdict):
        return verdict, np.empty(0, dtype=np.int64)
    is_first = ~is_joined
    is_first[1:] |= np.diff(verdict) != 0
    first = np.flatnonzero(is_first)
    return verdict[first], np.diff(np.append(first, len(verdict)))


def transitions(verdict: NDArray[np.int8], is_joined: Mask) -> NDArray[np.int64]:
    """Return how often each verdict (row) was followed by each (column) in the very next hour, int64, shape (5, 5)."""
    table = np.zeros((len(VERDICTS), len(VERDICTS)), dtype=np.int64)
    after = np.flatnonzero(is_joined)
    np.add.at(table, (verdict[after - 1], verdict[after]), 1)
    return table


def distribution(values: Float64) -> Distribution:
    """Return count, mean, quartiles and histogram of confidences."""
    counts, _ = np.histogram(values, bins=CONFIDENCE_BINS, range=(0.0, 1.0))
    histogram = tuple(counts.tolist())
    if not len(values):
        return Distribution(0, None, None, None, None, histogram)
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return Distribution(len(values), float(values.mean()), low, median, high, histogram)


def _named(table: NDArray[np.int64]) -> dict[str, dict[str, int]]:
    return {name: dict(zip(VERDICTS, row, strict=True)) for name, row in zip(VERDICTS, table.tolist(), strict=True)}


def return_figures(markets: Sequence[BacktestHours]) -> dict[str, ReturnFigures]:
    """Return what the bar after each verdict did, by `RETURN_GROUPS`."""
    returns = np.concatenate([m.next_return_bps for m in markets]) / 10_000.0
    verdict = np.concatenate([m.verdict for m in markets])
    direction = np.concatenate([m.direction for m in markets])
    is_known = ~np.isnan(returns)
    groups = [_members(name, verdict, direction) & is_known for name in RETURN_GROUPS]
    found = summarize_returns([returns[group] for group in groups])
    is_one = len(markets) == 1
    columns = [found.bars, found.mean_return_bps, found.volatility_bps, found.share_up, found.total_return_pct]
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {name: _returns(row, is_one) for name, row in zip(RETURN_GROUPS, rows, strict=True)}


def _members(name: str, verdict: NDArray[np.int8], direction: NDArray[np.int8]) -> Mask:
    """Rows of a group of `RETURN_GROUPS`."""
    if name == "all":
        return np.ones(len(verdict), dtype=np.bool_)
    said, _, way = name.partition(" ")
    is_said = verdict == VERDICTS.index(said)
    return np.asarray(is_said & (direction == DIRECTIONS.index(way)) if way else is_said)


def _returns(row: tuple[Any, ...], is_one: bool) -> ReturnFigures:
    bars, *values = row
    mean, volatility, up, total = (None if value != value else value for value in values)
    return ReturnFigures(bars, mean, volatility, up, total if is_one else None)
