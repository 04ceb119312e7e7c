"""Columns of every hourly table: name, kind, unit and meaning, the one source for SQL, frames, docs and checks.

See the module that computes a value for how it is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["float", "int", "flag", "time", "label", "text", "json"]
"""float: float64, NaN = NULL. int: int32. flag: bool. time: int64 epoch ms UTC. label: int8 category code."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an hourly table."""

    name: str
    kind: Kind
    meaning: str
    categories: tuple[str, ...] = ()


STATUSES: Final = ("OK", "INCOMPLETE_WINDOW", "WARMING_UP", "PARTIAL")
OK, INCOMPLETE_WINDOW, WARMING_UP, PARTIAL = range(len(STATUSES))
VERDICTS: Final = ("INSUFFICIENT_DATA", "RANGE_OK", "RANGE_WEAK", "TREND", "TRANSITION")
DIRECTIONS: Final = ("flat", "up", "down")
VOL_DIRECTIONS: Final = ("steady", "expanding", "contracting")
RISKS: Final = ("NONE", "TREND", "TRANSITION")
HOUR_STATUSES: Final = ("complete", "exchange_gap", "missing")

_OBSERVATION: Final = (
    Column("hour_start", "time", "start of the hour whose close the row describes"),
    Column("as_of_bar", "time", "open time of the newest bar due by then"),
    Column("is_new_bar", "flag", "a bar was due to close within the hour"),
    Column("status", "label", "OK, PARTIAL where the window lacks some bars, or why a row has no values", STATUSES),
)

PATH: Final = (
    *("drift_z_12", "drift_z_24", "drift_z_48", "drift_z_96", "spread_log_48", "spread_log_96", "fading_log_ratio"),
    "fading_log_volatility",
)
"""Features of the path of closes that the class probabilities read."""

FEATURES: Final = (
    *_OBSERVATION,
    Column("close", "float", "close of the newest bar, quote currency"),
    Column("tick", "float", "size of one price tick, quote currency"),
    Column("atr", "float", "Wilder ATR(14), quote currency"),
    Column("efficiency_ratio", "float", "Kaufman ER(36), 0..1"),
    Column("adx", "float", "Wilder ADX(14), 0..100"),
    Column("is_adx_rising", "flag", "ADX rose over each of the last 3 bars"),
    Column("adx_change", "float", "change of ADX over 6 bars"),
    Column("dm_direction", "label", "sign of Wilder's +DI less -DI", DIRECTIONS),
    Column("efficiency_ratio_short", "float", "Kaufman ER(24), 0..1"),
    Column("bars_since_extreme", "int", "bars since the newest high or low beyond the 24 bars before it, at most 24"),
    Column("slope_t", "float", "signed t-statistic of the log-price slope(36), Newey-West(4)"),
    Column("donchian_excess_atr", "float", "close beyond the Donchian(36) channel lagged 1, in ATR, capped, signed"),
    Column("direction", "label", "sign of the move over 36 bars", DIRECTIONS),
    Column("variance_ratio_z", "float", "Lo-MacKinlay z*(q=4, n=96)"),
    Column("ou_t", "float", "t-statistic of the mean reversion rate (48)"),
    Column("ou_half_life_bars", "float", "half-life of mean reversion (48), NaN where there is none"),
    Column("median_crossings", "float", "crossings of the window median by closes (48), count"),
    Column("autocorrelation", "float", "lag-1 autocorrelation of returns (96), -1..1"),
    Column("log_volatility", "float", "ln of Rogers-Satchell RV per bar over 12 bars"),
    Column("vol_log_ratio", "float", "ln(Rogers-Satchell RV 12 bars / 168 bars)"),
    Column("atr_change_log", "float", "|change of ln ATR(14)| over 6 bars"),
    Column("vol_of_vol", "float", "standard deviation of the changes of ln ATR(14) over 48 bars"),
    Column("vol_direction", "label", "does volatility expand or contract", VOL_DIRECTIONS),
    Column("hurst", "float", "Hurst exponent (168), reported only"),
    Column("quantile_low", "float", "Q05 of closes(96), quote currency"),
    Column("quantile_high", "float", "Q95 of closes(96), quote currency"),
    Column("donchian_low", "float", "lowest low of 48 bars, lagged 1, quote currency"),
    Column("donchian_high", "float", "highest high of 48 bars, lagged 1, quote currency"),
    Column("pivot_low", "float", "lower cluster of confirmed swing pivots, quote currency"),
    Column("pivot_high", "float", "upper cluster of confirmed swing pivots, quote currency"),
    Column("profile_low", "float", "lower edge of the 70 % value area, quote currency"),
    Column("profile_high", "float", "upper edge of the 70 % value area, quote currency"),
    Column("channel_low", "float", "lower Bollinger edge where there is no slope, quote currency"),
    Column("channel_high", "float", "upper Bollinger edge where there is no slope, quote currency"),
    Column("range_methods", "int", "range methods that returned"),
    Column("range_low", "float", "consensus lower edge, quote currency"),
    Column("range_high", "float", "consensus upper edge, quote currency"),
    Column("range_agreement", "float", "mean pairwise IoU of the methods, 0..1"),
    Column("range_confidence", "float", "agreement times share of methods that returned, 0..1"),
    Column("range_width_atr", "float", "consensus width in ATR"),
    Column("containment", "float", "share of the last 96 closes inside the range, 0..1"),
    Column("touches_low", "int", "distinct touches of the lower edge"),
    Column("touches_high", "int", "distinct touches of the upper edge"),
    Column("traversals", "int", "edge zone to opposite edge zone crossings"),
    Column("net_displacement", "float", "|net move over 96 bars| / range width, 0..1"),
    Column("failed_breakouts", "float", "share of closes outside that re-entered within 3 bars, NaN without any"),
    Column("hour_close", "float", "close of the bar due by the hour's close, NaN where it is absent, quote currency"),
    *(Column(name, "float", f"path of the last closes: {name} (features.path)") for name in PATH),
    Column("absent_bars", "int", "bars that the window lacks; above 0 where the status is PARTIAL"),
    Column("feature_hash", "text", "hash of the policy sections behind the row"),
)

