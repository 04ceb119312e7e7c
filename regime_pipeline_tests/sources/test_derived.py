"""Tests of `sources.ended`: a market that stopped trading has nothing after its end, and nobody is asked for it."""

from __future__ import annotations

import pytest

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.sources.base import Fetched
from regime_pipeline.sources.derived import EndedSource
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline_tests.factories import NOW, START

MARKET = Market("ALFA-USDT", "1h")
UNTIL = START + 10 * HOUR_MS


def ended(now: int = NOW) -> EndedSource:
    return EndedSource(SimulatedSource(7, lambda: now, 100), UNTIL, Candles.empty(MARKET, 100))


@pytest.mark.parametrize(("first", "last"), [(0, 5), (5, 15), (10, 20), (12, 20)])
def test_nothing_follows_the_end_and_that_is_certain(first: int, last: int) -> None:
    start, end = START + first * HOUR_MS, START + last * HOUR_MS

    answer = ended().fetch(MARKET, start, end)

    assert answer.candles.open_time_ms.tolist() == [START + hour * HOUR_MS for hour in range(first, min(last, 10))]
    assert answer.covered == ((start, end),)


def test_the_source_is_not_asked_after_the_end() -> None:
    class Delisted:
        venue = "binance"

        def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
            raise AssertionError("asked")

        def newest_closed_ms(self, market: Market) -> int | None:
            return None

    source = EndedSource(Delisted(), UNTIL, Candles.empty(MARKET, 100))

    assert source.fetch(MARKET, UNTIL, UNTIL + HOUR_MS).covered == ((UNTIL, UNTIL + HOUR_MS),)
    assert source.newest_closed_ms(MARKET) is None
    assert source.venue == "binance"


def test_the_newest_bar_is_the_last_one_before_the_end() -> None:
    assert ended().newest_closed_ms(MARKET) == UNTIL
    assert ended(UNTIL - 3 * HOUR_MS + 5).newest_closed_ms(MARKET) == UNTIL - 3 * HOUR_MS
