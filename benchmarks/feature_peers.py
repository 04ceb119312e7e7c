"""Hourly features as a competent user vectorises them: pandas `rolling`, numpy's sliding windows, sums over windows.

A peer of `benchmarks.verdicts` for one 1h market without holes. `vectorised_features` computes `COLUMNS`: all of
trend, reversion, volatility and path, and three of the five range methods (quantile, Donchian, Bollinger channel).
Values equal the engine's to 1e-6 (`check` of the benchmark).

What it leaves out, and the engine computes: swing pivots and their clusters, the value area of the volume profile, the
consensus of the methods, and the evidence for a range (containment, touches, traversals, failed breakouts, width).
What it does not do at all: holes and young series (status, absent bars), timeframes other than 1h, and the promise
that a row's bits depend on its own window alone, which running sums break.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.policy import Policy

Floats = NDArray[np.float64]
Columns = dict[str, Floats]
_DRIFTS, _SPREADS = (12, 24, 48, 96), (48, 96)
COLUMNS = (
    *("adx", "is_adx_rising", "adx_change", "dm_direction", "atr", "atr_change_log", "vol_of_vol"),
    *(
        "efficiency_ratio",
        "efficiency_ratio_short",
        "slope_t",
        "donchian_excess_atr",
        "bars_since_extreme",
        "direction",
    ),
    *("variance_ratio_z", "ou_t", "ou_half_life_bars", "median_crossings", "autocorrelation", "hurst"),
    *("log_volatility", "vol_log_ratio", "vol_direction"),
    *(f"drift_z_{bars}" for bars in _DRIFTS),
    *(f"spread_log_{bars}" for bars in _SPREADS),
    *("fading_log_volatility", "fading_log_ratio"),
    *("quantile_low", "quantile_high", "donchian_low", "donchian_high", "channel_low", "channel_high"),
)
"""What the peer computes: nothing else of `schema.FEATURES` that needs work."""


def vectorised_features(candles: Candles, hours: int, policy: Policy) -> Columns:
    """The columns of the last `hours` bars; prices in quote currency."""
    df = pd.DataFrame({name: getattr(candles, name).astype(np.float64) for name in ("open", "high", "low", "close")})
    log_close = np.log(df["close"])
    out = _wilder(df, hours, policy)
    out |= _trend(df, log_close, out["atr"], policy)
    out |= _reversion(log_close, df["close"], hours, policy)
    out |= _volatility(df, policy) | _path(df["close"], log_close, hours, policy)
    out |= _ranges(df, out["slope_t"], policy)
    found = {name: np.asarray(values)[-hours:] for name, values in out.items()}
    prices = ("atr", *(name for name in COLUMNS if name.endswith(("_low", "_high"))))
    return found | {name: found[name] / candles.price_scale for name in prices}


def _code(values: pd.Series | Floats) -> Floats:
    """The engine's code of a sign: 0, 1 up, 2 down."""
    return np.where(np.asarray(values) > 0, 1.0, np.where(np.asarray(values) < 0, 2.0, 0.0))


def _wilder(df: pd.DataFrame, hours: int, policy: Policy) -> Columns:
    """ADX and ATR restarted in every window, a loop over the window's bars with all windows in one array."""
    p, n = policy.features, policy.features.adx_bars
    up, down, before = df["high"].diff(), -df["low"].diff(), df["close"].shift()
    moves = np.stack(
        [
            up.where((up > down) & (up > 0), 0.0),
            down.where((down > up) & (down > 0), 0.0),
            np.maximum(df["high"], before) - np.minimum(df["low"], before),
        ]
    )
    bars = sliding_window_view(moves[:, -hours - p.window_bars + 1 :], p.window_bars, axis=1).transpose(2, 0, 1)
    plus, minus, dx_sum = bars[1:n, 0].sum(axis=0), bars[1:n, 1].sum(axis=0), np.zeros(hours)
    adx, atr = np.zeros((p.window_bars, hours)), np.zeros((p.window_bars, hours))
    atr[n] = bars[1 : n + 1, 2].mean(axis=0)
    for i in range(n, p.window_bars):
        plus, minus = plus * (1 - 1 / n) + bars[i, 0], minus * (1 - 1 / n) + bars[i, 1]
        total = plus + minus
        dx = np.divide(100 * np.abs(plus - minus), total, out=np.zeros(hours), where=total > 0)
        if i < 2 * n:
            dx_sum += dx
            adx[i] = dx_sum / n
        else:
            adx[i] = np.where(total > 0, adx[i - 1] * (1 - 1 / n) + dx / n, adx[i - 1])
        if i > n:
            atr[i] = atr[i - 1] * (1 - 1 / n) + bars[i, 2] / n
    log_atr = np.log(np.maximum(atr[-p.vol_of_vol_bars - 1 :], 1.0))
    return {
        "adx": adx[-1],
        "is_adx_rising": (np.diff(adx[-p.adx_rising_bars - 1 :], axis=0) > 0).all(axis=0).astype(np.float64),
        "adx_change": adx[-1] - adx[-1 - p.change_bars],
        "dm_direction": _code(plus - minus),
        "atr": atr[-1],
        "atr_change_log": np.abs(log_atr[-1] - log_atr[-1 - p.change_bars]),
        "vol_of_vol": np.diff(log_atr, axis=0).std(axis=0, ddof=1),
    }


