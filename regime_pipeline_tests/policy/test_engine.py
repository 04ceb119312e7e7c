"""Tests of `policy`."""

from __future__ import annotations

from pathlib import Path

import pytest

from regime_pipeline.policy import PolicyError, default_policy, load_policy
from regime_pipeline_tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "regime_pipeline" / "policy" / "policy.toml").read_text("utf-8")


def edited(folder: Path, old: str, new: str) -> Path:
    assert TEXT.count(old) == 1, old
    path = folder / "policy.toml"
    path.write_text(TEXT.replace(old, new), "utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("rsi_bullish_above = 55.0", "rsi_bullish_above = 40.0", "rsi_bearish_below must not exceed"),
        ("macd_fast_bars = 12", "macd_fast_bars = 26", "macd_fast_bars must be below"),
        ("anchor_warmup_bars = 600", "anchor_warmup_bars = 800", "must not exceed 1024"),
        ("min_history_bars = 200", "min_history_bars = 100", "min_history_bars must cover"),
        ("volatility_percentile = 70.0", "volatility_percentile = 101.0", "candle_regime.volatility_percentile"),
        ("sma_fast_bars = 50", "sma_fast_bars = 0", "candle_regime.sma_fast_bars"),
        ("sma_fast_bars = 50", "sma_fast_bars = 50.5", "candle_regime.sma_fast_bars"),
        ("sma_fast_bars = 50", "sma_quick_bars = 50", "candle_regime.sma_quick_bars"),
        ("rank_observations = 500", "rank_observations = 100", "min_ranked_observations must not exceed"),
        ("variance_ratio_q = 4", "variance_ratio_q = 48", "must exceed twice variance_ratio_q"),
        ("er_bars = 36", "er_bars = 169", r"er_bars \(169 bars\) reach beyond window_bars = 168"),
        ("quantile_bars = 96", "quantile_bars = 169", r"quantile_bars \(169 bars\) reach beyond features.window_bars"),
        ("leave_atr = 0.50", "leave_atr = 0.20", "leave_atr must not be below touch_atr"),
        ("width_max_atr = 20.0", "width_max_atr = 3.0", "width_min_atr must be below width_max_atr"),
        ("some_touches = 2", "some_touches = 4", "some_touches must be below full_touches"),
        ("containment = 0.25", "containment = 0.35", "the weights sum to 1.1, not to 1"),
        ("zero_levels = 3", "zero_levels = 4", "zero_levels < min_levels <= full_levels must hold"),
        (
            "leave_range_ok_quality_below = 58.0",
            "leave_range_ok_quality_below = 73.0",
            "must not exceed range_ok_quality",
        ),
        (
            "leave_range_ok_trend_from = 60.0",
            "leave_range_ok_trend_from = 54.0",
            "must not be below range_ok_trend_below",
        ),
        (
            "leave_range_ok_probability_below = 0.50",
            "leave_range_ok_probability_below = 0.81",
            "must not exceed range_ok_probability_from",
        ),
        ("leave_trend_below = 48.0", "leave_trend_below = 71.0", "leave_trend_below must not exceed trend_from"),
        ("leave_transition_below = 50.0", "leave_transition_below = 71.0", "must not exceed transition_above"),
        ("[candle_regime]", "[candle_regime", "policy.toml"),
    ],
)
def test_a_threshold_out_of_bounds_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says) as raised:
        load_policy(edited(tmp_path, old, new))

    assert str(tmp_path) in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none\.toml"):
        load_policy(tmp_path / "none.toml")


def test_a_change_shows_in_its_section_and_in_the_whole_alone(tmp_path: Path) -> None:
    changed = load_policy(edited(tmp_path, "rsi_bullish_above = 55.0", "rsi_bullish_above = 56.0"))
    shipped = default_policy()

    assert changed.candle_regime.hash != shipped.candle_regime.hash
    assert changed.hash != shipped.hash
    assert changed.features.hash == shipped.features.hash
    assert changed.verdict.hash == shipped.verdict.hash


def test_a_policy_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        default_policy().candle_regime.rsi_bars = 3  # type: ignore[misc]
