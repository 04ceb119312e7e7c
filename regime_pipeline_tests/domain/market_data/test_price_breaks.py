"""Tests of `domain.breaks`: holes with and without a jump, and windows that stop there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.features.observations import Observations
from regime_pipeline.domain.market_data.price_breaks import series_breaks, trailing_starts
from regime_pipeline.domain.schema import FEATURES, RANKED
from regime_pipeline.domain.scoring.ranks import blended_ranks
from regime_pipeline_tests.domain.verdicts.factories import HOURLY, NULLS, POLICY, blank_rows

NAN = float("nan")


@pytest.mark.parametrize(
    ("close", "places"),
    [
        ([], []),
        ([NAN, NAN], []),
        ([10, 31], []),  # a jump without a hole is a market
        ([10, NAN, 30], []),  # not more than the factor
        ([10, NAN, 30.01], [2]),
        ([30.01, NAN, 10], [2]),
        ([NAN, 10, NAN, NAN, 40, 41, NAN, 10, NAN], [4, 7]),
    ],
)
def test_a_break_is_a_hole_with_a_jump_beyond_the_factor(close: list[float], places: list[int]) -> None:
    assert series_breaks(np.array(close, dtype=np.float64), 3.0).tolist() == places


@given(st.lists(st.sampled_from([NAN, 1.0, 2.0, 9.0]), max_size=30), st.integers(0, 30))
def test_breaks_do_not_depend_on_where_the_calendar_ends_or_begins_behind_their_hole(
    close: list[float], cut: int
) -> None:
    values = np.array(close, dtype=np.float64)
    whole = series_breaks(values, 3.0)

    head, tail = series_breaks(values[:cut], 3.0), series_breaks(values[cut:], 3.0) + cut

    assert head.tolist() == [place for place in whole if place < cut]
    inside = np.flatnonzero(~np.isnan(values[cut:]))
    first = cut + int(inside[0]) if len(inside) else len(values)
    assert tail.tolist() == [place for place in whole if place > first]


@given(st.lists(st.integers(0, 40), max_size=5, unique=True), st.integers(1, 50))
def test_no_window_reaches_across_a_break(breaks: list[int], window: int) -> None:
    at = np.arange(45)

    starts = trailing_starts(at, window, np.array(sorted(breaks), dtype=np.int64))

    for place, start in zip(at.tolist(), starts.tolist(), strict=True):
        floor = max((b for b in breaks if b <= place), default=0)
        assert start == max(place - window, floor)


def test_ranks_begin_again_behind_a_break_and_go_on_across_a_mere_hole() -> None:
    """Another asset takes the name after a week: 150 observations must come together again."""
    rng = np.random.default_rng(3)
    is_hole = (np.arange(900) >= 300) & (np.arange(900) < 470)
    ranked = {name: np.where(is_hole, NAN, rng.random(900)) for name in RANKED}
    rows = blank_rows(FEATURES, 900, **ranked, close=np.where(is_hole, NAN, 100.0))
    other = {**rows, "close": np.where(np.arange(900) >= 470, 301.0, rows["close"])}
    at = np.array([299, 470, 619, 620, 899])

    for found, expected in ((rows, [299, 300, 330, 330, 429]), (other, [299, 0, 149, 150, 429])):
        ranks, counts = blended_ranks(Observations.of(found, HOURLY), at, POLICY.scores, NULLS)
        assert counts.tolist() == expected
        assert np.isnan(ranks["adx"]).tolist() == [value < 150 for value in expected]