CLASS_PROBABILITIES: Final = ("p_range", "p_trend", "p_volatile")
OK_SHARES: Final = ("ok_share_held", "ok_share_open")
VARIANCES: Final = ("variance_24h", "variance_168h", "variance_720h")
HOLD: Final = ("hold_24h", "hold_72h")
_HOLD_RANGE: Final = (
    Column("hold_24h", "float", "probability that every close of 24 hours stays in the discovered range, 0..1"),
    Column("hold_72h", "float", "probability that every close of 72 hours stays in the discovered range, 0..1"),
)

RANKED: Final = (
    "efficiency_ratio",
    "adx",
    "slope_t",
    "donchian_excess_atr",
    "variance_ratio_z",
    "ou_t",
    "median_crossings",
    "autocorrelation",
    "log_volatility",
    "vol_log_ratio",
)
"""Features that are ranked; the blended rank of `x` is `rank_x` (0..100, 50 = no evidence, high = for its score)."""

SCORES: Final = (
    *_OBSERVATION,
    Column("ranked_observations", "int", "earlier observations the ranks were taken in"),
    *(Column(f"rank_{name}", "float", f"blended rank of {name} as its score reads it, 0..100") for name in RANKED),
    Column("trend_score", "float", "0..100"),
    Column("mean_rev_score", "float", "0..100"),
    Column("vol_change_score", "float", "0..100"),
    Column("range_quality_score", "float", "0..100"),
    Column("grid_capacity_score", "float", "0..100"),
    Column("grid_levels", "int", "levels that fit the suggested band net of fees"),
    Column("grid_net_gain_bps", "float", "net gain of one round trip, basis points"),
    Column("trend_votes", "int", "how many of ADX, ER and slope show a trend of one sign, signed, -3..3"),
    Column("is_trend_confirmed", "flag", "two of ADX, ER and slope agree on this bar"),
    Column("p_range", "float", "calibrated probability that the market ranges, 0..1"),
    Column("p_trend", "float", "calibrated probability of a trend, 0..1"),
    Column("p_volatile", "float", "calibrated probability of a volatile market, 0..1"),
    Column("ok_share_held", "float", "share of p_range that is RANGE_OK's while the verdict is RANGE_OK, 0..1"),
    Column("ok_share_open", "float", "share of p_range that is RANGE_OK's while the verdict is another, 0..1"),
    Column("variance_24h", "float", "mean squared log return per hour over 24 hours"),
    Column("variance_168h", "float", "mean squared log return per hour over 168 hours"),
    Column("variance_720h", "float", "mean squared log return per hour over 720 hours"),
    *_HOLD_RANGE,
    Column("score_hash", "text", "hash of the policy sections behind the row and its features"),
)

