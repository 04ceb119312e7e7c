"""Why a verdict is what it is: each rule with its inputs, threshold, margin, outcome and one sentence.

Everything is made from stored rows and the policy that decided them; nothing is decided here. See `rules` for the
rules, `domain.factors` for the shape of a factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.factors import Factor, RuleColumns
from regime_pipeline.domain.schema import CLASS_PROBABILITIES, DIRECTIONS, OK, PARTIAL, STATUSES, VERDICTS, WEIGHTS
from regime_pipeline.domain.scoring.posterior import RANGE, VOLATILE
from regime_pipeline.domain.scoring.posterior import TREND as TREND_CLASS
from regime_pipeline.domain.verdicts.posterior_explanation import confirmation_by_weights, range_ok_by_weights
from regime_pipeline.domain.verdicts.rules import (
    INSUFFICIENT_DATA,
    RANGE_OK,
    RANGE_WEAK,
    TRANSITION,
    TREND,
    MetRules,
)
from regime_pipeline.policy import Policy

RULES: Final = (
    "DATA",
    "RANGE_WEAK_GATE",
    "TRANSITION",
    "TREND",
    "RANGE_OK",
    "GRID_CAPACITY",
    "CONFIRMATION",
    "WEIGHTS",
)
"""In the order in which an explanation names them."""
NEEDED: Final = {
    "features": ("hour_start", "absent_bars", "range_methods", "range_agreement", "range_high", "close"),
    "scores": (
        *("hour_start", "status", "ranked_observations", "trend_score", "mean_rev_score", "vol_change_score"),
        *("range_quality_score", "grid_levels", "grid_net_gain_bps", "trend_votes", *CLASS_PROBABILITIES),
    ),
}
"""Columns of other tables that an explanation is made of, besides the verdict's own row."""
_TREND_INDICATORS: Final = 3


def explain(verdicts: Rows, scores: Rows, features: Rows, policy: Policy) -> list[list[Factor]]:
    """Return the factors of each hour.

    Parameters
    ----------
    verdicts, scores, features : Rows
        Rows of the same n hours, as decided under the policy; see `NEEDED` for the columns that are read.
    policy : Policy
        The one that decided them.

    Returns
    -------
    list of list of Factor, n lists
        In the order of `RULES`; exactly one outcome of an hour is "decided". Without enough data the list holds the
        rule DATA alone.
    """
    is_weighed = MetRules.from_code(verdicts["rules_met"]).is_weighed
    found: list[list[Factor]] = [[] for _ in is_weighed]
    for by_weights in (True, False):
        at = np.flatnonzero(is_weighed == by_weights)
        parts = ({name: column[at] for name, column in rows.items()} for rows in (features, scores, verdicts))
        rows = {name: column for part in parts for name, column in part.items()}
        for place, factors in zip(at.tolist(), _explained(rows, policy, by_weights), strict=True):
            found[place] = factors
    return found


def _explained(rows: Rows, policy: Policy, by_weights: bool) -> list[list[Factor]]:
    """The factors of hours that were all decided the same way: by the weights, or by the scores alone."""
    met = MetRules.from_code(rows["rules_met"])
    decider = deciding_rule(met, rows["instant_verdict"], rows["verdict"])
    first = [make(rows, met, policy) for make in (_data, _weak_gate, _transition, _trend)]
    range_ok = range_ok_by_weights(rows, met, policy) if by_weights else _range_ok(rows, met, policy)
    confirmation = confirmation_by_weights(rows, policy) if by_weights else _confirmation(rows, policy)
    columns = (*first, range_ok, _capacity(rows, met, policy), confirmation, _weights(rows, met, policy))
    known, listed = met.is_known.tolist(), _listed(columns, decider)
    return [list(factors) if is_known else [factors[0]] for is_known, factors in zip(known, listed, strict=True)]


