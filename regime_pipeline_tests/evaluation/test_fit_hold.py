"""Tests of `evaluation.fit_hold`: planted numbers are found again, and the shipped ones hold on real markets."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.evaluation.fit_hold import bands_to_fit, fit_hold_model, main
from regime_pipeline.evaluation.hold_forecasts import JUDGED_HORIZONS, discovered_ranges, drawn_bands, joined
from regime_pipeline.evaluation.hold_markets import FIT, HELD_OUT, HoldSeries, read_markets
from regime_pipeline.evaluation.hold_report import report
from regime_pipeline.evaluation.hold_scores import PLAIN_BARRIER, fit_width_alone, score
from regime_pipeline.policy import default_policy
from regime_pipeline.services.hold_model import default_hold_model
from regime_pipeline_tests.domain.hold.factories import WORKED, simulated
from regime_pipeline_tests.evaluation.test_hold_scores import bands

pytestmark = pytest.mark.slow


def test_planted_numbers_are_found_again_and_nowhere_is_more_likely() -> None:
    sample = bands(60_000)

    found = fit_hold_model(sample)

    def likelihood(model: object) -> float:
        said = np.clip(sample.probability(model), 1e-9, 1 - 1e-9)  # type: ignore[arg-type]
        return float(np.log(np.where(sample.held, said, 1 - said)).sum())

    assert likelihood(found) >= likelihood(WORKED)
    np.testing.assert_allclose(found.coefficients, WORKED.coefficients, atol=0.12)
    for place in range(6):
        for nudge in (-0.02, 0.02):
            moved = list(astuple(found))
            moved[place] += nudge
            assert likelihood(type(found)(*moved)) < likelihood(found)


def test_the_report_has_every_table_with_the_baselines_beside() -> None:
    series = [HoldSeries(part, simulated(1_500, seed=n)) for n, part in enumerate((FIT, *HELD_OUT))]
    fitted = bands_to_fit(series)

    text = report(fit_hold_model(fitted), fitted, series, 9)

    assert text.count("\n## ") == 6, "each bar length above an hour is one"
    for baseline in ("climatology", "width alone", "volatility alone", "plain barrier", "six numbers"):
        assert text.count(f"| {baseline} |") == (5 if baseline == "six numbers" else 3)


def test_a_folder_without_the_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no file .*ETH_USDT-1h\.json\.gz"):
        main([str(tmp_path)])


@pytest.fixture(scope="module")
def series(shared_data: Path) -> list[HoldSeries]:
    return read_markets(shared_data)


@pytest.mark.slow
def test_the_shipped_numbers_are_what_the_command_fits(series: list[HoldSeries]) -> None:
    np.testing.assert_allclose(
        fit_hold_model(bands_to_fit(series)).coefficients, default_hold_model().coefficients, atol=2e-5
    )


@pytest.mark.slow
def test_the_shipped_numbers_hold_on_markets_and_years_that_were_not_fitted(series: list[HoldSeries]) -> None:
    held_out = [one.candles for one in series if one.part != FIT]
    rng = np.random.default_rng(77)
    drawn = joined([drawn_bands(candles, rng, 3, JUDGED_HORIZONS) for candles in held_out])
    model, width = default_hold_model(), fit_width_alone(bands_to_fit(series, every_hours=12))
    found = score(drawn, drawn.probability(model))

    assert (
        found.skill > max(score(drawn, drawn.probability(PLAIN_BARRIER)).skill, score(drawn, width(drawn)).skill) + 0.04
    )
    assert found.skill > 0.21
    assert found.calibration_error < 0.03
    ranges = joined([discovered_ranges(candles, default_policy(), (24,)) for candles in held_out])
    assert score(ranges, ranges.probability(model)).skill > 0.13
