"""RangeQualityScore: how well the bars respected the edges of the discovered range, boundary evidence only.

Finding the edges belongs to `ranges`; trend and reversion have scores of their own.
"""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.candles import Float64
from regime_pipeline.domain.rows import Rows
from regime_pipeline.policy import ScoresPolicy


def quality_parts(rows: Rows, policy: ScoresPolicy) -> dict[str, Float64]:
    """Return each part of the score, 0..1; float64, shape (n,), NaN where there is no evidence (regimes.md section 5).

    Parameters
    ----------
    rows : Rows
        Feature rows.
    policy : ScoresPolicy
        Corners of the parts.
    """
    p = policy
    touches = np.minimum(rows["touches_low"], rows["touches_high"])
    width = rows["range_width_atr"]
    parts = {
        "containment": np.interp(rows["containment"], [p.containment_zero, p.containment_full], [0.0, 1.0]),
        "touches": np.interp(touches, [0, p.some_touches, p.full_touches], [0.0, p.some_touches_part, 1.0]),
        "traversals": np.interp(
            rows["traversals"], [0, p.some_traversals, p.full_traversals], [0.0, p.some_traversals_part, 1.0]
        ),
        "net_displacement": 1.0 - rows["net_displacement"],
        "failed_breakouts": rows["failed_breakouts"],
        "width": ((width >= p.width_min_atr) & (width <= p.width_max_atr)).astype(np.float64),
    }
    return {name: np.where(np.isnan(width), np.nan, part) for name, part in parts.items()}


def range_quality(rows: Rows, policy: ScoresPolicy) -> Float64:
    """Return RangeQualityScore, 0..100; float64, shape (n,), NaN where the status of the row is not OK.

    A part without evidence (no close left the range) leaves its weight to the others. Without consensus the score is
    capped at `no_consensus_cap`; without any range it is 0.
    """
    weights = policy.quality_weights.model_dump()
    total, share = np.zeros(len(rows["status"])), np.zeros(len(rows["status"]))
    for name, part in quality_parts(rows, policy).items():
        total += weights[name] * np.nan_to_num(part)
        share += weights[name] * ~np.isnan(part)
    score = 100.0 * total / np.where(share > 0, share, 1.0)
    capped = np.where(np.isnan(rows["range_low"]), np.minimum(score, policy.no_consensus_cap), score)
    return np.where(rows["status"] == 0, capped, np.nan)
