"""Features of the path: standardized drift and fast volatility on known series."""

from __future__ import annotations

import numpy as np
import pytest

from regime_pipeline.domain.features.path import PATH_FEATURES, path_features
from regime_pipeline.domain.features.windows import Windows
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline_tests.domain.verdicts.factories import POLICY, WINDOW, flat, from_closes, newest_window, walk


def at_the_end(candles: Candles) -> dict[str, float]:
    return {name: float(values[0]) for name, values in path_features(newest_window(candles)).items()}


def test_a_straight_line_drifts_by_the_root_of_its_length() -> None:
    found = at_the_end(from_closes(np.rint(1e9 * np.exp(0.001 * np.arange(WINDOW + 1)))))

    for bars in (12, 24, 48, 96):
        assert found[f"drift_z_{bars}"] == pytest.approx(np.sqrt(bars), rel=1e-6)
    assert found["spread_log_48"] == pytest.approx(0.5 * np.log(48), rel=1e-6)
    assert found["fading_log_ratio"] == pytest.approx(0.0, abs=1e-6)
    assert found["fading_log_volatility"] == pytest.approx(np.log(0.001), rel=1e-6)


def test_closes_that_alternate_do_not_drift() -> None:
    found = at_the_end(from_closes(1_000_000 + 1_000 * (np.arange(WINDOW + 1) % 2)))

    assert found["drift_z_48"] == 0.0
    assert found["spread_log_96"] == pytest.approx(-0.5 * np.log(96), rel=1e-6)


def test_a_flat_window_has_values_and_no_nan() -> None:
    found = at_the_end(flat(WINDOW + 1))

    assert found["drift_z_12"] == 0.0
    assert found["spread_log_48"] == -3.0
    assert np.isfinite(list(found.values())).all()


def test_the_fast_volatility_rises_with_the_newest_bars() -> None:
    closes = 1e8 * np.exp(np.cumsum(np.where(np.arange(WINDOW + 1) < WINDOW - 6, 0.001, 0.004)))
    assert at_the_end(from_closes(np.rint(closes)))["fading_log_ratio"] > 0.5


def test_a_value_does_not_know_where_the_candles_begin_or_end() -> None:
    candles = walk(700)
    ends = np.arange(WINDOW, 700)
    whole = path_features(Windows.of(candles, ends, POLICY.features))
    for row in (0, 17, 300, len(ends) - 1):
        alone = path_features(newest_window(candles[int(ends[row]) - WINDOW : int(ends[row]) + 1]))
        for name in PATH_FEATURES:
            assert alone[name].tobytes() == whole[name][row : row + 1].tobytes(), name
