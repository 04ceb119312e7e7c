"""Tests of `policy_gates`: thresholds that contradict one another are refused, symbols have their own."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from regime_pipeline.policy import default_policy
from regime_pipeline.policy.gates import GatesPolicy, GateThresholds

GATES = default_policy().gates


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("adx_weak_below", 25.0, "adx_weak_below must be below adx_falling_below"),
        ("half_life_min_bars", 12.0, "half_life_min_bars must be below half_life_max_bars"),
        ("width_min_atr", 13.0, "width_min_atr must be below width_max_atr"),
        ("hold_bars", 0, "greater than or equal to 1"),
        ("efficiency_ratio_below", 1.5, "less than or equal to 1"),
    ],
)
def test_contradictions_are_refused_with_a_reason(field: str, value: float, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        GateThresholds(**{**GATES.default.model_dump(), field: value})


def test_a_symbol_has_its_own_thresholds_and_others_the_default() -> None:
    own = GATES.default.model_copy(update={"hold_bars": 9})
    policy = GatesPolicy(default=GATES.default, symbols={"ETH-USDT": own})

    assert policy.of("ETH-USDT") == own
    assert policy.of("BTC-USDT") == GATES.default
    with pytest.raises(ValidationError, match="symbols"):
        GatesPolicy(default=GATES.default, symbols={"eth": own})