def _listed(columns: Sequence[RuleColumns], decider: NDArray[Any]) -> Iterator[tuple[Factor, ...]]:
    """The factors of each hour."""
    return zip(*(rule.factors(decider == place) for place, rule in enumerate(columns)), strict=True)


def weights_of(verdicts: Rows) -> list[list[dict[str, Any]]]:
    """Return the four verdicts of each hour with their weights, largest first; empty without weights.

    Parameters
    ----------
    verdicts : Rows
        `verdict` and the columns of `schema.WEIGHTS`, n rows.
    """
    weights = np.array([verdicts[name] for name in WEIGHTS])
    is_known = ~np.isnan(weights).any(axis=0) & (verdicts["verdict"] != INSUFFICIENT_DATA)
    found: list[list[dict[str, Any]]] = []
    for known, column in zip(is_known.tolist(), weights.T.tolist(), strict=True):
        ordered = sorted(zip(column, VERDICTS[1:], strict=True), key=lambda pair: -pair[0]) if known else []
        found.append([{"verdict": name, "weight": round(weight, 6)} for weight, name in ordered])
    return found


def competing(verdicts: Rows) -> list[list[dict[str, Any]]]:
    """Return the other verdicts of each hour with their weights, largest first; empty without weights."""
    rows = zip(verdicts["verdict"].tolist(), weights_of(verdicts), strict=True)
    return [[each for each in weights if each["verdict"] != VERDICTS[verdict]] for verdict, weights in rows]


def deciding_rule(met: MetRules, instant: NDArray[Any], verdict: NDArray[Any]) -> NDArray[np.int8]:
    """Return which of `RULES` decided each verdict; int8, shape (n,)."""
    conditions_hold = met.range_ok_conditions[:3].all(axis=0) & ~met.is_outside
    names = ("DATA", "CONFIRMATION", "TRANSITION", "TREND", "RANGE_WEAK_GATE", "GRID_CAPACITY")
    chosen = np.select(
        [
            verdict == INSUFFICIENT_DATA,
            verdict != instant,
            verdict == TRANSITION,
            verdict == TREND,
            (verdict == RANGE_WEAK) & met.is_weak,
            (verdict == RANGE_WEAK) & conditions_hold,
        ],
        [RULES.index(name) for name in names],
        RULES.index("RANGE_OK"),
    )
    return chosen.astype(np.int8)


def _named(codes: NDArray[Any], names: tuple[str, ...]) -> NDArray[Any]:
    """The name of each code, object."""
    named: NDArray[Any] = np.array(names, dtype=object)[codes]
    return named


def _data(rows: Rows, met: MetRules, policy: Policy) -> RuleColumns:
    """Whether there are enough bars and observations."""
    least, window = policy.scores.min_ranked_observations, policy.features.window_bars
    counted, lacks = "{ranked_observations} earlier observations", "The window lacks {absent_bars} bars"
    return RuleColumns(
        "DATA",
        {
            "status": _named(rows["status"], STATUSES),
            "absent_bars": rows["absent_bars"],
            "ranked_observations": rows["ranked_observations"],
        },
        least,
        met.is_known,
        (
            f"The window is complete, with {counted} (at least {least} needed).",
            f"The window is complete, but there are only {counted} (at least {least} needed).",
            f"Too many of the last {window} bars are missing, or a newest one ({counted}).",
            f"Still warming up: the series has fewer than {window} bars ({counted}).",
            f"{lacks} and is computed without them, with {counted} (at least {least} needed).",
            f"{lacks}, and there are only {counted} (at least {least} needed).",
        ),
        np.select(
            [rows["status"] == OK, rows["status"] == PARTIAL],
            [~met.is_known, STATUSES.index("PARTIAL") + 1 + ~met.is_known],
            rows["status"] + 1,
        ),
        (rows["ranked_observations"] - least).astype(np.float64),
    )


