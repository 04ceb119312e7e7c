"""Candles to verdicts in one call, and how much history that takes: shared by replays, notebooks and checks.

See `features`, `scoring` and `verdict` for the rules of each step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.features.hourly import compute_features, feature_lookback_bars
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.sorted_times import distinct
from regime_pipeline.domain.market_data.window import Int64, hour_of_close
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.domain.scoring.scores import compute_scores, score_lookback_hours
from regime_pipeline.domain.verdicts.verdict import decide_verdicts, verdict_lookback_hours
from regime_pipeline.policy import Policy


class Analysis(NamedTuple):
    """Feature, score and verdict rows of the same n hours; the columns of `layout`."""

    features: Rows
    scores: Rows
    verdicts: Rows


def reach_hours(market: Market, policy: Policy) -> int:
    """Return how many hours before an hour its verdict can depend on: what a bundle must embed."""
    window_ms = feature_lookback_bars(policy) * market.step_ms
    return _row_reach(market, policy) - (-window_ms // HOUR_MS)


def _row_reach(market: Market, policy: Policy) -> int:
    """Hours of feature rows before an hour that its verdict depends on."""
    return score_lookback_hours(market, policy) + verdict_lookback_hours(market, policy)


def observed_hours(candles: Candles) -> Int64:
    """Return the hours whose close is an observation with a candle, up to the last candle's close.

    Returns
    -------
    ndarray of int64, shape (n,)
        Starts of hours, epoch milliseconds UTC, ascending: one per candle at one hour and above, one per hour with a
        candle below. An hour that is not over by the last candle's close is not among them.
    """
    hours = distinct(hour_of_close(candles.market, candles.open_time_ms))
    if not len(hours):
        return hours
    return np.asarray(hours[hours + HOUR_MS <= candles.close_time_ms[-1]])


def analyze(candles: Candles, hours: Int64, policy: Policy, nulls: NullTable) -> Analysis:
    """Return the rows of each hour, from the candles alone.

    Parameters
    ----------
    candles : Candles
        Bars of the hours and of the `reach_hours` before each; earlier and later ones change nothing.
    hours : ndarray of int64, shape (n,)
        Starts of the wanted hours, epoch milliseconds UTC, ascending.
    policy : Policy
        Thresholds.
    nulls : NullTable
        Made for this policy.

    Notes
    -----
    An hour uses bars <= its close. Between the first and the last hour every hour is computed, so ask for hours that
    lie together. With less history than `reach_hours` a verdict is provisional: more history may change it.
    """
    if not len(hours):
        none = np.empty(0, dtype=np.int64)
        features = compute_features(candles, none, policy)
        scores = compute_scores(features, none, candles.market, policy, nulls)
        return Analysis(features, scores, decide_verdicts(features, scores, none, candles.market, policy))
    market, last = candles.market, int(hours[-1]) + HOUR_MS
    first_row = min(int(hours[0]), _first_hour(candles, int(hours[0]) - _row_reach(market, policy) * HOUR_MS))
    first_score = max(first_row, int(hours[0]) - verdict_lookback_hours(market, policy) * HOUR_MS)
    every = np.arange(first_row, last, HOUR_MS, dtype=np.int64)
    features = compute_features(candles, every, policy)
    scores = compute_scores(features, every[every >= first_score], market, policy, nulls)
    verdicts = decide_verdicts(features, scores, hours, market, policy)
    return Analysis(_at(features, hours), _at(scores, hours), verdicts)


def _first_hour(candles: Candles, wanted_ms: int) -> int:
    """The wanted hour, or that of the first candle where the series is younger."""
    if not len(candles):
        return wanted_ms
    return max(wanted_ms, int(hour_of_close(candles.market, candles.open_time_ms[:1])[0]))


def _at(rows: Rows, hours: Int64) -> Rows:
    """The rows of some of the hours."""
    at = np.searchsorted(rows["hour_start"], hours)
    return {name: column[at] for name, column in rows.items()}
