"""The verdict of an hour: the rules in the seed's order, hysteresis, weights of the alternatives, confidence.

Rows hold numbers and codes. See `explanation` for the same in words, `grids.advice` for what a grid should do about it.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.columnar import Rows, rows_at, spread
from regime_pipeline.domain.features.observations import Observations, lookback_hours
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.sorted_times import common_rows
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import CLASS_PROBABILITIES, HOLD, OK_SHARES, RISKS, VERDICT_COLUMNS, WEIGHTS
from regime_pipeline.domain.scoring.posterior import verdict_weights
from regime_pipeline.domain.verdicts.posterior_rules import held_verdicts
from regime_pipeline.domain.verdicts.rules import (
    INSUFFICIENT_DATA,
    RANGE_OK,
    RANGE_WEAK,
    TRANSITION,
    TREND,
    Evidence,
    MetRules,
    apply_rules,
    collect_evidence,
    instant_verdicts,
)
from regime_pipeline.policy import Policy

_CALENDAR: Final = ("hour_start", "as_of_bar", "is_new_bar")
_STRONG_RANK: Final = 70.0
_TREND_INDICATORS: Final = 3.0


def verdict_lookback_hours(market: Market, policy: Policy) -> int:
    """Return how many hours of feature and score rows before an hour its verdict depends on."""
    return lookback_hours(market, policy.verdict.hysteresis_observations + policy.verdict.trend_observations - 2)


def verdict_hash(score_hash: str, policy: Policy) -> str:
    """Return the hash of everything a verdict depends on, given that of its scores."""
    return hashlib.sha256(f"{score_hash}{policy.verdict.hash}".encode()).hexdigest()[:16]


def decide_verdicts(features: Rows, scores: Rows, hours: Int64, market: Market, policy: Policy) -> Rows:
    """Return the verdict of each hour.

    Parameters
    ----------
    features, scores : Rows
        Rows of the hours and of the `verdict_lookback_hours` before each, ascending; earlier ones change nothing,
        an observation that lacks either is insufficient data.
    hours : ndarray of int64, shape (n,)
        Starts of the wanted hours, epoch milliseconds UTC, ascending.
    market : Market
        Whose rows these are.
    policy : Policy
        Section `verdict`, and the bounds of the scores.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The columns of `schema.VERDICT_COLUMNS`. INSUFFICIENT_DATA has confidence 0, no weights (NaN) and
        meets no rule.

    Raises
    ------
    MissingDataError
        A wanted hour has no feature or score row.
    """
    own = rows_at(features, hours, "features")
    rows_at(scores, hours, "scores")
    calendar = Observations.of(_join(features, scores), market)
    places, source = np.unique(calendar.at(hours), return_inverse=True)
    values = _decide(calendar, places, policy)
    computed = tuple(column for column in VERDICT_COLUMNS if column.name not in _CALENDAR)
    rows = {name: features[name][own] for name in _CALENDAR} | spread(computed, values, source.astype(np.int64))
    return {column.name: rows[column.name] for column in VERDICT_COLUMNS}


def _join(features: Rows, scores: Rows) -> Rows:
    """Rows of the hours that have both; a column both have is the scores'."""
    left, right = common_rows(features["hour_start"], scores["hour_start"])
    return {name: column[left] for name, column in features.items()} | {
        name: column[right] for name, column in scores.items()
    }


