"""The hourly features written down hour by hour in pandas: yardstick of speed and oracle of every value.

Nothing is shared with the engine but the policy; being quick is not its purpose. See `naive_verdicts` for
scores and verdicts.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.policy import Policy, RangesPolicy


def naive_features(candles: Candles, row: int, policy: Policy) -> dict[str, Any]:
    """Features at the close of the bar in the given row, prices in quote currency."""
    p = policy.features
    bars = pd.DataFrame(
        {name: getattr(candles, name)[row - p.window_bars : row + 1] for name in ("open", "high", "low", "close")}
    ).astype(float)
    bars["volume"] = candles.volume[row - p.window_bars : row + 1]
    log_close = np.log(bars.close)
    out = {"close": bars.close.iloc[-1], "tick": 1.0}
    out |= _wilder(bars.iloc[1:].reset_index(drop=True), policy)
    atr = max(out["atr"], 1.0)
    out |= _trend(bars, log_close, atr, policy)
    out |= _reversion(bars, log_close, policy)
    out |= _volatility(bars, policy)
    out |= _path(bars, log_close)
    edges = _edges(bars, atr, out["slope_t"], policy.ranges)
    out |= {f"{name}_low": edge[0] for name, edge in edges.items()}
    out |= {f"{name}_high": edge[1] for name, edge in edges.items()}
    out |= _consensus(bars, list(edges.values()), atr, policy.ranges)
    prices = [
        k
        for k in out
        if k in ("close", "hour_close", "tick", "atr") or (k.endswith(("_low", "_high")) and "touches" not in k)
    ]
    return out | {name: out[name] / candles.price_scale for name in prices}


def _path(bars: pd.DataFrame, log_close: pd.Series) -> dict[str, Any]:
    returns = log_close.diff().dropna()
    rounding = 1 / (12 * bars.close.iloc[-1] ** 2)
    out: dict[str, Any] = {"hour_close": bars.close.iloc[-1]}
    for n in (12, 24, 48, 96):
        root = np.sqrt((returns.iloc[-n:] ** 2).sum())
        out[f"drift_z_{n}"] = abs(log_close.iloc[-1] - log_close.iloc[-n - 1]) / root if root else 0.0
        if n >= 48:
            spread = log_close.iloc[-n - 1 :].max() - log_close.iloc[-n - 1 :].min()
            out[f"spread_log_{n}"] = max(np.log(spread / root), -3.0) if root else -3.0
    squares = returns**2
    faded = {}
    for half_life in (6, 24):
        weights = 0.5 ** (np.arange(len(squares))[::-1] / half_life)
        faded[half_life] = 0.5 * np.log((weights * squares).sum() / weights.sum() + rounding)
    out["fading_log_volatility"] = faded[24]
    return out | {"fading_log_ratio": faded[6] - 0.5 * np.log(squares.mean() + rounding)}


def _wilder(bars: pd.DataFrame, policy: Policy) -> dict[str, Any]:
    p, n = policy.features, policy.features.adx_bars
    up, down = bars.high.diff(), -bars.low.diff()
    plus_dm = up.where((up > down) & (up > 0), 0.0)
    minus_dm = down.where((down > up) & (down > 0), 0.0)
    previous = bars.close.shift()
    true_range = pd.concat([bars.high - bars.low, (bars.high - previous).abs(), (bars.low - previous).abs()], axis=1)
    tr = true_range.max(axis=1)
    plus, minus = plus_dm[1:n].sum(), minus_dm[1:n].sum()
    dx = []
    for i in range(n, len(bars)):
        plus, minus = plus - plus / n + plus_dm[i], minus - minus / n + minus_dm[i]
        dx.append(100 * abs(plus - minus) / (plus + minus) if plus + minus else np.nan)
    adx = [np.nansum(dx[:n]) / n]
    for value in dx[n:]:
        adx.append(adx[-1] if np.isnan(value) else (adx[-1] * (n - 1) + value) / n)
    atr = [tr[1 : n + 1].mean()]
    for value in tr[n + 1 :]:
        atr.append((atr[-1] * (n - 1) + value) / n)
    log_atr = np.log(np.maximum(atr, 1.0))
    return {
        "adx": adx[-1],
        "is_adx_rising": bool((np.diff(adx[-p.adx_rising_bars - 1 :]) > 0).all()),
        "adx_change": adx[-1] - adx[-1 - p.change_bars],
        "dm_direction": _code(plus - minus),
        "atr": atr[-1],
        "atr_change_log": abs(log_atr[-1] - log_atr[-1 - p.change_bars]),
        "vol_of_vol": np.diff(log_atr[-p.vol_of_vol_bars - 1 :]).std(ddof=1),
    }


def _code(sign: float) -> int:
    return 0 if sign == 0 else 1 if sign > 0 else 2


def _efficiency(close: pd.Series, bars: int) -> float:
    walked = close.diff().abs().iloc[-bars:].sum()
    return abs(close.iloc[-1] - close.iloc[-1 - bars]) / walked if walked else 0.0


def _trend(bars: pd.DataFrame, log_close: pd.Series, atr: float, policy: Policy) -> dict[str, Any]:
    p, close = policy.features, bars.close
    before = bars.iloc[-1 - p.donchian_bars : -1]
    beyond = max(close.iloc[-1] - before.high.max(), 0.0) + min(close.iloc[-1] - before.low.min(), 0.0)
    highest = bars.high.shift().rolling(p.extreme_bars).max()
    lowest = bars.low.shift().rolling(p.extreme_bars).min()
    is_extreme = ((bars.high > highest) | (bars.low < lowest)).iloc[-p.extreme_bars :]
    return {
        "efficiency_ratio": _efficiency(close, p.er_bars),
        "efficiency_ratio_short": _efficiency(close, p.er_short_bars),
        "slope_t": _slope_t(log_close.iloc[-p.slope_bars :].to_numpy(), p.slope_lags),
        "donchian_excess_atr": float(np.clip(beyond / atr, -p.donchian_cap_atr, p.donchian_cap_atr)),
        "bars_since_extreme": int(np.argmax(is_extreme.to_numpy()[::-1])) if is_extreme.any() else p.extreme_bars,
        "direction": _code(close.iloc[-1] - close.iloc[-1 - p.er_bars]),
    }


def _slope_t(y: np.ndarray, lags: int) -> float:
    design = np.column_stack([np.ones(len(y)), np.arange(len(y))])
    bread = np.linalg.inv(design.T @ design)
    beta = bread @ design.T @ (y - y[0])
    scores = design * (y - y[0] - design @ beta)[:, None]
    meat = scores.T @ scores
    for lag in range(1, lags + 1):
        cross = scores[lag:].T @ scores[:-lag]
        meat += (1 - lag / (lags + 1)) * (cross + cross.T)
    variance = (bread @ meat @ bread)[1, 1]
    return 0.0 if np.ptp(y) == 0 else float(np.clip(beta[1] / np.sqrt(variance), -1000, 1000))


def _reversion(bars: pd.DataFrame, log_close: pd.Series, policy: Policy) -> dict[str, Any]:
    p = policy.features
    y = log_close.iloc[-p.ou_bars - 1 :].reset_index(drop=True)
    x, moves = y[:-1] - y[:-1].mean(), y.diff()[1:].reset_index(drop=True)
    moves = moves - moves.mean()
    ou_t, half_life = 0.0, np.nan
    if (x * x).sum() > 0:
        rate = (x * moves).sum() / (x * x).sum()
        residual = moves - rate * x
        ou_t = rate / np.sqrt((residual**2).sum() / (len(x) - 2) / (x * x).sum())
        half_life = -np.log(2) / rate if rate < 0 else np.nan
    side = np.sign(bars.close.iloc[-p.crossings_bars :] - bars.close.iloc[-p.crossings_bars :].median())
    side = side[side != 0]
    moves = log_close.diff().iloc[-p.autocorrelation_bars :]
    centred = moves - moves.mean()
    spread = (centred**2).sum()
    return {
        "variance_ratio_z": _variance_ratio_z(log_close.to_numpy()[-p.variance_ratio_bars - 1 :], p.variance_ratio_q),
        "ou_t": ou_t,
        "ou_half_life_bars": half_life,
        "median_crossings": int((side.diff().abs() == 2).sum()),
        "autocorrelation": (centred * centred.shift()).sum() / spread if spread else 0.0,
        "hurst": _hurst(log_close.to_numpy(), p.hurst_lags),
    }


def _variance_ratio_z(y: np.ndarray, q: int) -> float:
    moves = np.diff(y)
    n, mean = len(moves), np.diff(y).mean()
    squares = (moves - mean) ** 2
    theta = sum(4 * (1 - k / q) ** 2 * n * (squares[k:] @ squares[:-k]) / squares.sum() ** 2 for k in range(1, q))
    if not theta > 0:
        return 0.0
    long = ((y[q:] - y[:-q] - q * mean) ** 2).sum() / (q * (n - q + 1) * (1 - q / n))
    return float(np.sqrt(n) * (long / (squares.sum() / (n - 1)) - 1) / np.sqrt(theta))


def _hurst(y: np.ndarray, lags: int) -> float:
    moments = [np.mean((y[lag:] - y[:-lag]) ** 2) for lag in range(1, lags + 1)]
    if min(moments) <= 0:
        return np.nan
    return float(np.polyfit(np.log(np.arange(1, lags + 1)), np.log(moments), 1)[0] / 2)


def _volatility(bars: pd.DataFrame, policy: Policy) -> dict[str, Any]:
    p, b = policy.features, bars.iloc[1:]
    variance = np.log(b.high / b.close) * np.log(b.high / b.open) + np.log(b.low / b.close) * np.log(b.low / b.open)
    rounding = 1 / (12 * b.close.iloc[-1] ** 2)
    level = 0.5 * np.log(variance.iloc[-p.rv_short_bars :].mean() + rounding)
    ratio = level - 0.5 * np.log(variance.mean() + rounding)
    return {
        "log_volatility": level,
        "vol_log_ratio": ratio,
        "vol_direction": _code(ratio if abs(ratio) > p.vol_steady_band else 0.0),
    }


def _edges(bars: pd.DataFrame, atr: float, slope_t: float, p: RangesPolicy) -> dict[str, tuple[float, float]]:
    closes = bars.close.iloc[-p.quantile_bars :]
    before = bars.iloc[-1 - p.donchian_bars : -1]
    recent = bars.close.iloc[-p.channel_bars :]
    reach = p.channel_std * recent.std(ddof=0)
    is_flat = abs(slope_t) < p.channel_max_t
    return {
        "quantile": (closes.quantile(p.quantile_tail), closes.quantile(1 - p.quantile_tail)),
        "donchian": (before.low.min(), before.high.max()),
        "pivot": _pivots(bars.iloc[-p.pivot_bars :], atr, p),
        "profile": _value_area(bars.iloc[-p.profile_bars :], atr, p),
        "channel": (recent.mean() - reach, recent.mean() + reach) if is_flat else (np.nan, np.nan),
    }


def _pivots(bars: pd.DataFrame, atr: float, p: RangesPolicy) -> tuple[float, float]:
    k = p.pivot_side_bars
    clusters = []
    for prices, sign in ((-bars.low.to_numpy(), -1.0), (bars.high.to_numpy(), 1.0)):
        pivots = sorted(
            prices[i]
            for i in range(k, len(prices) - k)
            if prices[i] > prices[i - k : i].max() and prices[i] >= prices[i + 1 : i + k + 1].max()
        )
        groups: list[list[float]] = []
        for price in pivots:
            if groups and price - groups[-1][-1] <= p.pivot_cluster_atr * atr:
                groups[-1].append(price)
            else:
                groups.append([price])
        best = max(groups, key=lambda group: (len(group), np.mean(group)), default=[])
        if len(best) < p.pivot_min_count:
            return np.nan, np.nan
        clusters.append(sign * float(np.mean(best)))
    return clusters[0], clusters[1]


def _value_area(bars: pd.DataFrame, atr: float, p: RangesPolicy) -> tuple[float, float]:
    least = max(atr / p.profile_bins_per_atr, 1.0)
    width = max(w for power in range(15) for w in (10**power, 2 * 10**power, 5 * 10**power) if w <= least)
    profile: dict[int, float] = {}
    for bar in bars.itertuples():
        touched = range(int(bar.low // width), int(bar.high // width) + 1)
        for place in touched:
            profile[place] = profile.get(place, 0.0) + bar.volume / len(touched)
    total = bars.volume.sum()
    if total <= 0:
        return np.nan, np.nan
    bottom, top = min(profile), max(profile)
    lower = upper = max(sorted(profile), key=lambda place: profile[place])
    inside = profile[lower]
    while inside < p.profile_share * total and (lower > bottom or upper < top):
        below = profile.get(lower - 1, 0.0) if lower > bottom else -1.0
        above = profile.get(upper + 1, 0.0) if upper < top else -1.0
        lower, upper = (lower - 1, upper) if below >= above else (lower, upper + 1)
        inside += max(below, above)
    return lower * width, (upper + 1) * width


def _consensus(bars: pd.DataFrame, edges: list[tuple[float, float]], atr: float, p: RangesPolicy) -> dict[str, Any]:
    found = [(low, high) for low, high in edges if low < high]
    overlaps = []
    for (a, b), (c, d) in itertools.combinations(found, 2):
        shared = max(0.0, min(b, d) - max(a, c))
        overlaps.append(shared / (b - a + d - c - shared))
    agreement = np.mean(overlaps) if overlaps else np.nan
    low, high = (np.median([edge[side] for edge in found]) if found else np.nan for side in range(2))
    is_agreed = len(found) >= p.min_methods and agreement >= p.min_agreement
    return {
        "range_methods": len(found),
        "range_agreement": agreement,
        "range_confidence": agreement * len(found) / len(edges),
        "range_low": low if is_agreed else np.nan,
        "range_high": high if is_agreed else np.nan,
        "range_width_atr": (high - low) / atr,
        **_evidence(bars.iloc[-p.quality_bars - 1 :], low, high, atr, p),
    }


def _evidence(bars: pd.DataFrame, low: float, high: float, atr: float, p: RangesPolicy) -> dict[str, Any]:
    move = abs(bars.close.iloc[-1] - bars.close.iloc[0])
    bars = bars.iloc[1:]
    outside = ~bars.close.between(low, high).to_numpy()
    failed = []
    for i in np.flatnonzero(outside):
        after = outside[i + 1 : i + 1 + p.reentry_bars]
        if not after.all() or len(after) == p.reentry_bars:
            failed.append(not after.all())
    touches, armed, zones = [0, 0], [True, True], []
    for bar in bars.itertuples():
        at = [
            bar.low <= low + p.touch_atr * atr and bar.close >= low - p.touch_atr * atr,
            bar.high >= high - p.touch_atr * atr and bar.close <= high + p.touch_atr * atr,
        ]
        left = [bar.low > low + p.leave_atr * atr, bar.high < high - p.leave_atr * atr]
        for side in range(2):
            touches[side] += at[side] and armed[side]
            armed[side] = (armed[side] and not at[side]) or left[side]
        if at[0] != at[1]:
            zones.append(at[1])
    return {
        "containment": 1 - outside.mean(),
        "touches_low": touches[0],
        "touches_high": touches[1],
        "traversals": sum(a != b for a, b in itertools.pairwise(zones)),
        "net_displacement": min(move / (high - low), 1.0),
        "failed_breakouts": np.mean(failed) if failed else np.nan,
    }