WEIGHTS: Final = ("weight_range_ok", "weight_range_weak", "weight_trend", "weight_transition")
"""Weights of the verdicts, in the order of `VERDICTS` without INSUFFICIENT_DATA."""

VERDICT_COLUMNS: Final = (
    Column("hour_start", "time", "start of the hour whose close the row describes"),
    Column("as_of_bar", "time", "open time of the newest bar due by then"),
    Column("is_new_bar", "flag", "a bar was due to close within the hour"),
    Column("verdict", "label", "the verdict", VERDICTS),
    Column("instant_verdict", "label", "the verdict before hysteresis", VERDICTS),
    Column("confidence", "float", "calibrated probability that the class of the verdict is right, 0..1"),
    Column("completeness", "float", "share of the rank window that is filled, 0..1"),
    Column("consensus", "float", "share of the verdict's own indicators that agree with it, 0..1"),
    Column("direction", "label", "sign of the move over 36 bars", DIRECTIONS),
    Column("dominant_risk", "label", "what threatens a grid most", RISKS),
    Column("weight_range_ok", "float", "calibrated weight, 0..1; the four sum to 1"),
    Column("weight_range_weak", "float", "calibrated weight, 0..1; the four sum to 1"),
    Column("weight_trend", "float", "calibrated weight, 0..1; the four sum to 1"),
    Column("weight_transition", "float", "calibrated weight, 0..1; the four sum to 1"),
    Column("is_rule_override", "flag", "the verdict of the rule is not the one of the largest weight"),
    Column("range_low", "float", "consensus lower edge, quote currency"),
    Column("range_high", "float", "consensus upper edge, quote currency"),
    Column("range_confidence", "float", "0..1"),
    *_HOLD_RANGE,
    Column("rules_met", "int", "rules that the hour meets, one bit each (verdicts.rules.MetRules)"),
    Column("policy_hash", "text", "hash of the policy behind the row"),
)

DASHBOARD_HOURS: Final = (
    Column("hour_start", "time", "start of the hour whose close the row describes"),
    Column("as_of_bar", "time", "open time of the newest bar closed by then"),
    Column("hour_status", "label", "completeness of the hour's candles", HOUR_STATUSES),
    Column("open", "float", "first price of the hour, quote currency"),
    Column("high", "float", "highest price of the hour, quote currency"),
    Column("low", "float", "lowest price of the hour, quote currency"),
    Column("close", "float", "last price of the hour, quote currency"),
    Column("volume", "float", "base volume of the hour"),
    Column("verdict", "label", "the verdict", VERDICTS),
    Column("confidence", "float", "0..1"),
    Column("direction", "label", "sign of the move over 36 bars", DIRECTIONS),
    Column("dominant_risk", "label", "what threatens a grid most", RISKS),
    Column("trend_score", "float", "0..100"),
    Column("mean_rev_score", "float", "0..100"),
    Column("vol_change_score", "float", "0..100"),
    Column("range_quality_score", "float", "0..100"),
    Column("grid_capacity_score", "float", "0..100"),
    Column("range_low", "float", "consensus lower edge, quote currency"),
    Column("range_high", "float", "consensus upper edge, quote currency"),
    Column("range_confidence", "float", "0..1"),
    *_HOLD_RANGE,
    Column("candle_state", "int", "3D regime code of the newest candle, see regime_state"),
    Column("candle_confidence", "float", "confidence of that 3D regime, 0..1"),
    Column("reason", "text", "the deciding factor in one sentence"),
    Column("policy_hash", "text", "hash of the policy behind the row"),
)