def _decide(calendar: Observations, places: Int64, policy: Policy) -> Rows:
    """The columns of the verdict at the given places."""
    everywhere = collect_evidence(calendar)
    rules = apply_rules(everywhere, policy)
    instant = instant_verdicts(rules)
    verdict = held_verdicts(everywhere, rules, places, policy)
    evidence, met, rows = everywhere[places], rules[places], _newest(calendar, places)
    weights = _weights(rows, verdict)
    completeness = rows["ranked_observations"] / policy.scores.rank_observations
    consensus = _consensus(verdict, met, rows)
    own_weight = _own(weights, verdict)
    return {
        "verdict": verdict,
        "instant_verdict": instant[places],
        "confidence": _confidence(rows, verdict),
        "completeness": completeness,
        "consensus": consensus,
        "direction": rows["direction"],
        "dominant_risk": _dominant_risk(evidence, policy),
        **dict(zip(WEIGHTS, weights, strict=True)),
        "is_rule_override": met.is_known & (own_weight < np.max(weights, axis=0)),
        **{name: rows[name] for name in ("range_low", "range_high", "range_confidence", *HOLD)},
        "rules_met": np.where(met.is_known, met.code, 0),
        "policy_hash": _hashes(rows["score_hash"], policy),
    }


def _newest(calendar: Observations, places: Int64) -> Rows:
    """The joined rows at the places; every wanted place has one."""
    return {name: column[calendar.row[places]] for name, column in calendar.source.items()}


def _weights(rows: Rows, verdict: NDArray[np.int8]) -> Float64:
    """Calibrated weights of the four verdicts in the order of `VERDICTS`; float64, shape (4, k), NaN without scores."""
    probabilities = np.array([rows[name] for name in CLASS_PROBABILITIES])
    held, open_ = (rows[name] for name in OK_SHARES)
    return verdict_weights(probabilities, np.where(verdict == RANGE_OK, held, open_))


def _confidence(rows: Rows, verdict: NDArray[np.int8]) -> Float64:
    """Calibrated probability of each verdict's class; 0 for insufficient data, and without a fitted model."""
    p_range, p_trend, p_volatile = (np.nan_to_num(rows[name]) for name in CLASS_PROBABILITIES)
    classes = [(verdict == RANGE_OK) | (verdict == RANGE_WEAK), verdict == TREND, verdict == TRANSITION]
    return np.select(classes, [p_range, p_trend, p_volatile], 0.0)


def _own(weights: Float64, verdict: NDArray[np.int8]) -> Float64:
    """Each row's weight of its own verdict; NaN for insufficient data."""
    own = weights[np.maximum(verdict, 1) - 1, np.arange(len(verdict))]
    return np.where(verdict == INSUFFICIENT_DATA, np.nan, own)


def _consensus(verdict: NDArray[np.int8], met: MetRules, rows: Rows) -> Float64:
    """Share of the indicators of a verdict that agree with it, 0..1; 0 for insufficient data.

    RANGE_OK: agreement of the range methods times the share of them that returned. RANGE_WEAK: share of RANGE_OK's
    four conditions that fail. TREND: share of ADX, efficiency ratio and slope. TRANSITION: share of the two
    volatility measures ranked 70 or above.
    """
    conditions = met.range_ok_conditions
    measures = np.array([rows["rank_log_volatility"], rows["rank_vol_log_ratio"]]) >= _STRONG_RANK
    shares = {
        RANGE_OK: np.nan_to_num(rows["range_confidence"]),
        RANGE_WEAK: 1.0 - conditions.sum(axis=0) / len(conditions),
        TREND: np.abs(rows["trend_votes"]) / _TREND_INDICATORS,
        TRANSITION: measures.sum(axis=0) / len(measures),
    }
    return np.select([verdict == code for code in shares], list(shares.values()), 0.0)


def _dominant_risk(evidence: Evidence, policy: Policy) -> NDArray[np.int8]:
    """The larger of the two dangers to a grid where it reaches `risk_from`, else NONE."""
    trend, vol_change = evidence.trend, evidence.vol_change
    larger = np.where(trend >= vol_change, RISKS.index("TREND"), RISKS.index("TRANSITION"))
    return np.where(np.maximum(trend, vol_change) >= policy.verdict.risk_from, larger, 0).astype(np.int8)


def _hashes(score_hashes: NDArray[Any], policy: Policy) -> NDArray[Any]:
    """Hash of each row's scores and the verdict's own section."""
    own = {text: verdict_hash(text, policy) for text in set(score_hashes)}
    return np.array([own[text] for text in score_hashes], dtype=object)
