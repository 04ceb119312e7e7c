"""Trend features against statsmodels and on straight lines and flat markets."""

import numpy as np
import pytest

from regime_pipeline.domain.features.families import donchian_excess, efficiency_ratio, trend_features
from regime_pipeline_tests.domain.verdicts.factories import POLICY, flat, from_closes, newest_window, walk

P = POLICY.features


@pytest.mark.parametrize("seed", range(5))
def test_slope_t_is_the_newey_west_statistic_of_statsmodels(seed: int) -> None:
    import statsmodels.api as sm  # a second, which every worker would pay to collect

    candles = walk(200, seed)
    y = np.log(candles.prices("close")[-P.slope_bars :])
    fit = sm.OLS(y, sm.add_constant(np.arange(len(y)))).fit(cov_type="HAC", cov_kwds={"maxlags": P.slope_lags})

    found = trend_features(newest_window(candles), np.array([1.0]))

    assert found["slope_t"][0] == pytest.approx(fit.tvalues[1], rel=1e-8)


def test_a_straight_line_has_the_largest_slope_t_and_efficiency() -> None:
    rising = newest_window(from_closes(np.rint(1e9 * np.exp(0.01 * np.arange(200)))))

    found = trend_features(rising, np.array([1.0]))

    assert found["slope_t"][0] == 1_000.0
    assert found["efficiency_ratio"][0] == 1.0
    assert found["direction"][0] == 1
    assert found["bars_since_extreme"][0] == 0
    assert found["donchian_excess_atr"][0] == P.donchian_cap_atr


def test_a_flat_market_shows_no_trend() -> None:
    found = trend_features(newest_window(flat(200)), np.array([0.0]))

    assert found["slope_t"][0] == found["efficiency_ratio"][0] == found["donchian_excess_atr"][0] == 0.0
    assert found["direction"][0] == 0
    assert found["bars_since_extreme"][0] == P.extreme_bars


def test_efficiency_ratio_is_net_move_over_path() -> None:
    close = np.array([10, 12, 11, 14])

    assert efficiency_ratio(close, np.array([3]), 3).tolist() == [4 / 6]
    assert efficiency_ratio(close, np.array([3, 2]), 2).tolist() == [2 / 4, 1 / 3]


@pytest.mark.parametrize(("newest", "excess"), [(1_020, 0.0), (1_026, 0.5), (1_070, 2.0), (974, -0.5), (930, -2.0)])
def test_donchian_excess_is_the_signed_way_beyond_the_bars_before_in_atr(newest: int, excess: float) -> None:
    closes = np.tile([980, 1_020], 100)
    closes[-1] = newest

    found = donchian_excess(newest_window(from_closes(closes)), np.array([12.0]))

    assert found[0] == pytest.approx(excess)


@pytest.mark.parametrize("age", [0, 3, 23])
def test_bars_since_extreme_counts_from_the_newest_new_high(age: int) -> None:
    closes = np.full(200, 1_000)
    closes[-1 - age] = 1_050

    found = trend_features(newest_window(from_closes(closes)), np.array([1.0]))

    assert found["bars_since_extreme"][0] == age  # the next bar opens at that high, but does not exceed it
