"""The 3D regime of candles as pandas users write it: indicator columns by pandas, then row by row with iterrows.

Written from docs/definitions.md alone; it is the alternative of `benchmarks.candles` and an oracle of the tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.policy import CandleRegimePolicy


def wilder(values: pd.Series, seed: float, bars: int) -> pd.Series:
    """Wilder's average that starts with a seed before the first value."""
    return pd.concat([pd.Series([seed]), values]).ewm(alpha=1 / bars, adjust=False).mean().iloc[1:]


def ema(values: pd.Series, bars: int, first: int) -> pd.Series:
    """Exponential average whose first value, at place `first`, is the mean of the `bars` values up to it."""
    out = pd.Series(np.nan, index=values.index)
    seed = values.iloc[first - bars + 1 : first + 1].mean()
    seeded = pd.concat([pd.Series([seed]), values.iloc[first + 1 :]])
    out.iloc[first:] = seeded.ewm(span=bars, adjust=False).mean().to_numpy()
    return out


def spread(values: pd.Series, bars: int) -> pd.Series:
    """Exponentially weighted deviation over strictly earlier values."""
    found = values.dropna().ewm(span=bars, adjust=False).var(bias=True) ** 0.5
    return found.shift(1, fill_value=0.0).reindex(values.index)


def recursive_columns(df: pd.DataFrame, p: CandleRegimePolicy) -> pd.DataFrame:
    """ADX, ATR, RSI, ROC and MACD histogram, cold from the first row."""
    n, out = p.adx_bars, pd.DataFrame(index=df.index)
    before = df.shift(1)
    up, down = df["high"] - before["high"], before["low"] - df["low"]
    true_range = np.maximum(df["high"], before["close"]) - np.minimum(df["low"], before["close"])
    sums = {}
    moves = {"plus": up.where((up > down) & (up > 0), 0.0), "minus": down.where((down > up) & (down > 0), 0.0)}
    for name, series in {**moves, "range": true_range}.items():
        sums[name] = wilder(series.iloc[n:], series.iloc[1:n].sum() / n, n)
    total = sums["plus"] + sums["minus"]
    dx = (100 * (sums["plus"] - sums["minus"]).abs() / total).where((total > 0) & (sums["range"] > 0), 0.0)
    out["adx"] = pd.concat(
        [pd.Series({dx.index[n - 1]: dx.iloc[:n].mean()}), wilder(dx.iloc[n:], dx.iloc[:n].mean(), n)]
    )
    m = p.atr_bars
    first_atr = true_range.iloc[1 : m + 1].mean()
    out["atr"] = pd.concat([pd.Series({df.index[m]: first_atr}), wilder(true_range.iloc[m + 1 :], first_atr, m)])
    change = df["close"].diff()
    gain, loss = change.clip(lower=0), -change.clip(upper=0)
    k = p.rsi_bars
    gains = [
        pd.concat(
            [pd.Series({df.index[k]: s.iloc[1 : k + 1].mean()}), wilder(s.iloc[k + 1 :], s.iloc[1 : k + 1].mean(), k)]
        )
        for s in (gain, loss)
    ]
    out["rsi"] = (100 * gains[0] / (gains[0] + gains[1])).where(gains[0] + gains[1] > 0, 0.0)
    out["roc"] = 100 * (df["close"] / df["close"].shift(p.roc_bars) - 1)
    slow = p.macd_slow_bars
    line = ema(df["close"], p.macd_fast_bars, slow - 1) - ema(df["close"], slow, slow - 1)
    out["macd"] = line - ema(line, p.macd_signal_bars, slow + p.macd_signal_bars - 2)
    for name in ("adx", "rsi", "roc", "macd"):
        out[f"{name}_spread"] = spread(out[name], p.margin_spread_bars)
    return out


