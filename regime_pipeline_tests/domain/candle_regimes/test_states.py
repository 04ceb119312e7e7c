"""Tests of `domain.regime_state`."""

import numpy as np
import pytest

from regime_pipeline.domain.candle_regimes.states import (
    COLORS,
    MOMENTA,
    REGIME_STATES,
    SIMPLIFIED,
    SIMPLIFIED_OF_STATE,
    TRENDS,
    VOLATILITIES,
    pack_state,
    parse_full_regime,
)
from regime_pipeline.domain.errors import UsageError


def test_codes_are_positions_and_unique() -> None:
    assert [state.state for state in REGIME_STATES] == list(range(19))
    assert len({state.full_regime for state in REGIME_STATES}) == 19


def test_every_combination_packs_to_its_own_state() -> None:
    for trend, trend_name in enumerate(TRENDS):
        for volatility, volatility_name in enumerate(VOLATILITIES):
            for momentum, momentum_name in enumerate(MOMENTA):
                code = pack_state(*(np.array([value], np.int8) for value in (trend, volatility, momentum)))[0]
                state = REGIME_STATES[code]
                assert (state.trend_state, state.volatility_state, state.momentum_state) == (
                    trend_name,
                    volatility_name,
                    momentum_name,
                )


@pytest.mark.parametrize(
    ("full", "simplified"),
    [
        ("UPTREND_LOWVOL_BULLISH", "TREND_UP"),
        ("UPTREND_HIGHVOL_BULLISH", "TREND_UP"),
        ("DOWNTREND_LOWVOL_BEARISH", "TREND_DOWN"),
        ("NEUTRAL_HIGHVOL_WEAK", "CHOPPY"),
        ("NEUTRAL_LOWVOL_BULLISH", "RANGE"),
        ("NEUTRAL_LOWVOL_WEAK", "RANGE"),
        ("NEUTRAL_HIGHVOL_BULLISH", "NEUTRAL"),
        ("UPTREND_LOWVOL_WEAK", "NEUTRAL"),
        ("DOWNTREND_HIGHVOL_BULLISH", "NEUTRAL"),
        ("UNDEFINED", "UNDEFINED"),
    ],
)
def test_the_first_matching_rule_simplifies(full: str, simplified: str) -> None:
    state = parse_full_regime(full)

    assert state.simplified_regime == simplified
    assert SIMPLIFIED[SIMPLIFIED_OF_STATE[state.state]] == simplified


def test_the_old_form_is_accepted_and_nonsense_refused() -> None:
    assert parse_full_regime("uptrend_lowvol_bullishmom") == parse_full_regime("UPTREND_LOWVOL_BULLISH")
    with pytest.raises(UsageError, match="'SIDEWAYS' is not a regime"):
        parse_full_regime("SIDEWAYS")


def test_every_simplified_regime_has_a_colour() -> None:
    assert COLORS.keys() == set(SIMPLIFIED)
    assert len(set(COLORS.values())) == len(SIMPLIFIED)
