"""How probable a range is, counted from the stop: the calibrated probabilities of each bar, filtered since then.

A stop says that the range is over, so the filter begins with the opposite and is won over bar by bar. Bars share most
of their windows, so each counts for little. The values were chosen on simulated stops and reported on others
(docs/decisions/0026-a-range-since-the-stop.md); see `conditions` for the condition of gate 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from regime_pipeline.policy.gates import GateThresholds

ClassWeights = tuple[float, float, float]
"""Of RANGE, TREND and VOLATILE; they sum to 1."""
AT_THE_STOP: Final[ClassWeights] = (0.02, 0.49, 0.49)
_LEAST: Final = 1e-9
"""A bar that calls a class impossible leaves it this much, so that no filter is stuck."""


def after_bar(
    weights: ClassWeights | None, probabilities: Sequence[float], thresholds: GateThresholds
) -> ClassWeights | None:
    """Return the weights after one more bar.

    Parameters
    ----------
    weights : tuple of float or None
        Before the bar; None while no bar since the stop has had probabilities.
    probabilities : sequence of float, length 3
        Of RANGE, TREND and VOLATILE on the bar, from the scores; NaN where they are not known, which say nothing.
    thresholds : GateThresholds
        `regime_stays`, `bar_weight`.

    Returns
    -------
    tuple of float or None
        They sum to 1; None still without any probability.
    """
    is_known = all(p == p for p in probabilities)
    if weights is None and not is_known:
        return None
    stays = thresholds.regime_stays
    moved = [stays * w + (1.0 - stays) * (1.0 - w) / 2.0 for w in weights or AT_THE_STOP]
    if is_known:
        moved = [w * max(p, _LEAST) ** thresholds.bar_weight for w, p in zip(moved, probabilities, strict=True)]
    total = sum(moved)
    in_range, in_trend, in_turmoil = (w / total for w in moved)
    return in_range, in_trend, in_turmoil