def indicator_columns(candles: Candles, p: CandleRegimePolicy) -> pd.DataFrame:
    """Every indicator of candles without a gap; recursive ones cut at anchors."""
    bar = candles.open_time_ms // candles.market.step_ms
    df = pd.DataFrame({name: getattr(candles, name).astype(float) for name in ("high", "low", "close")})
    parts = []
    for _, rows in df.groupby(bar // p.anchor_bars):
        first = rows.index[0] - (bar[rows.index[0]] % p.anchor_bars) - p.anchor_warmup_bars
        block = recursive_columns(df.loc[max(0, first) : rows.index[-1]], p)
        parts.append(block.loc[rows.index])
    df = df.join(pd.concat(parts))
    df["sma_fast"] = df["close"].rolling(p.sma_fast_bars).mean()
    df["sma_slow"] = df["close"].rolling(p.sma_slow_bars).mean()
    middle, deviation = df["close"].rolling(p.bollinger_bars).mean(), df["close"].rolling(p.bollinger_bars).std(ddof=0)
    df["width"] = 4 * deviation / middle
    df["atr_share"] = df["atr"] / df["close"]
    return df


def signed(distance: float, scale: float) -> float:
    size = abs(distance) + scale
    return distance / size if size > 0 else 0.0


def trend_of(row: Any, p: CandleRegimePolicy) -> tuple[str, float]:
    strong = signed(row["adx"] - p.adx_trend_from, row["adx_spread"])
    above = signed(row["close"] - row["sma_fast"], row["atr"])
    rising = signed(row["sma_fast"] - row["sma_slow"], row["atr"])
    if strong >= 0 and above > 0 and rising > 0:
        return "UPTREND", min(strong, above, rising)
    if strong >= 0 and above < 0 and rising < 0:
        return "DOWNTREND", min(strong, -above, -rising)
    return "NEUTRAL", min(-min(strong, above, rising), -min(strong, -above, -rising))


def volatility_of(df: pd.DataFrame, at: int, p: CandleRegimePolicy) -> tuple[str, float]:
    window, whole = p.volatility_window_bars, int(p.volatility_percentile / 100 * (p.volatility_window_bars - 1))
    is_high, below = False, []
    for name in ("atr_share", "width"):
        value, past = df[name].iloc[at], df[name].iloc[at - window : at]
        is_high = is_high or value > np.percentile(past, p.volatility_percentile)
        below.append(int((past < value).sum()))
    if is_high:
        return "HIGHVOL", (max(below) - whole) / (window - whole)
    return "LOWVOL", (whole + 2 - max(below)) / (whole + 2)


def momentum_of(row: Any, p: CandleRegimePolicy) -> tuple[str, float]:
    votes = [signed(row["roc"], row["roc_spread"]), signed(row["macd"], row["macd_spread"])]
    bullish = sorted([*votes, signed(row["rsi"] - p.rsi_bullish_above, row["rsi_spread"])])[1]
    bearish = sorted([-votes[0], -votes[1], -signed(row["rsi"] - p.rsi_bearish_below, row["rsi_spread"])])[1]
    if bullish > 0:
        return "BULLISH", bullish
    return ("BEARISH", bearish) if bearish > 0 else ("WEAK", min(-bullish, -bearish))


def confidence_of(full: str, margins: tuple[float, float, float]) -> float:
    """Smallest margin of the dimensions that decide the simplified regime."""
    trend, volatility, momentum = full.split("_")
    if (trend, momentum) in (("UPTREND", "BULLISH"), ("DOWNTREND", "BEARISH")):
        deciding = [margins[0], margins[2]]
    elif (trend, volatility) == ("NEUTRAL", "LOWVOL"):
        deciding = [margins[0], margins[1]]
    else:
        deciding = list(margins)
    return min(max(min(deciding), 0.0), 1.0)


def naive_regimes(candles: Candles, p: CandleRegimePolicy) -> pd.DataFrame:
    """Full regime and confidence of candles without a gap, row by row."""
    df = indicator_columns(candles, p)
    found = []
    for at, row in df.iterrows():
        if at < p.min_history_bars - 1:
            found.append(("UNDEFINED", 0.0))
            continue
        parts = [trend_of(row, p), volatility_of(df, at, p), momentum_of(row, p)]
        full = "_".join(name for name, _ in parts)
        found.append((full, confidence_of(full, tuple(margin for _, margin in parts))))
    return pd.DataFrame(found, columns=["full_regime", "confidence"])
