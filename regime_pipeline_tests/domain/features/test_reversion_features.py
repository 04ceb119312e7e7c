"""Mean-reversion features against arch and statsmodels, and on simulated reversion."""

import numpy as np
import pytest

from regime_pipeline.domain.features.families import median_crossings, reversion_features
from regime_pipeline_tests.domain.verdicts.factories import POLICY, flat, from_closes, newest_window, walk

P = POLICY.features


@pytest.mark.parametrize("seed", range(5))
def test_the_variance_ratio_statistic_is_that_of_arch(seed: int) -> None:
    from arch.unitroot import VarianceRatio  # half a second, which every worker would pay to collect

    candles = walk(200, seed)
    y = np.log(candles.prices("close")[-P.variance_ratio_bars - 1 :])

    found = reversion_features(newest_window(candles))

    assert found["variance_ratio_z"][0] == pytest.approx(VarianceRatio(y, lags=P.variance_ratio_q).stat, rel=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_reversion_statistic_is_that_of_dickey_and_fuller(seed: int) -> None:
    import statsmodels.api as sm

    candles = walk(200, seed)
    y = np.log(candles.prices("close")[-P.ou_bars - 1 :])

    fit = sm.OLS(np.diff(y), sm.add_constant(y[:-1])).fit()

    found = reversion_features(newest_window(candles))

    assert found["ou_t"][0] == pytest.approx(fit.tvalues[1], rel=1e-8)
    half_life = -np.log(2) / fit.params[1] if fit.params[1] < 0 else np.nan
    assert found["ou_half_life_bars"][0] == pytest.approx(half_life, rel=1e-8, nan_ok=True)


def test_half_life_is_that_of_the_simulated_reversion() -> None:
    random = np.random.default_rng(7)
    level = np.zeros(400)
    for i in range(1, 400):
        level[i] = 0.8 * level[i - 1] + random.normal()
    lives = [
        reversion_features(newest_window(from_closes(100_000 + 500 * level[: i + 1])))["ou_half_life_bars"][0]
        for i in range(200, 400, 20)
    ]

    assert 1.5 < np.median(lives) < 4.5  # ln 2 / 0.2 = 3.5 bars


def test_a_market_that_runs_away_has_no_half_life() -> None:
    closes = 100_000 + np.rint(10 * 1.05 ** np.arange(200))

    found = reversion_features(newest_window(from_closes(closes)))

    assert np.isnan(found["ou_half_life_bars"][0])
    assert found["ou_t"][0] > 0


def test_a_flat_market_gives_no_evidence_of_reversion() -> None:
    found = reversion_features(newest_window(flat(200)))

    for name in ("variance_ratio_z", "ou_t", "median_crossings", "autocorrelation"):
        assert found[name][0] == 0.0, name
    assert np.isnan(found["ou_half_life_bars"][0])
    assert np.isnan(found["hurst"][0])


def test_autocorrelation_is_the_biased_sample_autocorrelation() -> None:
    candles = walk(200)
    moves = np.diff(np.log(candles.prices("close")))[-P.autocorrelation_bars :]
    centred = moves - moves.mean()

    found = reversion_features(newest_window(candles))

    assert found["autocorrelation"][0] == pytest.approx((centred[1:] @ centred[:-1]) / (centred @ centred), rel=1e-9)


def test_closes_on_the_median_belong_to_no_side() -> None:
    closes = np.full(200, 1_000)
    closes[-48:] = np.tile([1_000, 1_001, 1_000, 999], 12)

    assert median_crossings(newest_window(from_closes(closes))).tolist() == [23.0]


def test_hurst_separates_reverting_from_persistent_paths() -> None:
    random = np.random.default_rng(3)
    steps = random.normal(size=400)
    walking = reversion_features(newest_window(from_closes(100_000 + np.rint(100 * np.cumsum(steps)))))["hurst"][0]
    noise = reversion_features(newest_window(from_closes(100_000 + np.rint(100 * steps))))["hurst"][0]

    assert noise < 0.1 < 0.35 < walking < 0.65
