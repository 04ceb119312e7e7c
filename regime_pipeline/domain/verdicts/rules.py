"""The rules of the verdict: the scores they look at, which rules an observation meets, and the verdict that follows.

See `verdict` for rows of verdicts with weights and confidence, `explanation` for the rules in words.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.features.observations import Observations
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import CLASS_PROBABILITIES, VERDICTS
from regime_pipeline.domain.scoring.grid_capacity import carries_grid
from regime_pipeline.domain.scoring.posterior import edge_distance
from regime_pipeline.policy import Policy

Flags = NDArray[np.bool_]
INSUFFICIENT_DATA, RANGE_OK, RANGE_WEAK, TREND, TRANSITION = range(len(VERDICTS))


@dataclass(frozen=True, eq=False)
class Evidence:
    """Scores over the calendar of observations; float64, shape (d,), NaN where there is no row or no score.

    Parameters
    ----------
    trend, mean_rev, vol_change, quality, capacity : ndarray
        The five scores, 0..100.
    votes : ndarray
        Signed trend votes of each observation.
    levels, net_gain_bps : ndarray
        What a grid could be.
    edge : ndarray
        Distance of the close to the nearer edge of the discovered range, negative outside (`posterior.edge_distance`).
    p_range, p_trend, p_volatile : ndarray
        Class probabilities; NaN where no posterior model was at hand.
    """

    trend: Float64
    mean_rev: Float64
    vol_change: Float64
    quality: Float64
    capacity: Float64
    votes: Float64
    levels: Float64
    net_gain_bps: Float64
    edge: Float64
    p_range: Float64
    p_trend: Float64
    p_volatile: Float64

    def __getitem__(self, places: Int64) -> Evidence:
        """Return the evidence at the given places."""
        return Evidence(**{name: column[places] for name, column in vars(self).items()})


def collect_evidence(calendar: Observations) -> Evidence:
    """Read the evidence from joined feature and score rows."""
    return Evidence(
        trend=calendar.column("trend_score"),
        mean_rev=calendar.column("mean_rev_score"),
        vol_change=calendar.column("vol_change_score"),
        quality=calendar.column("range_quality_score"),
        capacity=calendar.column("grid_capacity_score"),
        votes=calendar.column("trend_votes"),
        levels=calendar.column("grid_levels"),
        net_gain_bps=calendar.column("grid_net_gain_bps"),
        edge=edge_distance({name: calendar.column(name) for name in ("range_low", "range_high", "close")}),
        **{name: calendar.column(name) for name in CLASS_PROBABILITIES},
    )


@dataclass(frozen=True, eq=False)
class MetRules:
    """Which rules each observation meets; bool, shape (d,), False without a score.

    Parameters
    ----------
    is_known : ndarray
        The observation has its scores.
    is_weak : ndarray
        RangeQuality below the gate.
    is_transition : ndarray
        VolChange above its bound.
    is_confirmed : ndarray
        Enough trend votes of one sign on this and the observations before it.
    is_trend : ndarray
        Trend at its bound and confirmed.
    has_quality, has_reversion, has_no_trend : ndarray
        The conditions of RANGE_OK where the scores alone decide.
    has_capacity : ndarray
        A grid fits; RANGE_OK always needs it.
    keeps_range_ok, keeps_trend, keeps_transition : ndarray
        Enough to stay in the verdict once it is held; the last two where the scores alone decide.
    is_outside : ndarray
        The close is outside the discovered range; RANGE_OK needs it inside.
    is_weighed : ndarray
        There are class probabilities, so `posterior_rules` decides; else the scores alone.
    has_probability : ndarray
        P(RANGE) at its bound: the condition of RANGE_OK where there are class probabilities.
    """

    is_known: Flags
    is_weak: Flags
    is_transition: Flags
    is_confirmed: Flags
    is_trend: Flags
    has_quality: Flags
    has_reversion: Flags
    has_no_trend: Flags
    has_capacity: Flags
    keeps_range_ok: Flags
    keeps_trend: Flags
    keeps_transition: Flags
    is_outside: Flags
    is_weighed: Flags
    has_probability: Flags

    def __getitem__(self, places: Int64) -> MetRules:
        """Return the rules at the given places."""
        return MetRules(**{name: column[places] for name, column in vars(self).items()})

    @property
    def may_be_ok(self) -> Flags:
        """What every RANGE_OK needs: a range above the gate, the close inside it, and room for a grid."""
        return np.asarray(~self.is_weak & ~self.is_outside & self.has_capacity)

    @property
    def range_ok_conditions(self) -> Flags:
        """The four conditions of RANGE_OK that applied; bool, shape (4, d)."""
        by_weights = [~self.is_weak, ~self.is_outside, self.has_probability, self.has_capacity]
        by_scores = [self.has_quality, self.has_reversion, self.has_no_trend, self.has_capacity]
        return np.where(self.is_weighed, by_weights, by_scores)

    @property
    def code(self) -> NDArray[np.int32]:
        """The rules as one number an observation: bit k stands for the k-th of the fields; int32, shape (d,)."""
        codes = np.zeros(len(self.is_known), dtype=np.int32)
        for bit, column in enumerate(vars(self).values()):
            codes |= column.astype(np.int32) << bit
        return codes

    @classmethod
    def from_code(cls, codes: NDArray[Any]) -> MetRules:
        """Return the rules of stored numbers, the inverse of `code`."""
        return cls(*((codes >> bit & 1).astype(np.bool_) for bit in range(len(fields(cls)))))


def apply_rules(evidence: Evidence, policy: Policy) -> MetRules:
    """Compare the evidence with every bound (regimes.md section 6)."""
    e, bounds = evidence, policy.verdict
    is_confirmed = _confirmed(e.votes, policy.scores.min_trend_votes, bounds.trend_observations)
    has_capacity = carries_grid(e.levels, e.net_gain_bps, policy.grid_capacity)
    is_weak, is_outside, is_weighed = e.quality < bounds.range_weak_below, e.edge < 0.0, ~np.isnan(e.p_range)
    keeps_scores = (e.quality >= bounds.leave_range_ok_quality_below) & (e.trend < bounds.leave_range_ok_trend_from)
    keeps_probability = ~is_weak & (e.p_range >= bounds.leave_range_ok_probability_below)
    return MetRules(
        is_known=~np.isnan(e.trend),
        is_weak=is_weak,
        is_transition=e.vol_change > bounds.transition_above,
        is_confirmed=is_confirmed,
        is_trend=(e.trend >= bounds.trend_from) & is_confirmed,
        has_quality=e.quality >= bounds.range_ok_quality_from,
        has_reversion=e.mean_rev >= bounds.range_ok_mean_rev_from,
        has_no_trend=e.trend < bounds.range_ok_trend_below,
        has_capacity=has_capacity,
        keeps_range_ok=np.where(is_weighed, keeps_probability, keeps_scores) & ~is_outside & has_capacity,
        keeps_trend=e.trend >= bounds.leave_trend_below,
        keeps_transition=e.vol_change >= bounds.leave_transition_below,
        is_outside=is_outside,
        is_weighed=is_weighed,
        has_probability=e.p_range >= bounds.range_ok_probability_from,
    )


def _confirmed(votes: Float64, least: int, observations: int) -> Flags:
    """Whether the last observations all have enough votes of one sign; False where one of them is absent."""
    enough = np.where(np.abs(votes) >= least, np.sign(votes), 0.0)
    confirmed: Flags = enough != 0
    for age in range(1, observations):
        confirmed[age:] &= enough[age:] == enough[:-age]
        confirmed[:age] = False
    return confirmed


def instant_verdicts(rules: MetRules) -> NDArray[np.int8]:
    """Return each observation's verdict on its own, in the seed's order; int8 codes into `VERDICTS`, shape (d,).

    A weak range bars RANGE_OK but neither TRANSITION nor TREND, so a strong trend is TREND.
    """
    is_range = rules.may_be_ok & rules.range_ok_conditions.all(axis=0)
    chosen = np.select(
        [~rules.is_known, rules.is_transition, rules.is_trend, is_range],
        [INSUFFICIENT_DATA, TRANSITION, TREND, RANGE_OK],
        RANGE_WEAK,
    )
    return chosen.astype(np.int8)


def held_by_scores(rules: MetRules, instant: NDArray[np.int8], places: Int64, policy: Policy) -> NDArray[np.int8]:
    """Return the verdicts after hysteresis at the given places, by the scores alone; int8, shape (k,).

    Replayed over the last `hysteresis_observations` observations from a cold start, so there is no hidden state: the
    first observation's verdict is taken as it is, and so is the first after missing data.
    """
    from regime_pipeline.domain.scoring.kernels import hold_verdicts

    bounds = policy.verdict
    stays = np.zeros((len(VERDICTS), len(instant)), dtype=np.bool_)
    is_range = (instant == RANGE_WEAK) | (instant == RANGE_OK)
    stays[RANGE_OK] = rules.keeps_range_ok & (instant == RANGE_WEAK)
    stays[TREND] = rules.keeps_trend & is_range
    stays[TRANSITION] = rules.keeps_transition & (is_range | (instant == TREND))
    confirm = np.full(len(VERDICTS), bounds.confirm_observations, dtype=np.int64)
    confirm[[TREND, TRANSITION]] = bounds.alarm_confirm_observations
    held: NDArray[np.int8] = hold_verdicts(
        instant, stays, places, bounds.hysteresis_observations, confirm, INSUFFICIENT_DATA
    )
    return held
