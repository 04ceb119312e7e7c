"""The 3D regime of a candle: trend x volatility x momentum, and how far it is from another label.

See `states` for names and codes, `verdicts` for the hourly verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.candle_regimes.indicators import compute_indicators
from regime_pipeline.domain.candle_regimes.states import (
    MOMENTA,
    SIMPLIFIED,
    SIMPLIFIED_OF_STATE,
    TRENDS,
    VOLATILITIES,
    pack_state,
)
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.policy import CandleRegimePolicy

_DECIDED_BY: Final = {
    "UNDEFINED": (False, False, False),
    "TREND_UP": (True, False, True),
    "TREND_DOWN": (True, False, True),
    "RANGE": (True, True, False),
    "CHOPPY": (True, True, True),
    "NEUTRAL": (True, True, True),
}
"""Do trend, volatility and momentum decide the simplified regime?"""
_DECIDES: Final = np.array([_DECIDED_BY[SIMPLIFIED[code]] for code in SIMPLIFIED_OF_STATE])
"""The same by state code; bool, shape (19, 3)."""
_CODES: Final = pack_state(*np.indices((len(TRENDS), len(VOLATILITIES), len(MOMENTA)), dtype=np.int8))
"""State code by trend, volatility and momentum; int16, shape (3, 2, 3)."""

_PIECE_BARS: Final = 65_536
"""Candles that are classified at once: what more of them need to work in no longer stays in the processor's cache."""


@dataclass(frozen=True, eq=False)
class CandleRegimes:
    """Regimes of n candles, one per candle, in order.

    Parameters
    ----------
    open_time_ms : ndarray of int64, shape (n,)
        Opens of the candles, epoch milliseconds UTC.
    state : ndarray of int16, shape (n,)
        Code into `regime_state.REGIME_STATES`; 0 is UNDEFINED.
    confidence : ndarray of float64, shape (n,)
        0..1; 0 where UNDEFINED.
    """

    open_time_ms: Int64
    state: NDArray[np.int16]
    confidence: Float64

    def __len__(self) -> int:
        return len(self.open_time_ms)


def classify(candles: Candles, policy: CandleRegimePolicy) -> CandleRegimes:
    """Return the 3D regime of every candle.

    Parameters
    ----------
    candles : Candles
        Candles of one market; gaps are allowed. Those that `policy.holes` tolerates are stepped over, behind others
        history begins again.
    policy : CandleRegimePolicy
        Thresholds.

    Notes
    -----
    Uses bars <= t. A label needs `min_history_bars` candles with no more holes than tolerated, itself included;
    before that it is UNDEFINED, never RANGE. It is a pure function of at most `lookback_bars(policy)` earlier bars, so
    any start at least that early gives the same bits.

    Confidence is the smallest margin of the dimensions that decide the simplified regime. A margin is the distance d
    to the nearest threshold that would change the dimension, as d / (d + spread): the spread of ADX, RSI, ROC and the
    MACD histogram is their exponentially weighted deviation over earlier bars, that of prices is the ATR; volatility
    uses its rank among earlier bars. Every margin is monotone, so a clean range scores as high as a clean trend.
    """
    if len(candles) <= _PIECE_BARS:
        return _classify_at_once(candles, policy)
    lookback = lookback_bars(policy)
    pieces = []
    for first in range(0, len(candles), _PIECE_BARS):
        before = min(first, lookback)
        piece = _classify_at_once(candles[first - before : first + _PIECE_BARS], policy)
        pieces.append((piece.state[before:], piece.confidence[before:]))
    state, confidence = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return CandleRegimes(candles.open_time_ms, state, confidence)


def _classify_at_once(candles: Candles, policy: CandleRegimePolicy) -> CandleRegimes:
    from regime_pipeline.domain.candle_regimes import kernels as kernels

    i, window = compute_indicators(candles, policy), policy.volatility_window_bars
    state, confidence = kernels.label(
        i.is_known,
        (candles.close.astype(np.float64), i.sma_fast, i.sma_slow, i.atr),
        (i.adx, i.adx_spread, i.roc, i.roc_spread, i.macd_histogram, i.macd_spread, i.rsi, i.rsi_spread),
        (
            *kernels.high_volatility(i.atr_share, i.band_width, i.is_known, window, policy.volatility_percentile),
            window,
            int(policy.volatility_percentile / 100.0 * (window - 1)),
        ),
        (policy.adx_trend_from, policy.rsi_bullish_above, policy.rsi_bearish_below),
        _CODES,
        _DECIDES,
    )
    return CandleRegimes(candles.open_time_ms, state, confidence)


def lookback_bars(policy: CandleRegimePolicy) -> int:
    """Bars before a candle that its regime can depend on; at most 1,024 by the policy's own bounds."""
    recursive = policy.anchor_warmup_bars + policy.anchor_bars + policy.volatility_window_bars
    history, slow = (bars + policy.holes.tolerated(bars) for bars in (policy.min_history_bars, policy.sma_slow_bars))
    return max(recursive + policy.holes.tolerated(policy.min_history_bars), history, slow)


def is_provisional(age: Int64, policy: CandleRegimePolicy) -> NDArray[np.bool_]:
    """Which candles, `age` bars into their unbroken series, may still change when earlier history is imported."""
    return np.asarray(age < lookback_bars(policy))