def _weak_gate(rows: Rows, met: MetRules, policy: Policy) -> RuleColumns:
    """Step 1: whether the range is too weak."""
    bound, quality = policy.verdict.range_weak_below, rows["range_quality_score"]
    said = "Range quality {range_quality_score:.1f}"
    return RuleColumns(
        "RANGE_WEAK_GATE",
        {name: rows[name] for name in ("range_quality_score", "range_methods", "range_agreement")},
        bound,
        met.is_weak,
        (
            f"{said} is not below {bound:g}: a range is possible.",
            f"{said} is below {bound:g}: too weak for RANGE_OK.",
            f"{said} is below {bound:g} because the range methods do not agree: no RANGE_OK.",
        ),
        np.where(met.is_weak, np.where(np.isnan(rows["range_low"]), 2, 1), 0),
        bound - quality,
    )


def _transition(rows: Rows, met: MetRules, policy: Policy) -> RuleColumns:
    """Step 2: whether volatility breaks out."""
    bound = policy.verdict.transition_above
    said = "Volatility change {vol_change_score:.1f}"
    return RuleColumns(
        "TRANSITION",
        {"vol_change_score": rows["vol_change_score"]},
        bound,
        met.is_transition,
        (f"{said} is not above {bound:g}: no TRANSITION.", f"{said} is above {bound:g}: TRANSITION."),
        met.is_transition.astype(np.int8),
        rows["vol_change_score"] - bound,
    )


def _trend(rows: Rows, met: MetRules, policy: Policy) -> RuleColumns:
    """Step 3: whether there is a confirmed trend."""
    bound, needed = policy.verdict.trend_from, policy.verdict.trend_observations
    votes = rows["trend_votes"]
    said = f"Trend {{trend_score:.1f}} ({{agreeing_indicators}} of {_TREND_INDICATORS} indicators agree)"
    return RuleColumns(
        "TREND",
        {
            "trend_score": rows["trend_score"],
            "trend_votes": votes,
            "agreeing_indicators": np.abs(votes),
            "direction": _named(rows["direction"], DIRECTIONS),
        },
        bound,
        met.is_trend,
        (
            f"{said} is below {bound:g}: no TREND.",
            f"{said} is at least {bound:g} but not confirmed on {needed} observations in a row: no TREND.",
            f"{said} is at least {bound:g}, confirmed on {needed} observations in a row: TREND.",
        ),
        np.where(met.is_trend, 2, rows["trend_score"] >= bound),
        rows["trend_score"] - bound,
    )


def _range_ok(rows: Rows, met: MetRules, policy: Policy) -> RuleColumns:
    """Step 4 by the scores alone: whether the range is tradable."""
    quality, reversion = policy.verdict.range_ok_quality_from, policy.verdict.range_ok_mean_rev_from
    trend = policy.verdict.range_ok_trend_below
    said = (
        f"Range quality {{range_quality_score:.1f}} (at least {quality:g}), mean reversion {{mean_rev_score:.1f}} "
        f"(at least {reversion:g}), trend {{trend_score:.1f}} (below {trend:g})"
    )
    names = ("range quality", "mean reversion", "trend", "close inside the range")
    failing = [" and ".join(name for bit, name in enumerate(names) if case >> bit & 1) for case in range(16)]
    case = ~met.has_quality + 2 * ~met.has_reversion + 4 * ~met.has_no_trend + 8 * met.is_outside
    return RuleColumns(
        "RANGE_OK",
        {name: rows[name] for name in ("range_quality_score", "mean_rev_score", "trend_score")},
        {"range_quality_score": quality, "mean_rev_score": reversion, "trend_score": trend},
        case == 0,
        tuple(f"{said}: {f'{names} not met' if names else 'all met'}." for names in failing),
        case,
        np.minimum.reduce(
            [rows["range_quality_score"] - quality, rows["mean_rev_score"] - reversion, trend - rows["trend_score"]]
        ),
    )


