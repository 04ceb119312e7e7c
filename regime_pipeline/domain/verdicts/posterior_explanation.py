"""The two rules that listen to the class probabilities, in words: RANGE_OK and CONFIRMATION.

See `explanation` for the other rules, `posterior_rules` for what is decided.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.factors import RuleColumns
from regime_pipeline.domain.schema import CLASS_PROBABILITIES, VERDICTS
from regime_pipeline.domain.verdicts.rules import RANGE_OK, RANGE_WEAK, MetRules
from regime_pipeline.policy import Policy


def range_ok_by_weights(rows: Rows, met: MetRules, policy: Policy) -> RuleColumns:
    """Step 4: whether the range is probable, and the close inside it."""
    bound = policy.verdict.range_ok_probability_from
    probable = f"P(RANGE) {{p_range:.2f}} (at least {bound:g})"
    has_range = ~np.isnan(rows["range_low"])
    outcome = np.select([met.has_probability & met.is_outside, ~met.has_probability], [1, 2], 0)
    outcome = np.where(~met.has_probability & met.is_outside, 3, outcome)
    return RuleColumns(
        "RANGE_OK",
        {name: rows[name] for name in ("p_range", "close", "range_low", "range_high")},
        {"p_range": bound},
        met.has_probability & ~met.is_outside,
        (
            f"{probable}, close inside the range: all met.",
            f"{probable}, but the close is outside the range.",
            f"{probable}, close inside the range: P(RANGE) not met.",
            f"{probable}, close outside the range: neither met.",
            f"{probable}, but the range methods do not agree.",
        ),
        np.where(has_range, outcome, 4),
        rows["p_range"] - bound,
    )


def confirmation_by_weights(rows: Rows, policy: Policy) -> RuleColumns:
    """Hysteresis: whether the verdict is that of the scores on this observation, or the weights hold another."""
    bounds, verdict, instant = policy.verdict, rows["verdict"], rows["instant_verdict"]
    alone = "This hour alone says {instant_verdict}"
    is_kept = (verdict == RANGE_OK) & (instant == RANGE_WEAK)
    return RuleColumns(
        "CONFIRMATION",
        {
            "instant_verdict": np.array(VERDICTS, dtype=object)[instant],
            "verdict": np.array(VERDICTS, dtype=object)[verdict],
            **{name: rows[name] for name in CLASS_PROBABILITIES},
        },
        {"class_margin": bounds.class_margin, "p_range": bounds.leave_range_ok_probability_below},
        verdict == instant,
        (
            f"{alone}, as does the verdict.",
            f"{alone}; {{verdict}} holds until another class leads by {bounds.class_margin:g}.",
            (
                f"{alone}; RANGE_OK holds while P(RANGE) {{p_range:.2f}} is at least"
                f" {bounds.leave_range_ok_probability_below:g}, the close is inside the range and a grid fits."
            ),
        ),
        np.where(verdict == instant, 0, np.where(is_kept, 2, 1)),
    )
