"""The resampled source: bars of complete hours only, statuses as the base market's."""

from __future__ import annotations

import numpy as np
import pytest

from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import COMPLETE, EXCHANGE_GAP, MISSING, clip_spans, hour_statuses
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, Market
from regime_pipeline.domain.market_data.resample import resample
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.sources.base import Fetched
from regime_pipeline.sources.derived import ResampledSource
from regime_pipeline.sources.simulated import SimulatedSource

DAY = to_ms("2020-02-09T00:00:00Z")
BASE = Market("BTC-USDT", "1m")


class Minutes:
    """A base source with a confirmed hole at 02:10..02:20 and nothing known after 20:00."""

    venue = "test"

    def __init__(self) -> None:
        times = np.arange(DAY, DAY + 20 * HOUR_MS, MINUTE_MS)
        hole = (times >= DAY + 130 * MINUTE_MS) & (times < DAY + 140 * MINUTE_MS)
        close = 100.0 + np.arange(len(times)) % 7
        candles = Candles.from_prices(BASE, 100, times, [close] * 4, np.ones(len(times)))
        self.candles = candles[~hole]

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        assert market == BASE
        covered = clip_spans(((DAY, DAY + 20 * HOUR_MS),), start_ms, end_ms)
        return Fetched(self.candles.between(start_ms, end_ms), covered)

    def newest_closed_ms(self, market: Market) -> int | None:
        assert market == BASE
        return DAY + 19 * HOUR_MS + 37 * MINUTE_MS


@pytest.mark.parametrize("timeframe", ["3m", "15m", "30m", "1h", "2h", "4h"])
def test_bars_come_of_their_own_minutes_and_statuses_follow_the_base(timeframe: str) -> None:
    market = BASE.on(timeframe)
    window = Window(DAY, DAY + 24 * HOUR_MS)
    fetched = ResampledSource(Minutes()).fetch(market, DAY, DAY + 24 * HOUR_MS)
    step = market.step_ms
    holed = range(DAY + 130 * MINUTE_MS // step * step, DAY + 140 * MINUTE_MS, step)
    expected = [ms for ms in range(DAY, DAY + 20 * HOUR_MS, step) if ms not in holed]
    assert fetched.candles.open_time_ms.tolist() == expected
    whole = resample(Minutes().candles, timeframe)
    assert fetched.candles.close.tolist() == whole.close[np.isin(whole.open_time_ms, expected)].tolist()
    status = hour_statuses(market, window, fetched.candles, fetched.covered)["status"].tolist()
    gap_hours = {2} if step <= HOUR_MS else {3}
    missing = {hour for hour in range(20, 24) if (hour + 1) * HOUR_MS % step == 0 or step <= HOUR_MS}
    assert status == [EXCHANGE_GAP if h in gap_hours else MISSING if h in missing else COMPLETE for h in range(24)]


def test_a_span_that_cuts_hours_gives_the_bars_that_open_in_it() -> None:
    market = BASE.on("15m")
    source = ResampledSource(Minutes())
    whole = source.fetch(market, DAY, DAY + 5 * HOUR_MS)
    for first, last in ((5, 62), (15, 130), (29, 31), (44, 45), (50, 50)):
        start, end = DAY + first * MINUTE_MS, DAY + last * MINUTE_MS
        part = source.fetch(market, start, end)
        assert part.candles.close.tolist() == whole.candles.between(start, end).close.tolist()
        assert clip_spans(part.covered, start, end) == part.covered
    assert source.fetch(market, DAY + 50 * MINUTE_MS, DAY + 50 * MINUTE_MS).covered == ()


@pytest.mark.parametrize(
    ("timeframe", "closed"), [("15m", 19), ("30m", 19), ("1h", 19), ("2h", 18), ("4h", 16), ("1d", 0)]
)
def test_the_newest_bar_is_one_whose_hours_are_over(timeframe: str, closed: int) -> None:
    assert ResampledSource(Minutes()).newest_closed_ms(BASE.on(timeframe)) == DAY + closed * HOUR_MS


def test_nothing_is_newest_while_the_base_has_nothing() -> None:
    simulated = SimulatedSource(7, lambda: 0)
    assert ResampledSource(simulated).newest_closed_ms(BASE.on("1h")) is None
    assert ResampledSource(simulated).venue == "simulated"