def _capacity(rows: Rows, met: MetRules, policy: Policy) -> RuleColumns:
    """Step 5: whether a grid fits."""
    levels, gain = policy.grid_capacity.min_levels, policy.grid_capacity.min_gain_bps
    held = f"{policy.grid_capacity.band_probability:.0%} for {policy.grid_capacity.band_hours} h"
    fit = f"{{grid_levels}} levels fit the suggested band ({held}; at least {levels})"
    net = f"{{grid_net_gain_bps:.1f}} bps net per round trip (at least {gain:g})"
    return RuleColumns(
        "GRID_CAPACITY",
        {"grid_levels": rows["grid_levels"], "grid_net_gain_bps": rows["grid_net_gain_bps"]},
        {"grid_levels": levels, "grid_net_gain_bps": gain},
        met.has_capacity,
        (
            f"{fit}, {net}: too little for a grid.",
            f"{fit}, {net}: enough for a grid.",
            f"{fit}: no grid fits.",
        ),
        np.where(np.isnan(rows["grid_net_gain_bps"]), 2, met.has_capacity),
        (rows["grid_levels"] - levels).astype(np.float64),
    )


def _confirmation(rows: Rows, policy: Policy) -> RuleColumns:
    """Hysteresis of the scores alone: whether the verdict follows this observation."""
    bounds, verdict, instant = policy.verdict, rows["verdict"], rows["instant_verdict"]
    until = f"or until {bounds.confirm_observations} observations in a row disagree."
    quality, trend = bounds.leave_range_ok_quality_below, bounds.leave_range_ok_trend_from
    tradable = f"range quality is at least {quality:g}, trend is below {trend:g} and a grid fits"
    alone = "This hour alone says {instant_verdict}"
    held = np.select([verdict == RANGE_OK, verdict == TREND, verdict == TRANSITION], [2, 3, 4], 1)
    return RuleColumns(
        "CONFIRMATION",
        {"instant_verdict": _named(instant, VERDICTS), "verdict": _named(verdict, VERDICTS)},
        bounds.confirm_observations,
        verdict == instant,
        (
            f"{alone}, as does the verdict.",
            f"{alone}; {{verdict}} holds until {bounds.confirm_observations} observations in a row disagree.",
            f"{alone}; RANGE_OK holds while {tradable}, {until}",
            f"{alone}; TREND holds while the trend score is at least {bounds.leave_trend_below:g}, {until}",
            f"{alone}; TRANSITION holds while volatility change is at least {bounds.leave_transition_below:g}, {until}",
        ),
        np.where(verdict == instant, 0, held),
    )


def _weights(rows: Rows, met: MetRules, policy: Policy) -> RuleColumns:
    """Whether the verdict of the rules is the one of the largest weight."""
    weights = np.array([rows[name] for name in WEIGHTS])
    heaviest = np.argmax(np.nan_to_num(weights, nan=-1.0), axis=0)
    own = weights[np.maximum(rows["verdict"], 1) - 1, np.arange(len(heaviest))]
    is_known = ~np.isnan(own)
    largest = np.where(is_known, weights[heaviest, np.arange(len(heaviest))], np.nan)
    agrees = is_known & (own >= largest)
    class_of = np.array([RANGE, RANGE, TREND_CLASS, VOLATILE])
    is_held = met.is_weighed & (class_of[heaviest] != class_of[np.maximum(rows["verdict"], 1) - 1])
    favoured = "The weights favour {heaviest} ({heaviest_weight:.2f}) over {verdict} ({weight:.2f})"
    return RuleColumns(
        "WEIGHTS",
        {
            "verdict": _named(rows["verdict"], VERDICTS),
            "weight": own,
            "heaviest": _named(heaviest + 1, VERDICTS),
            "heaviest_weight": largest,
        },
        None,
        agrees,
        (
            f"{favoured}; the verdict follows the rules above.",
            "The weights agree: {verdict} has {weight:.2f}.",
            "There are no weights for this row.",
            f"{favoured}; a change of class needs a lead of {policy.verdict.class_margin:g}.",
        ),
        np.select([~is_known, agrees, is_held], [2, 1, 3], 0),
        own - largest,
    )
