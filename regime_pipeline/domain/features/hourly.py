"""Hourly features: one row per hour, a pure function of the window of bars before the hour's close.

See `families` and `ranges` for the features themselves.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from regime_pipeline.domain.columnar import Rows, constant, spread
from regime_pipeline.domain.features.families import (
    reversion_features,
    trend_features,
    volatility_features,
    wilder_features,
)
from regime_pipeline.domain.features.path import path_features
from regime_pipeline.domain.features.ranges.consensus import discover_ranges
from regime_pipeline.domain.features.windows import Windows, has_values, locate, lookback_bars
from regime_pipeline.domain.market_data.candles import Candles, Float64
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import FEATURES
from regime_pipeline.policy import Policy

SECTIONS: Final = ("features", "ranges")
"""Policy sections that features depend on."""
_REVISION: Final = 2
"""Of the computation; a new one makes rows of the same policy stale. 2: bins of the volume profile in whole decimals,
path features."""
_LOCATED: Final = ("hour_start", "as_of_bar", "is_new_bar", "status", "absent_bars", "hour_close", "feature_hash")
_PRICES: Final = (
    *("close", "tick", "atr", "quantile_low", "quantile_high", "donchian_low", "donchian_high", "pivot_low"),
    *("pivot_high", "profile_low", "profile_high", "channel_low", "channel_high", "range_low", "range_high"),
)
"""Columns that leave ticks for quote currency."""


def features_hash(policy: Policy) -> str:
    """Return the hash of everything but data that a feature row depends on."""
    return hashlib.sha256(
        f"{_REVISION}{policy.hash_of(*SECTIONS)}{policy.candle_regime.holes.hash}".encode()
    ).hexdigest()[:16]


def feature_lookback_bars(policy: Policy) -> int:
    """Return how many bars up to and including its newest one a row depends on."""
    return lookback_bars(policy.features.window_bars, policy.candle_regime.holes)


def compute_features(candles: Candles, hours: Int64, policy: Policy) -> Rows:
    """Return the features of each hour.

    Parameters
    ----------
    candles : Candles
        Bars of the market; a row uses the last `feature_lookback_bars` bars closed by the end of its hour and no
        other, so more bars on either side change nothing.
    hours : ndarray of int64, shape (n,)
        Starts of the hours, epoch milliseconds UTC, ascending.
    policy : Policy
        Sections `features` and `ranges`.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The columns of `schema.FEATURES`. Above one hour, hours between two bars repeat the newest bar's values. A row
        whose window has more holes than tolerated or is too short says so in `status` and has no values (NaN, 0,
        False).
    """
    where = locate(candles, hours, policy.features.window_bars, policy.candle_regime.holes)
    is_ok = has_values(where.status)
    ends, source = np.unique(where.row[is_ok], return_inverse=True)
    found = np.full(len(hours), -1, dtype=np.int64)
    found[is_ok] = source
    computed = tuple(column for column in FEATURES if column.name not in _LOCATED)
    rows: Rows = {
        "hour_start": hours,
        "as_of_bar": where.as_of_bar,
        "is_new_bar": where.is_new_bar,
        "status": where.status,
        "absent_bars": where.absent,
        **spread(computed, _values(candles, ends, policy), found),
        "hour_close": _hour_close(candles, where.as_of_bar),
        "feature_hash": constant(features_hash(policy), len(hours)),
    }
    return {column.name: rows[column.name] for column in FEATURES}


def _values(candles: Candles, ends: Int64, policy: Policy) -> Rows:
    """Every feature of each window; prices in quote currency."""
    windows = Windows.of(candles, ends, policy.features)
    wilder = wilder_features(windows)
    trend = trend_features(windows, wilder["atr"])
    values = {
        "close": candles.close[ends],
        "tick": np.ones(len(ends)),
        **wilder,
        **trend,
        **reversion_features(windows),
        **volatility_features(windows),
        **path_features(windows),
        **discover_ranges(windows, wilder["atr"], trend["slope_t"], policy.ranges),
    }
    return values | {name: values[name] / candles.price_scale for name in _PRICES}


def _hour_close(candles: Candles, as_of_bar: Int64) -> Float64:
    """Close of the bar due by each hour's close, quote currency; NaN where it is absent, whatever the window lacks."""
    times, close = np.append(candles.open_time_ms, -1), np.append(candles.prices("close"), np.nan)
    at = np.searchsorted(candles.open_time_ms, as_of_bar)
    return np.where(times[at] == as_of_bar, close[at], np.nan)