def _efficiency(close: pd.Series, bars: int) -> Floats:
    path = close.diff().abs().rolling(bars).sum()
    return np.asarray(close.diff(bars).abs() / path.clip(lower=1.0))


def _trend(df: pd.DataFrame, log_close: pd.Series, atr: Floats, policy: Policy) -> Columns:
    p, close, hours = policy.features, df["close"], len(atr)
    high, low = df["high"].shift(), df["low"].shift()
    top, bottom = high.rolling(p.donchian_bars).max(), low.rolling(p.donchian_bars).min()
    beyond = ((close - top).clip(lower=0) + (close - bottom).clip(upper=0)).to_numpy()[-hours:]
    is_extreme = (df["high"] > high.rolling(p.extreme_bars).max()) | (df["low"] < low.rolling(p.extreme_bars).min())
    row = np.arange(len(df))
    age = row - np.maximum.accumulate(np.where(is_extreme, row, -p.extreme_bars))
    return {
        "efficiency_ratio": _efficiency(close, p.er_bars),
        "efficiency_ratio_short": _efficiency(close, p.er_short_bars),
        "slope_t": _slope_t(log_close.to_numpy(), hours, p.slope_bars, p.slope_lags),
        "donchian_excess_atr": np.clip(beyond / np.maximum(atr, 1.0), -p.donchian_cap_atr, p.donchian_cap_atr),
        "bars_since_extreme": np.minimum(age, p.extreme_bars).astype(np.float64),
        "direction": _code(close.diff(p.er_bars)),
    }


def _last_windows(values: Floats, hours: int, bars: int) -> Floats:
    """The last `bars` values at each of the last `hours` places; shape (hours, bars)."""
    return sliding_window_view(values[-hours - bars + 1 :], bars)


def _slope_t(log_close: Floats, hours: int, bars: int, lags: int) -> Floats:
    y = _last_windows(log_close, hours, bars)
    y = y - y.mean(axis=1, keepdims=True)
    x = np.arange(bars) - (bars - 1) / 2
    sxx = float(x @ x)
    slope = y @ x / sxx
    score = x * (y - slope[:, None] * x)
    variance = np.einsum("ij,ij->i", score, score)
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * np.einsum("ij,ij->i", score[:, lag:], score[:, :-lag])
    return np.where(slope == 0, 0.0, np.clip(slope * sxx / np.sqrt(np.maximum(variance, 1e-30)), -1000, 1000))


def _reversion(log_close: pd.Series, close: pd.Series, hours: int, policy: Policy) -> Columns:
    p, y = policy.features, log_close.to_numpy()
    ou_t, half_life = _dickey_fuller(log_close, p.ou_bars)
    moves = np.diff(_last_windows(y, hours, p.autocorrelation_bars + 1), axis=1)
    moves = moves - moves.mean(axis=1, keepdims=True)
    spread = np.einsum("ij,ij->i", moves, moves)
    product = np.einsum("ij,ij->i", moves[:, 1:], moves[:, :-1])
    return {
        "variance_ratio_z": _variance_ratio_z(y, hours, p.variance_ratio_bars, p.variance_ratio_q),
        "ou_t": ou_t,
        "ou_half_life_bars": half_life,
        "median_crossings": _median_crossings(close.to_numpy(), hours, p.crossings_bars),
        "autocorrelation": np.divide(product, spread, out=np.zeros(hours), where=spread > 0),
        "hurst": _hurst(log_close, p.window_bars, p.hurst_lags),
    }


def _dickey_fuller(log_close: pd.Series, bars: int) -> tuple[Floats, Floats]:
    """The regression of moves on levels from rolling variances and their covariance."""
    level, move = log_close.shift() - log_close.mean(), log_close.diff()
    sxx, syy = (series.rolling(bars).var(ddof=0) * bars for series in (level, move))
    sxy = level.rolling(bars).cov(move, ddof=0) * bars
    rate = (sxy / sxx).to_numpy()
    error = np.maximum((syy.to_numpy() - rate * sxy.to_numpy()) / (bars - 2), 1e-30)
    return rate / np.sqrt(error / sxx.to_numpy()), np.where(rate < 0, -np.log(2.0) / rate, np.nan)


