"""Tests of `domain.known_at`: the close of the bar or hour, and the newest row by then."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.known_at import bar_known_at, hour_known_at, newest_known
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.market_data.window import hour_of_close

HOURS = np.arange(5, dtype=np.int64) * HOUR_MS


def test_a_row_of_an_hour_is_known_at_its_close() -> None:
    assert hour_known_at(HOURS).tolist() == (HOURS + HOUR_MS).tolist()
    assert hour_known_at(7 * HOUR_MS) == 8 * HOUR_MS


def test_a_regime_is_known_at_its_bars_close_which_its_hour_never_precedes() -> None:
    for timeframe, minutes in TIMEFRAME_MINUTES.items():
        market = Market("ETH-USDT", timeframe)
        opened = np.arange(100, dtype=np.int64) * market.step_ms
        assert bar_known_at(market, opened).tolist() == (opened + minutes * MINUTE_MS).tolist()
        assert (hour_known_at(hour_of_close(market, opened)) >= bar_known_at(market, opened)).all()


@given(known=st.lists(st.integers(0, 50)).map(sorted), moments=st.lists(st.integers(-2, 55)))
def test_the_newest_row_is_the_last_one_that_is_known(known: list[int], moments: list[int]) -> None:
    found = newest_known(np.array(known, dtype=np.int64), np.array(moments, dtype=np.int64))

    for moment, at in zip(moments, found.tolist(), strict=True):
        assert at == max((place for place, time in enumerate(known) if time <= moment), default=-1)
