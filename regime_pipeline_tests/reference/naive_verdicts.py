"""Scores and verdicts written down hour by hour in pandas: yardstick of speed and oracle of every value.

Nothing is shared with the engine but the policy and the null table; being quick is not its purpose. See
`naive_features` for features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from regime_pipeline.domain.hold.probability import band_for
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.policy import Policy

TWO_SIDED = ("slope_t", "donchian_excess_atr")
FALLING = ("variance_ratio_z", "ou_t", "autocorrelation")


def naive_scores(features: pd.DataFrame, closes: pd.Series, policy: Policy, nulls: NullTable) -> dict[str, Any]:
    """Scores of the last row of a feature frame; the rows before it are its trailing history, all with values.

    `closes` are those of every hour up to the row, one an hour.
    """
    edges = _band(closes, policy, nulls) or (features.iloc[-1].range_low, features.iloc[-1].range_high)
    p, now = policy.scores, features.iloc[-1]
    ranks = {name: _rank(features[name].iloc[-1 - p.rank_observations :], name, p, nulls) for name in nulls.quantiles}
    raw = {
        "trend_score": sum(w * ranks[name] for name, w in p.trend_weights.model_dump().items()),
        "mean_rev_score": sum(w * ranks[name] for name, w in p.mean_rev_weights.model_dump().items()),
        "vol_change_score": ranks["log_volatility"],
    }
    strong = np.quantile(nulls.quantiles["efficiency_ratio"], p.er_null_quantile)
    votes = [
        {1: 1, 2: -1}.get(now.dm_direction, 0) * (now.adx >= p.adx_trend_from and now.is_adx_rising),
        {1: 1, 2: -1}.get(now.direction, 0) * (now.efficiency_ratio >= strong),
        np.sign(now.slope_t) * (abs(now.slope_t) >= p.slope_t_from),
    ]
    up, down = sum(v > 0 for v in votes), sum(v < 0 for v in votes)
    return {
        "ranked_observations": min(len(features) - 1, p.rank_observations),
        **{f"rank_{name}": rank for name, rank in ranks.items()},
        **{name: np.interp(value, nulls.knots[name], [0, 30, 50, 70, 100]) for name, value in raw.items()},
        "range_quality_score": _quality(now, p),
        **_capacity(now, *edges, policy),
        "trend_votes": 0 if up == down else up if up > down else -down,
        "is_trend_confirmed": up != down and max(up, down) >= p.min_trend_votes,
    }


def _rank(values: pd.Series, name: str, p: Any, nulls: NullTable) -> float:
    values = -values if name in FALLING else values.abs() if name in TWO_SIDED else values
    earlier, value = values.iloc[:-1], values.iloc[-1]
    null = nulls.quantiles[name]
    relative = value - earlier.mean() if name == "log_volatility" else value
    own = ((earlier < value).sum() + 0.5 * (earlier == value).sum()) / len(earlier)
    other = ((null < relative).sum() + 0.5 * (null == relative).sum()) / len(null)
    return 100 * (p.own_rank_share * own + (1 - p.own_rank_share) * other)


def _quality(now: Any, p: Any) -> float:
    touches = min(now.touches_low, now.touches_high)
    parts = {
        "containment": np.interp(now.containment, [p.containment_zero, p.containment_full], [0, 1]),
        "touches": np.interp(touches, [0, p.some_touches, p.full_touches], [0, p.some_touches_part, 1]),
        "traversals": np.interp(
            now.traversals, [0, p.some_traversals, p.full_traversals], [0, p.some_traversals_part, 1]
        ),
        "net_displacement": 1 - now.net_displacement,
        "failed_breakouts": now.failed_breakouts,
        "width": float(p.width_min_atr <= now.range_width_atr <= p.width_max_atr),
    }
    weights = pd.Series(p.quality_weights.model_dump())[pd.Series(parts).notna()]
    score = 100 * (pd.Series(parts)[weights.index] * weights).sum() / weights.sum()
    return min(score, p.no_consensus_cap) if np.isnan(now.range_low) else score


def _band(closes: pd.Series, policy: Policy, nulls: NullTable) -> tuple[float, float] | None:
    """Edges of the suggested band; None where the last month holds too few returns."""
    squares = np.log(closes / closes.shift()).iloc[1:] ** 2
    if len(squares) < 300:
        return None
    means = [squares.iloc[-hours:].mean() for hours in (24, 168, 720)]
    p = policy.grid_capacity
    low, high = band_for(closes.iloc[-1], p.band_probability, p.band_hours, means, nulls.hold)
    return float(low), float(high)


def _capacity(now: Any, low: float, high: float, policy: Policy) -> dict[str, Any]:
    p = policy.grid_capacity
    if np.isnan(low):
        return {"grid_levels": 0, "grid_net_gain_bps": np.nan, "grid_capacity_score": 0.0}
    fee = p.fee_bps / 1e4
    narrowest = (1 + (p.min_gain_bps + p.slippage_bps) / 1e4) / (1 - fee) ** 2 - 1
    width = np.log(high / low)
    by_width = int(width / np.log(1 + max(now.tick / low, narrowest)))
    levels = min(by_width, int(p.capital_quote / (p.notional_margin * p.min_notional_quote)), p.full_levels)
    if levels == 0:
        return {"grid_levels": 0, "grid_net_gain_bps": np.nan, "grid_capacity_score": 0.0}
    gain = np.exp(width / levels) * (1 - fee) ** 2 - 1 - p.slippage_bps / 1e4
    filled = np.clip((levels - p.zero_levels) / (p.full_levels - p.zero_levels), 0, 1)
    return {
        "grid_levels": levels,
        "grid_net_gain_bps": gain * 1e4,
        "grid_capacity_score": 100 * filled * np.clip(gain / (2 * fee), 0, 1),
    }


def naive_verdict(rows: pd.DataFrame, policy: Policy) -> dict[str, Any]:
    """Verdict of the last row of a frame of features and scores; the rows before it are its trailing history."""
    p = policy.verdict
    rows = rows.iloc[-(p.hysteresis_observations + p.trend_observations - 1) :]
    if not np.isnan(rows.iloc[-1].p_range):
        return _described(*_held_by_weights(rows, policy), rows.iloc[-1], policy)
    held, pending, streak = "", "", 0
    for i in range(p.trend_observations - 1, len(rows)):
        now, instant = rows.iloc[i], _instant(rows.iloc[i - p.trend_observations + 1 : i + 1], policy)
        stays = _stays(held, instant, now, policy)
        if not held or instant == held or stays:
            held, streak = held or instant, 0
            continue
        streak = streak + 1 if instant == pending and streak else 1
        pending = instant
        is_alarm = instant in ("TREND", "TRANSITION")
        if streak >= (p.alarm_confirm_observations if is_alarm else p.confirm_observations):
            held, streak = instant, 0
    return _described(held, instant, now, policy)


def _described(held: str, instant: str, now: Any, policy: Policy) -> dict[str, Any]:
    """The other columns of the verdict."""
    conditions = _conditions(now, policy)
    consensus = {
        "RANGE_OK": now.range_confidence,
        "RANGE_WEAK": 1 - np.mean(conditions),
        "TREND": abs(now.trend_votes) / 3,
        "TRANSITION": np.mean([now.rank_log_volatility >= 70, now.rank_vol_log_ratio >= 70]),
    }[held]
    share = now.ok_share_held if held == "RANGE_OK" else now.ok_share_open
    weights = {
        "RANGE_OK": now.p_range * share,
        "RANGE_WEAK": now.p_range * (1 - share),
        "TREND": now.p_trend,
        "TRANSITION": now.p_volatile,
    }
    others = sorted((name for name in weights if name != held), key=lambda name: -weights[name])
    return {
        "verdict": held,
        "instant_verdict": instant,
        "consensus": consensus,
        "confidence": {"TREND": now.p_trend, "TRANSITION": now.p_volatile}.get(held, now.p_range),
        "weights": weights,
        "competing": others,
    }


def _held_by_weights(rows: pd.DataFrame, policy: Policy) -> tuple[str, str]:
    """Verdict and instant verdict of the last row; every row has scores and class probabilities."""
    p, held, is_ok, instant = policy.verdict, "", False, ""
    for i in range(p.trend_observations - 1, len(rows)):
        now, instant = rows.iloc[i], _instant(rows.iloc[i - p.trend_observations + 1 : i + 1], policy)
        chances = {"RANGE": now.p_range, "TREND": now.p_trend, "TRANSITION": now.p_volatile}
        likeliest = max(chances, key=lambda name: chances[name])
        candidates = [name for name in (instant, likeliest) if name in ("TREND", "TRANSITION", likeliest)]
        leading = [name for name in candidates if held and chances[name] - chances[held] >= p.class_margin]
        held = (leading or [held or likeliest])[0]
        may_be_ok = now.range_quality_score >= p.range_weak_below and all(_conditions(now, policy)[i] for i in (1, 3))
        least = p.leave_range_ok_probability_below if is_ok else p.range_ok_probability_from
        is_ok = held == "RANGE" and may_be_ok and now.p_range >= least
    return ("RANGE_OK" if is_ok else "RANGE_WEAK") if held == "RANGE" else held, instant


def _conditions(now: Any, policy: Policy) -> list[bool]:
    p, grid = policy.verdict, policy.grid_capacity
    if not np.isnan(now.p_range):
        return [
            now.range_quality_score >= p.range_weak_below,
            now.range_low <= now.close <= now.range_high,
            now.p_range >= p.range_ok_probability_from,
            now.grid_levels >= grid.min_levels and now.grid_net_gain_bps >= grid.min_gain_bps - 1e-6,
        ]
    return [
        now.range_quality_score >= p.range_ok_quality_from,
        now.mean_rev_score >= p.range_ok_mean_rev_from,
        now.trend_score < p.range_ok_trend_below,
        now.grid_levels >= grid.min_levels and now.grid_net_gain_bps >= grid.min_gain_bps - 1e-6,
    ]


def _stays(held: str, instant: str, now: Any, policy: Policy) -> bool:
    """Whether a held verdict is kept although the observation alone says another."""
    p = policy.verdict
    if held == "RANGE_OK":
        return instant == "RANGE_WEAK" and _keeps(now, policy)
    if held == "TREND":
        return instant in ("RANGE_OK", "RANGE_WEAK") and now.trend_score >= p.leave_trend_below
    return held == "TRANSITION" and instant != "TRANSITION" and now.vol_change_score >= p.leave_transition_below


def _keeps(now: Any, policy: Policy) -> bool:
    p = policy.verdict
    is_good = now.range_quality_score >= p.leave_range_ok_quality_below
    return is_good and now.trend_score < p.leave_range_ok_trend_from and _conditions(now, policy)[3]


def _instant(last: pd.DataFrame, policy: Policy) -> str:
    """Verdict of the last row on its own; the rows before it confirm a trend."""
    p, now = policy.verdict, last.iloc[-1]
    if now.vol_change_score > p.transition_above:
        return "TRANSITION"
    is_confirmed = last.is_trend_confirmed.all() and abs(np.sign(last.trend_votes).sum()) == len(last)
    if now.trend_score >= p.trend_from and is_confirmed:
        return "TREND"
    is_possible = now.range_quality_score >= p.range_weak_below
    return "RANGE_OK" if is_possible and all(_conditions(now, policy)) else "RANGE_WEAK"
