"""The imported source reads back what an import stored, with its statuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from regime_pipeline.domain.errors import SourceError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import hour_statuses
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.sources.imported import ImportedSource

DAY = to_ms("2020-02-09T00:00:00Z")


class Table:
    """A candles table with twelve hours, confirmed but for those that close after 09:00."""

    def __init__(self, market: Market) -> None:
        self.market = market
        times = np.arange(DAY, DAY + 12 * HOUR_MS, market.step_ms)
        price = np.full(len(times), 9.5)
        whole = Candles.from_prices(market, 100, times, [price] * 4, np.ones(len(times)))
        self.candles = whole[times != DAY + 4 * HOUR_MS]
        window = Window(DAY, DAY + 12 * HOUR_MS)
        known = self.candles.between(0, DAY + 8 * HOUR_MS)
        self.hours = hour_statuses(market, window, known, ((DAY, DAY + 8 * HOUR_MS),))

    def read_candles(self, market: Market, start_ms: int, end_ms: int) -> Candles:
        return self.candles.between(start_ms, end_ms)

    def read_hours(self, market: Market, window: Window) -> dict[str, Any]:
        kept = (self.hours["hour_start"] >= window.start_ms) & (self.hours["hour_start"] < window.end_ms)
        return {name: column[kept] for name, column in self.hours.items()}

    def source(self) -> ImportedSource:
        return ImportedSource(self.read_candles, self.read_hours, lambda market: DAY + 12 * HOUR_MS)


@pytest.mark.parametrize("timeframe", ["3m", "15m", "30m", "1h", "4h"])
def test_reading_back_gives_the_statuses_that_were_stored(timeframe: str) -> None:
    market = Market("BTC-USDT", timeframe)
    table = Table(market)
    fetched = table.source().fetch(market, DAY, DAY + 12 * HOUR_MS)
    assert fetched.candles.open_time_ms.tolist() == table.candles.open_time_ms.tolist()
    window = Window(DAY, DAY + 8 * HOUR_MS)
    again = hour_statuses(market, window, fetched.candles, fetched.covered)
    assert again["status"].tolist() == table.hours["status"][:8].tolist()
    assert fetched.covered == ((DAY, DAY + 8 * HOUR_MS),) if timeframe != "4h" else fetched.covered[0][0] == DAY


def test_spans_are_clipped_to_the_question() -> None:
    table = Table(Market("BTC-USDT", "1h"))
    fetched = table.source().fetch(table.market, DAY + 90 * 60_000, DAY + 3 * HOUR_MS)
    assert fetched.candles.open_time_ms.tolist() == [DAY + 2 * HOUR_MS]
    assert fetched.covered == ((DAY + 90 * 60_000, DAY + 3 * HOUR_MS),)


def test_the_newest_close_is_the_stores() -> None:
    table = Table(Market("BTC-USDT", "1h"))
    assert table.source().newest_closed_ms(table.market) == DAY + 12 * HOUR_MS
    assert table.source().venue == "files"


def test_a_market_of_which_nothing_was_imported_is_named_with_the_command() -> None:
    table = Table(Market("BTC-USDT", "1h"))
    source = ImportedSource(table.read_candles, table.read_hours, lambda market: None)

    with pytest.raises(SourceError, match="No candles of BTC-USDT_1h were ever imported") as raised:
        source.fetch(table.market, DAY, DAY + HOUR_MS)

    assert raised.value.todo == "regime import FILES --market BTC-USDT_1h"
