"""Candle regimes for every face: stored rows where they are current, computed ones elsewhere, and questions about them.

See the faces for how the answers look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candle_regimes.classifier import CandleRegimes, classify, lookback_bars
from regime_pipeline.domain.candle_regimes.periods import Periods, performance, periods, transitions
from regime_pipeline.domain.candle_regimes.states import COLORS, SIMPLIFIED, SIMPLIFIED_OF_STATE
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.sorted_times import common_rows
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.policy import CandleRegimePolicy
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.json_records import plain
from regime_pipeline.storage.bulk.regime_reads import ReadVersion, RegimeQuery, StoredRegimes

EVERY_BAR: Final = 2**31 - 1
FOREVER: Final = (0, 4_102_444_800_000)
"""1970 to 2100, epoch milliseconds UTC."""
CONFIDENCE_BINS: Final = 10


class RegimeQuestion(NamedTuple):
    """The newest `limit` bars of a market that open in [start, end), epoch milliseconds UTC."""

    market: Market
    start_ms: int
    end_ms: int
    limit: int


@dataclass(frozen=True, eq=False)
class RegimeSeries:
    """Regimes of a market's candles.

    Parameters
    ----------
    market : Market
        Symbol and timeframe.
    regimes : CandleRegimes
        One per candle, in order; confidences have the precision of the table (float32).
    is_stored : ndarray of bool, shape (n,)
        Which were read from the table; the others were computed.
    mark : ReadVersion
        Says whether the answer still holds (`Warehouse.are_regimes_as_marked`).
    """

    market: Market
    regimes: CandleRegimes
    is_stored: NDArray[np.bool_]
    mark: ReadVersion

    @property
    def source(self) -> str:
        """Where they come from: stored, computed or mixed."""
        return source_of(self.is_stored)


def source_of(is_stored: NDArray[np.bool_]) -> str:
    """Return stored, computed or mixed."""
    if is_stored.all():
        return "stored"
    return "mixed" if is_stored.any() else "computed"


def regime_series(
    ws: Workspace, market: Market, start_ms: int = FOREVER[0], end_ms: int = FOREVER[1], limit: int = EVERY_BAR
) -> RegimeSeries:
    """Return the regimes of the newest `limit` candles that open in [start, end).

    Parameters
    ----------
    ws : Workspace
        Its policy says which stored rows hold.
    market : Market
        A stored market.
    start_ms, end_ms : int
        Open times, epoch milliseconds UTC.
    limit : int
        At least 1.

    Raises
    ------
    MissingDataError
        The market is not stored.
    """
    return regime_series_of(ws, [RegimeQuestion(market, start_ms, end_ms, limit)])[0]


def regime_series_of(ws: Workspace, questions: Sequence[RegimeQuestion]) -> list[RegimeSeries]:
    """Do what `regime_series` does for several questions, in one round trip where everything is stored."""
    policy = ws.policy.candle_regime
    made_by, lookback = policy.hash, lookback_bars(policy)
    stored = ws.warehouse.regimes([RegimeQuery(*question, made_by, lookback) for question in questions])
    return [
        RegimeSeries(question.market, _completed(found, policy), found.is_current, found.mark)
        for question, found in zip(questions, stored, strict=True)
    ]


def _completed(found: StoredRegimes, policy: CandleRegimePolicy) -> CandleRegimes:
    """Stored regimes, with those of the other bars computed from the candles of the same moment."""
    state, confidence = found.state, found.confidence
    if found.candles is not None:
        fresh = classify(found.candles, policy)
        at = np.searchsorted(fresh.open_time_ms, found.open_time_ms)
        state = np.where(found.is_current, state, fresh.state[at]).astype(np.int16)
        rounded = fresh.confidence[at].astype(np.float32).astype(np.float64)
        confidence = np.where(found.is_current, confidence, rounded)
    return CandleRegimes(found.open_time_ms, state, confidence)


def regime_periods(series: RegimeSeries, regime: str = "") -> Periods:
    """Return the maximal runs of one simplified regime, of a named one alone if wanted."""
    found = periods(series.regimes, series.market)
    if not regime:
        return found
    keep = found.regime == SIMPLIFIED.index(regime)
    return Periods(*(getattr(found, name)[keep] for name in Periods.__dataclass_fields__))


def regime_stats(series: RegimeSeries) -> dict[str, Any]:
    """Return counts, shares, mean confidence and dwell times by simplified regime, JSON values."""
    regimes, found = series.regimes, periods(series.regimes, series.market)
    code = SIMPLIFIED_OF_STATE[regimes.state]
    hours_a_bar = series.market.step_ms / 3_600_000
    rows = {}
    for number, name in enumerate(SIMPLIFIED):
        is_it, runs = code == number, found.candles[found.regime == number]
        rows[name] = {
            "candles": int(is_it.sum()),
            "share": _share(is_it),
            "mean_confidence": float(regimes.confidence[is_it].mean()) if is_it.any() else None,
            "periods": len(runs),
            "mean_hours": float(runs.mean()) * hours_a_bar if len(runs) else None,
            "longest_hours": float(runs.max()) * hours_a_bar if len(runs) else None,
            "color": COLORS[name],
        }
    return {**_head(series), "regimes": rows}


def _share(mask: Any) -> float:
    return float(mask.mean()) if len(mask) else 0.0


def _head(series: RegimeSeries) -> dict[str, Any]:
    """What every answer begins with."""
    times, step = series.regimes.open_time_ms, series.market.step_ms
    return {
        "symbol": series.market.symbol,
        "timeframe": series.market.timeframe,
        "candles": len(times),
        "start": to_iso(int(times[0])) if len(times) else None,
        "end": to_iso(int(times[-1]) + step) if len(times) else None,
    }


def transition_shares(series: RegimeSeries) -> dict[str, Any]:
    """Return how often one simplified regime followed another without a gap, and the shares of each row."""
    matrix = transitions(periods(series.regimes, series.market))
    totals = matrix.sum(axis=1)
    rows = [
        {
            "from": SIMPLIFIED[i],
            "to": SIMPLIFIED[j],
            "count": int(matrix[i, j]),
            "share": float(matrix[i, j] / totals[i]),
        }
        for i, j in zip(*np.nonzero(matrix), strict=True)
    ]
    return {**_head(series), "transitions": rows}


def transition_events(series: RegimeSeries, from_regime: str = "", to_regime: str = "") -> list[dict[str, Any]]:
    """Return every change of the simplified regime without a gap, oldest first, of named regimes if wanted."""
    found = periods(series.regimes, series.market)
    touches = np.flatnonzero(found.end_ms[:-1] == found.start_ms[1:])
    return [
        {
            "time": to_iso(int(found.start_ms[at + 1])),
            "from": SIMPLIFIED[found.regime[at]],
            "to": SIMPLIFIED[found.regime[at + 1]],
            "candles_before": int(found.candles[at]),
            "candles_after": int(found.candles[at + 1]),
        }
        for at in touches.tolist()
        if from_regime in ("", SIMPLIFIED[found.regime[at]]) and to_regime in ("", SIMPLIFIED[found.regime[at + 1]])
    ]


def confidence_stats(series: RegimeSeries) -> dict[str, Any]:
    """Return mean, quartiles and a histogram of confidence over the defined bars, and by simplified regime."""
    code = SIMPLIFIED_OF_STATE[series.regimes.state]
    confidence = series.regimes.confidence
    by_regime = {
        name: _distribution(confidence[code == number]) for number, name in enumerate(SIMPLIFIED) if number != 0
    }
    return {**_head(series), "all": _distribution(confidence[code != 0]), "regimes": by_regime}


def _distribution(values: Any) -> dict[str, Any]:
    counts, _ = np.histogram(values, bins=CONFIDENCE_BINS, range=(0.0, 1.0))
    quartiles = np.quantile(values, [0.25, 0.5, 0.75]).tolist() if len(values) else [None] * 3
    return {
        "candles": len(values),
        "mean": float(values.mean()) if len(values) else None,
        "quartiles": quartiles,
        "histogram": counts.tolist(),
    }


def regime_performance(ws: Workspace, series: RegimeSeries) -> dict[str, Any]:
    """Return the returns of the bar after each simplified regime, JSON values; None where there are too few bars."""
    times, step = series.regimes.open_time_ms, series.market.step_ms
    if len(times) < 2:
        return {**_head(series), "regimes": {}}
    candles = ws.warehouse.read_candles(series.market, int(times[0]), int(times[-1]) + step)
    found = performance(*_common(series.regimes, candles))
    rows = {
        name: {field: plain(values[number]) for field, values in found._asdict().items()}
        for number, name in enumerate(SIMPLIFIED)
    }
    return {**_head(series), "regimes": rows}


def _common(regimes: CandleRegimes, candles: Candles) -> tuple[CandleRegimes, Candles]:
    """The bars that both have: the series may have been rewritten between the two reads."""
    mine, theirs = common_rows(regimes.open_time_ms, candles.open_time_ms)
    kept = CandleRegimes(regimes.open_time_ms[mine], regimes.state[mine], regimes.confidence[mine])
    return kept, candles[theirs]
