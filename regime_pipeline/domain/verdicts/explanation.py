"""The verdict in words: every rule with its inputs, threshold, margin, outcome and one sentence, as JSON text.

The rules themselves stand in `verdict_evidence`; nothing is decided here.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.schema import DIRECTIONS, STATUSES, VERDICTS
from regime_pipeline.domain.verdicts.rules import (
    INSUFFICIENT_DATA,
    RANGE_OK,
    RANGE_WEAK,
    TRANSITION,
    TREND,
    Evidence,
    Flags,
    Rules,
)
from regime_pipeline.policy import Policy

Codes = NDArray[np.int8]
DECIDED: Final = "decided"
MET: Final = "met"
NOT_MET: Final = "not met"
_FACTOR: Final = (
    '{"rule":"%s","inputs":{%s},"threshold":%s,"margin":%s,"outcome":"%%s","sentence":"%s"}'  # filled by rule, row
)


def factors_json(
    evidence: Evidence, met: Rules, rows: Rows, instant: Codes, verdict: Codes, policy: Policy
) -> NDArray[Any]:
    """Return each verdict's factors as JSON text, object, shape (k,).

    Parameters
    ----------
    evidence, met : Evidence, Rules
        What the rules saw, at the k places.
    rows : Rows
        Joined feature and score rows of the places.
    instant, verdict : ndarray of int8, shape (k,)
        Verdict before and after hysteresis.
    policy : Policy
        The thresholds to name.

    Returns
    -------
    ndarray
        Lists of `{rule, inputs, threshold, margin, outcome, sentence}`. A margin is positive where the rule is met
        and null where it is no number. Exactly one outcome is "decided", the others are "met" or "not met". Without
        enough data the list holds the rule DATA alone.
    """
    deciding = _deciding(met, instant, verdict)
    rules = [
        _data(rows, met, deciding, policy),
        _weak_gate(evidence, met, rows, deciding, policy),
        _transition(evidence, met, deciding, policy),
        _trend(evidence, met, rows, deciding, policy),
        _range_ok(evidence, met, deciding, policy),
        _capacity(evidence, met, deciding, policy),
        _confirmation(instant, verdict, deciding, policy),
    ]
    texts = [
        f"[{','.join(parts)}]" if known else f"[{parts[0]}]"
        for known, parts in zip(met.is_known.tolist(), zip(*rules, strict=True), strict=True)
    ]
    return _objects(texts)


def competing_json(weights: Float64, verdict: Codes) -> NDArray[Any]:
    """Return the verdicts that lost with their weights, largest first, as JSON text; object, shape (k,).

    Parameters
    ----------
    weights : ndarray of float64, shape (4, k)
        In the order of `VERDICTS`, insufficient data aside.
    verdict : ndarray of int8, shape (k,)
        The verdict to leave out; insufficient data has no competitors.
    """
    columns = np.arange(len(verdict))
    ordered = weights.copy()
    ordered[np.maximum(verdict, 1) - 1, columns] = -np.inf
    order = np.argsort(-ordered, axis=0, kind="stable")[:-1]
    template = ",".join(['{"verdict":"%s","weight":%.6f}'] * len(order))
    fields: list[list[Any]] = []
    for rank in order:
        fields += [_words(rank + 1, VERDICTS), weights[rank, columns].tolist()]
    texts = [f"[{template % row}]" for row in zip(*fields, strict=True)]
    known = (verdict != INSUFFICIENT_DATA).tolist()
    return _objects([text if is_known else "[]" for text, is_known in zip(texts, known, strict=True)])


_RULES: Final = ("DATA", "RANGE_WEAK_GATE", "TRANSITION", "TREND", "RANGE_OK", "GRID_CAPACITY", "CONFIRMATION")


def _deciding(met: Rules, instant: Codes, verdict: Codes) -> Codes:
    """Index into `_RULES` of the rule that decided each verdict."""
    others_hold = met.has_quality & met.has_reversion & met.has_no_trend
    chosen = np.select(
        [
            verdict == INSUFFICIENT_DATA,
            verdict != instant,
            verdict == TRANSITION,
            verdict == TREND,
            (verdict == RANGE_WEAK) & met.is_weak,
            (verdict == RANGE_WEAK) & others_hold,
        ],
        [_RULES.index(name) for name in ("DATA", "CONFIRMATION", "TRANSITION", "TREND", "RANGE_WEAK_GATE")]
        + [_RULES.index("GRID_CAPACITY")],
        _RULES.index("RANGE_OK"),
    )
    return chosen.astype(np.int8)


def _fill(rule: str, inputs: str, threshold: str, margin: str, sentence: str, columns: list[Any]) -> list[str]:
    """One factor per row; `columns` fill inputs, margin, outcome and sentence, in this order."""
    template = _FACTOR % (rule, inputs, threshold, margin, sentence)
    return [template % row for row in zip(*columns, strict=True)]


def _outcomes(rule: str, is_met: Flags, deciding: Codes) -> list[str]:
    """Outcome of the rule in each row."""
    code = np.where(deciding == _RULES.index(rule), 2, is_met)
    return _words(code, (NOT_MET, MET, DECIDED))


def _words(codes: NDArray[Any], words: tuple[str, ...]) -> list[str]:
    """Word of each code."""
    return [words[code] for code in codes.tolist()]


def _numbers(values: Float64, decimals: int) -> list[str]:
    """Numbers as JSON; null for NaN."""
    return ["null" if value != value else f"{value:.{decimals}f}" for value in values.tolist()]


def _objects(texts: list[str]) -> NDArray[Any]:
    """Texts as an object array."""
    out = np.empty(len(texts), dtype=object)
    out[:] = texts
    return out


def _data(rows: Rows, met: Rules, deciding: Codes, policy: Policy) -> list[str]:
    """Whether there are enough bars and observations."""
    least = policy.scores.min_ranked_observations
    counts, status = rows["ranked_observations"], _words(rows["status"], STATUSES)
    sentences = (
        f"the window is whole and %d of at least {least} earlier observations are there.",
        f"the window is whole but only %d of at least {least} earlier observations are there.",
        "a bar is missing inside the window of 168 bars (%d earlier observations are there).",
        "the series is younger than the window of 168 bars (%d earlier observations are there).",
    )
    window = str(policy.features.window_bars)
    case = np.where(rows["status"] == 0, ~met.is_known, rows["status"] + 1)
    texts = [sentences[i].replace("168", window) % n for i, n in zip(case.tolist(), counts.tolist(), strict=True)]
    return _fill(
        "DATA",
        '"status":"%s","ranked_observations":%d',
        str(least),
        "%d",
        "Data: %s",
        [status, counts.tolist(), (counts - least).tolist(), _outcomes("DATA", met.is_known, deciding), texts],
    )


def _weak_gate(evidence: Evidence, met: Rules, rows: Rows, deciding: Codes, policy: Policy) -> list[str]:
    """Step 1: whether the range is weak."""
    bound = policy.verdict.range_weak_below
    quality = evidence.quality.tolist()
    has_consensus = ~np.isnan(rows["range_low"])
    words = (
        f"is not below {bound:g}: a range is possible.",
        f"is below {bound:g}: the range is weak and RANGE_OK is barred.",
        f"is below {bound:g} because the methods agree on no range: RANGE_OK is barred.",
    )
    case = np.where(met.is_weak, np.where(has_consensus, 1, 2), 0)
    return _fill(
        "RANGE_WEAK_GATE",
        '"range_quality_score":%.2f,"range_methods":%d,"range_agreement":%s',
        f"{bound:g}",
        "%.2f",
        "RangeQuality %.1f %s",
        [
            quality,
            rows["range_methods"].tolist(),
            _numbers(rows["range_agreement"], 3),
            (bound - evidence.quality).tolist(),
            _outcomes("RANGE_WEAK_GATE", met.is_weak, deciding),
            quality,
            _words(case, words),
        ],
    )


def _transition(evidence: Evidence, met: Rules, deciding: Codes, policy: Policy) -> list[str]:
    """Step 2: whether volatility breaks out."""
    bound = policy.verdict.transition_above
    score = evidence.vol_change
    words = (
        f"is not above {bound:g}: no TRANSITION.",
        f"is above {bound:g}: TRANSITION.",
    )
    return _fill(
        "TRANSITION",
        '"vol_change_score":%.2f',
        f"{bound:g}",
        "%.2f",
        "VolChange %.1f %s",
        [
            score.tolist(),
            (score - bound).tolist(),
            _outcomes("TRANSITION", met.is_transition, deciding),
            score.tolist(),
            _words(met.is_transition.astype(np.int8), words),
        ],
    )


def _trend(evidence: Evidence, met: Rules, rows: Rows, deciding: Codes, policy: Policy) -> list[str]:
    """Step 3: whether there is a confirmed trend."""
    bound, observations = policy.verdict.trend_from, policy.verdict.trend_observations
    votes = evidence.votes
    words = (
        f"is below {bound:g}: no TREND.",
        f"is at least {bound:g} but not confirmed on {observations} observations: no TREND.",
        f"is at least {bound:g} and confirmed on {observations} observations: TREND.",
    )
    case = np.where(met.is_trend, 2, evidence.trend >= bound)
    return _fill(
        "TREND",
        '"trend_score":%.2f,"trend_votes":%d,"direction":"%s"',
        f"{bound:g}",
        "%.2f",
        "Trend %.1f (%d of 3 witnesses) %s",
        [
            evidence.trend.tolist(),
            votes.tolist(),
            _words(rows["direction"], DIRECTIONS),
            (evidence.trend - bound).tolist(),
            _outcomes("TREND", met.is_trend, deciding),
            evidence.trend.tolist(),
            np.abs(votes).tolist(),
            _words(case, words),
        ],
    )


def _range_ok(evidence: Evidence, met: Rules, deciding: Codes, policy: Policy) -> list[str]:
    """Step 4: whether the range is tradable."""
    e, bounds = evidence, policy.verdict
    quality, reversion = bounds.range_ok_quality_from, bounds.range_ok_mean_rev_from
    trend = bounds.range_ok_trend_below
    margins = np.minimum.reduce([e.quality - quality, e.mean_rev - reversion, trend - e.trend])
    names = ("RangeQuality", "MeanRev", "Trend")
    words = tuple(_failing([name for bit, name in enumerate(names) if case >> bit & 1]) for case in range(8))
    case = ~met.has_quality + 2 * ~met.has_reversion + 4 * ~met.has_no_trend
    scores = [e.quality.tolist(), e.mean_rev.tolist(), e.trend.tolist()]
    return _fill(
        "RANGE_OK",
        '"range_quality_score":%.2f,"mean_rev_score":%.2f,"trend_score":%.2f',
        f'{{"range_quality_score":{quality:g},"mean_rev_score":{reversion:g},"trend_score":{trend:g}}}',
        "%.2f",
        f"RangeQuality %.1f (at least {quality:g}), MeanRev %.1f (at least {reversion:g}), "
        f"Trend %.1f (below {trend:g}): %s.",
        [*scores, margins.tolist(), _outcomes("RANGE_OK", case == 0, deciding), *scores, _words(case, words)],
    )


def _failing(names: list[str]) -> str:
    """Words for the conditions that fail."""
    return f"{' and '.join(names)} not met" if names else "all met"


def _capacity(evidence: Evidence, met: Rules, deciding: Codes, policy: Policy) -> list[str]:
    """Step 5: whether a grid fits."""
    bounds = policy.grid_capacity
    words = ("too little for a grid.", "enough for a grid.")
    gains = _numbers(evidence.net_gain_bps, 2)
    return _fill(
        "GRID_CAPACITY",
        '"grid_levels":%d,"grid_net_gain_bps":%s',
        f'{{"grid_levels":{bounds.min_levels},"grid_net_gain_bps":{bounds.min_gain_bps:g}}}',
        "%d",
        f"%d levels fit (at least {bounds.min_levels}), %s bps net per round trip (at least {bounds.min_gain_bps:g}): "
        "%s",
        [
            evidence.levels.tolist(),
            gains,
            (evidence.levels - bounds.min_levels).tolist(),
            _outcomes("GRID_CAPACITY", met.has_capacity, deciding),
            evidence.levels.tolist(),
            ["no" if gain == "null" else gain for gain in gains],
            _words(met.has_capacity.astype(np.int8), words),
        ],
    )


def _confirmation(instant: Codes, verdict: Codes, deciding: Codes, policy: Policy) -> list[str]:
    """Hysteresis: whether the verdict follows this observation."""
    bounds = policy.verdict
    needed = bounds.confirm_observations
    until = f"until {needed} observations in a row say otherwise."
    floor, ceiling = bounds.leave_range_ok_quality_below, bounds.leave_range_ok_trend_from
    words = (
        "the verdict agrees.",
        f"the verdict before it stays {until}",
        f"RANGE_OK stays at RangeQuality from {floor:g}, Trend below {ceiling:g} and room for a grid, else {until}",
        f"TREND stays at Trend from {bounds.leave_trend_below:g}, else {until}",
        f"TRANSITION stays at VolChange from {bounds.leave_transition_below:g}, else {until}",
    )
    held = np.select([verdict == RANGE_OK, verdict == TREND, verdict == TRANSITION], [2, 3, 4], 1)
    case = np.where(verdict == instant, 0, held)
    instants = _words(instant, VERDICTS)
    return _fill(
        "CONFIRMATION",
        '"instant_verdict":"%s","verdict":"%s"',
        str(needed),
        "null",
        "This observation alone says %s: %s",
        [
            instants,
            _words(verdict, VERDICTS),
            _outcomes("CONFIRMATION", verdict == instant, deciding),
            instants,
            _words(case, words),
        ],
    )
