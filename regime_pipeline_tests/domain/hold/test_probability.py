"""Tests of `domain.hold.probability`: worked values, order in width and time, the inverse, what has no answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.hold import kernels
from regime_pipeline.domain.hold.kernels import stay_probability
from regime_pipeline.domain.hold.model import HoldModel
from regime_pipeline.domain.hold.probability import band_for, hold_columns, hold_probability
from regime_pipeline.domain.hold.volatility import recent_volatility
from regime_pipeline.services.hold_model import default_hold_model
from regime_pipeline_tests.domain.hold.factories import HOURLY, WORKED, hours_of, simulated

CALM = np.full(3, 4e-5)
MODELS = [WORKED, default_hold_model()]
variances = st.tuples(*[st.floats(1e-8, 1e-2)] * 3)
sides = st.floats(1e-4, 2.0)


@pytest.mark.parametrize(
    ("below", "above", "hours", "volatilities", "expected"),
    [
        (np.log(100 / 95), np.log(105 / 100), 24, (3e-5, 5e-5, 6e-5), 0.79295),
        (0.02, 0.03, 24, CALM, 0.42446),
        (0.05, 0.05, 168, CALM, 0.13708),
    ],
)
def test_worked_values(below: float, above: float, hours: int, volatilities: object, expected: float) -> None:
    found = hold_probability(100, 100 * np.exp(-below), 100 * np.exp(above), hours, volatilities, WORKED)

    assert float(found) == pytest.approx(expected, abs=6e-6)


def test_the_plain_formula_has_its_worked_value() -> None:
    shift = 0.5826 * np.sqrt(5e-5)

    found = stay_probability(np.log(100 / 95) + shift, np.log(1.05) + shift, 24 * 5e-5)

    assert found == pytest.approx(0.76366, abs=6e-6)


@pytest.mark.parametrize("variance", [0.001, 0.02, 0.0999, 0.1001, 0.3, 2.0])
def test_a_walk_in_small_steps_stays_as_often_as_the_formula_says(variance: float) -> None:
    """A random walk on a fine lattice, its distribution carried forward exactly."""
    cells, start = 400, 120
    steps = round(variance * cells**2)
    mass = np.zeros(cells + 1)
    mass[start] = 1.0
    for _ in range(steps):
        mass[1:-1] = 0.5 * (mass[:-2] + mass[2:])
        mass[0] = mass[-1] = 0.0

    assert stay_probability(start / cells, 1 - start / cells, variance) == pytest.approx(mass.sum(), abs=2e-4)


def test_both_forms_of_the_series_agree_where_they_meet() -> None:
    shares = np.linspace(0.01, 0.99, 99)
    for share in shares:
        below, above = (stay_probability(share, 1 - share, 0.1 + nudge) for nudge in (-1e-13, 1e-13))
        assert below == pytest.approx(above, abs=1e-11)


@pytest.mark.parametrize("model", MODELS)
@given(volatilities=variances, below=sides, above=sides, wider=st.floats(1.0, 3.0), hours=st.integers(12, 167))
def test_wider_never_holds_less_and_longer_never_more(
    model: HoldModel, volatilities: tuple[float, ...], below: float, above: float, wider: float, hours: int
) -> None:
    lower, upper = 100 * np.exp(-below), 100 * np.exp(above)
    found = float(hold_probability(100, lower, upper, hours, volatilities, model))
    lower_too = float(hold_probability(100, 100 * np.exp(-below * wider), upper, hours, volatilities, model))
    upper_too = float(hold_probability(100, lower, 100 * np.exp(above * wider), hours, volatilities, model))
    longer = float(hold_probability(100, lower, upper, hours + 1, volatilities, model))

    assert 0.0 <= longer <= found + 1e-12
    assert found <= min(lower_too, upper_too) + 1e-12
    assert max(lower_too, upper_too) <= 1.0


@pytest.mark.parametrize("step_hours", [1, 4])
@given(volatilities=variances, probability=st.floats(0.01, 0.99), hours=st.integers(12, 168))
def test_the_band_of_a_probability_has_that_probability(
    step_hours: int, volatilities: tuple[float, ...], probability: float, hours: int
) -> None:
    model = default_hold_model()
    lower, upper = band_for(2500.0, probability, hours, volatilities, model, step_hours)

    again = hold_probability(2500.0, lower, upper, hours, volatilities, model, step_hours)
    assert float(again) == pytest.approx(probability, abs=1e-9)
    assert np.log(2500.0 / lower) == pytest.approx(np.log(upper / 2500.0), rel=1e-9)


def test_what_has_no_answer_is_nan_and_what_is_outside_is_zero() -> None:
    close = np.array([100, 100, 100, 100, 100, np.nan, 94, 95, 106])
    lower = np.array([np.nan, 95, 105, 0, -5, 95, 95, 95, 95])
    upper = np.array([105, np.nan, 95, 105, 105, 105, 105, 105, 105])

    found = hold_probability(close, lower, upper, 24, CALM[:, None], WORKED)

    assert np.isnan(found).tolist() == [True] * 6 + [False] * 3
    assert found[6:].tolist() == [0, 0, 0]
    assert np.isnan(hold_probability(100, 95, 105, 24, [np.nan, 4e-5, 4e-5], WORKED))
    assert np.isnan(band_for(100, 1.0, 24, CALM, WORKED)[0])
    assert np.isnan(band_for(100, 0.8, 24, [4e-5, 4e-5, np.nan], WORKED)[1])


def test_arrays_broadcast_and_give_what_scalars_give() -> None:
    lower, ahead = np.array([90.0, 95.0, 97.0]), np.array([[12], [72]])

    found = hold_probability(100, lower, 105, ahead, CALM, WORKED)

    assert found.shape == (2, 3)
    alone = [[float(hold_probability(100, low, 105, t, CALM, WORKED)) for low in lower] for (t,) in ahead]
    assert found.tolist() == alone


def test_columns_are_the_probabilities_of_each_hour_and_nan_without_a_band() -> None:
    candles = simulated(1_000)
    hours = hours_of(candles)
    lower, upper = candles.prices("close") * 0.97, candles.prices("close") * 1.05
    lower[900] = np.nan

    known = recent_volatility(candles, hours)

    found = hold_columns(known.close, lower, upper, known.volatilities, default_hold_model(), HOURLY, (24, 72))

    assert list(found) == ["hold_24h", "hold_72h"]
    for name, ahead in (("hold_24h", 24), ("hold_72h", 72)):
        row = hold_probability(
            known.close[950], lower[950], upper[950], ahead, known.volatilities[:, 950], default_hold_model()
        )
        assert found[name][950] == float(row)
        assert np.isnan(found[name][900])
        assert np.isnan(found[name][:300]).all()
        assert not np.isnan(np.delete(found[name][300:], 600)).any()
    assert (found["hold_72h"][901:] < found["hold_24h"][901:]).all()


def test_the_compiled_formula_is_called_once_a_horizon_however_many_hours_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes, formula = [], kernels.hold_probabilities
    monkeypatch.setattr(kernels, "hold_probabilities", lambda *given: sizes.append(len(given[0])) or formula(*given))
    close = np.full(10_000, 100.0)

    hold_columns(close, close * 0.95, close * 1.05, np.full((3, 10_000), 4e-5), default_hold_model(), HOURLY)

    assert sizes == [10_000, 10_000]


def test_a_coefficient_that_is_not_a_number_is_refused_and_every_one_is_hashed() -> None:
    with pytest.raises(UsageError, match="not finite"):
        HoldModel(np.nan, 0, 0, 0, 0, 0)

    hashes = {HoldModel(*(0.1 + 0.1 * (i == k) for i in range(6))).hash for k in range(6)}
    assert len(hashes) == 6
