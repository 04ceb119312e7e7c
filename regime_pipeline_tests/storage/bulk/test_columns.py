"""Bulk tables mirror the layout, and agree with the calendar on which hour a row belongs to."""

from __future__ import annotations

import numpy as np
import pytest

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.market_data.market import TIMEFRAME_MINUTES, Market
from regime_pipeline.domain.market_data.window import bars_closing_in
from regime_pipeline.domain.schema import DASHBOARD_HOURS, FEATURES, SCORES, VERDICT_COLUMNS
from regime_pipeline.storage.bulk.columns import BULK_TABLES, CANDLES, bulk_table
from regime_pipeline_tests.storage.factories import hours


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("features", FEATURES),
        ("scores", SCORES),
        ("regime_verdicts", VERDICT_COLUMNS),
        ("dashboard_hours", DASHBOARD_HOURS),
    ],
)
def test_hourly_tables_have_the_layout_and_only_floats_and_times_may_be_absent(name, layout):
    table = bulk_table(name)
    assert table.names == tuple(column.name for column in layout)
    by_name = {column.name: column for column in layout}
    for column in table.columns:
        assert column.kind == by_name[column.name].kind
        assert column.is_nullable == (column.kind in ("float", "time"))


@pytest.mark.parametrize("timeframe", TIMEFRAME_MINUTES)
def test_key_bounds_hold_exactly_the_bars_that_close_in_the_window(timeframe):
    market = Market("ETH-USDT", timeframe)
    for first in range(26):
        window = hours(first, 5)
        start, end = CANDLES.key_bounds(market, window)
        assert np.array_equal(np.arange(start, end, market.step_ms), bars_closing_in(market, window))
        inside = CANDLES.hours_of(market, bars_closing_in(market, window))
        assert ((inside >= window.start_ms) & (inside < window.end_ms)).all()


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(StorageError, match=r"'grids' is not a bulk table.*candles"):
        bulk_table("grids")
    with pytest.raises(StorageError, match=r"no column 'ema'.*open_time, open"):
        BULK_TABLES["candles"].column("ema")