def _variance_ratio_z(y: Floats, hours: int, bars: int, q: int) -> Floats:
    window = _last_windows(y, hours, bars + 1)
    mean = (window[:, -1] - window[:, 0]) / bars
    squares = (np.diff(window, axis=1) - mean[:, None]) ** 2
    long = ((window[:, q:] - window[:, :-q] - q * mean[:, None]) ** 2).sum(axis=1)
    total = squares.sum(axis=1)
    theta = np.zeros(hours)
    for lag in range(1, q):
        theta += 4 * (1 - lag / q) ** 2 * np.einsum("ij,ij->i", squares[:, lag:], squares[:, :-lag])
    ratio = long / (q * (bars - q + 1) * (1 - q / bars)) / (total / (bars - 1))
    return np.where(theta > 0, np.sqrt(bars) * (ratio - 1) / np.sqrt(bars * theta / total**2), 0.0)


def _median_crossings(close: Floats, hours: int, bars: int) -> Floats:
    """A close on the median has no side and takes that of the close before."""
    window = _last_windows(close, hours, bars)
    side = np.sign(window - np.median(window, axis=1)[:, None])
    newest = np.maximum.accumulate(np.where(side != 0, np.arange(bars), 0), axis=1)
    side = np.take_along_axis(side, newest, axis=1)
    return np.asarray((side[:, 1:] * side[:, :-1] < 0).sum(axis=1), dtype=np.float64)


def _hurst(log_close: pd.Series, bars: int, lags: int) -> Floats:
    """Half the slope of the log moments over the log lags, all windows in one product."""
    moments = [(log_close.diff(lag) ** 2).rolling(bars + 1 - lag).mean() for lag in range(1, lags + 1)]
    x = np.log(np.arange(1, lags + 1))
    x = x - x.mean()
    return np.asarray(0.5 * (x @ np.log(np.stack(moments))) / (x @ x))


def _volatility(df: pd.DataFrame, policy: Policy) -> Columns:
    p, high, low = policy.features, np.log(df["high"]), np.log(df["low"])
    open_, close = np.log(df["open"]), np.log(df["close"])
    variance = (high - close) * (high - open_) + (low - close) * (low - open_)
    rounding = 1 / (12 * df["close"] ** 2)
    level, long = (0.5 * np.log(variance.rolling(bars).mean() + rounding) for bars in (p.rv_short_bars, p.window_bars))
    ratio = level - long
    return {
        "log_volatility": level,
        "vol_log_ratio": ratio,
        "vol_direction": _code(ratio.where(ratio.abs() > p.vol_steady_band, 0.0)),
    }


def _path(close: pd.Series, log_close: pd.Series, hours: int, policy: Policy) -> Columns:
    squares, rounding = log_close.diff() ** 2, 1 / (12 * close.to_numpy()[-hours:] ** 2)
    roots = {bars: np.sqrt(squares.rolling(bars).sum()) for bars in _DRIFTS}
    out = {f"drift_z_{bars}": (log_close.diff(bars).abs() / roots[bars]) for bars in _DRIFTS}
    for bars in _SPREADS:
        window = log_close.rolling(bars + 1)
        out[f"spread_log_{bars}"] = np.log((window.max() - window.min()) / roots[bars]).clip(lower=-3.0)
    window = _last_windows(squares.to_numpy(), hours, policy.features.window_bars)
    weights = 0.5 ** (np.arange(policy.features.window_bars)[::-1, None] / np.array([24, 6]))
    slow, fast = (0.5 * np.log(window @ (weights / weights.sum(axis=0)) + rounding[:, None])).T
    plain = 0.5 * np.log(window.mean(axis=1) + rounding)
    return out | {"fading_log_volatility": slow, "fading_log_ratio": fast - plain}


def _ranges(df: pd.DataFrame, slope_t: Floats, policy: Policy) -> Columns:
    p, close, hours = policy.ranges, df["close"], len(slope_t)
    window, recent = close.rolling(p.quantile_bars), close.rolling(p.channel_bars)
    middle, reach = recent.mean().to_numpy()[-hours:], p.channel_std * recent.std(ddof=0).to_numpy()[-hours:]
    is_flat = np.abs(slope_t) < p.channel_max_t
    return {
        "quantile_low": window.quantile(p.quantile_tail),
        "quantile_high": window.quantile(1 - p.quantile_tail),
        "donchian_low": df["low"].shift().rolling(p.donchian_bars).min(),
        "donchian_high": df["high"].shift().rolling(p.donchian_bars).max(),
        "channel_low": np.where(is_flat, middle - reach, np.nan),
        "channel_high": np.where(is_flat, middle + reach, np.nan),
    }
