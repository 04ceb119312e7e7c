"""Steps of prices: no coarser than the eye, and of a day's moves the next day's pages alone can tell."""

from __future__ import annotations

import numpy as np
import pytest

from regime_pipeline.dashboard.data.price_steps import price_step_ticks, price_steps, runs_of
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS, MINUTE_MS, Market
from regime_pipeline_tests.dashboard.factories import START, make_rows

DAY_MINUTES = 1_440


def test_steps_are_a_quarter_of_the_usual_move_at_most() -> None:
    many = make_rows(2_400, Market("ALFA-USDT", "1m")).bars.close.astype(np.float64)

    assert 1 <= price_step_ticks(many) <= float(np.median(np.abs(np.diff(many)))) / 4
    assert price_step_ticks(many * 100) > 50
    assert price_step_ticks(np.array([5.0, 5.0, np.nan])) == 1
    assert price_step_ticks(np.array([5.0, np.nan, 5.0])) == price_step_ticks(np.array([])) == 0


@pytest.mark.parametrize("known", [600, DAY_MINUTES, 3 * DAY_MINUTES + 17])
def test_another_future_leaves_the_steps_of_what_is_known(known: int) -> None:
    close = np.cumsum(np.random.default_rng(1).integers(-300, 301, 6 * DAY_MINUTES)).astype(np.float64)
    other = close.copy()
    other[known:] *= 50

    one, two = (price_steps(START + 5 * HOUR_MS, MINUTE_MS, each) for each in (close, other))

    assert np.array_equal(one[:known], two[:known])
    assert not np.array_equal(one, two) or known > 5 * DAY_MINUTES


def test_each_day_is_counted_in_the_steps_that_the_day_before_asks_for() -> None:
    start, close = START + 5 * HOUR_MS, np.cumsum(np.tile([400.0, -400.0], 3 * DAY_MINUTES // 2))
    close[19 * 60 : 19 * 60 + DAY_MINUTES] /= 40  # the second day is calm
    days = (start + MINUTE_MS * np.arange(len(close))) // DAY_MS

    steps = price_steps(start, MINUTE_MS, close)

    assert [set(steps[days == day].tolist()) for day in np.unique(days)] == [{1}, {100}, {2}, {100}]


def test_a_day_without_bars_passes_its_steps_on() -> None:
    close = np.tile([0.0, 400.0], 2 * DAY_MINUTES)
    close[DAY_MINUTES : 2 * DAY_MINUTES] = np.nan

    steps = price_steps(START, MINUTE_MS, close)

    assert [set(part.tolist()) for part in np.split(steps, 4)] == [{1}, {100}, {100}, {100}]


def test_runs_cover_what_is_kept_and_nothing_else() -> None:
    values = np.array([1, 1, 2, 2, 2, 1])

    assert list(runs_of(values, slice(1, 6))) == [(1, 2), (2, 5), (5, 6)]
    assert list(runs_of(values, slice(3, 3))) == []
