"""The simulated source: closed candles only, listing, outages and labels."""

from __future__ import annotations

import numpy as np
import pytest

from regime_pipeline.domain.market_data.candles import COLUMNS
from regime_pipeline.domain.market_data.completeness import COMPLETE, EXCHANGE_GAP, absent_bars, hour_statuses
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.domain.simulation.market import EPOCH_MS
from regime_pipeline.domain.simulation.regimes import LABELS
from regime_pipeline.sources.simulated import SimulatedSource

NOW = to_ms("2026-11-20T10:37:12Z")
DAY_MS = 24 * HOUR_MS


def source(now_ms: int = NOW) -> SimulatedSource:
    return SimulatedSource(7, lambda: now_ms)


@pytest.mark.parametrize(
    ("timeframe", "newest_open"),
    [
        *(("1m", "10:36"), ("3m", "10:33"), ("5m", "10:30"), ("15m", "10:15"), ("30m", "10:00")),
        *(("1h", "09:00"), ("2h", "08:00"), ("4h", "04:00")),
    ],
)
def test_only_closed_candles_exist(timeframe: str, newest_open: str) -> None:
    market = Market("ANY-USDT", timeframe)
    fetched = source().fetch(market, NOW - DAY_MS, NOW + DAY_MS)
    newest = to_ms(f"2026-11-20T{newest_open}:00Z")
    assert fetched.candles.open_time_ms[-1] == newest
    assert fetched.covered == ((NOW - DAY_MS, newest + market.step_ms),)
    assert source().newest_closed_ms(market) == newest + market.step_ms
    exactly = source(newest + market.step_ms).fetch(market, newest, NOW).candles
    assert exactly.open_time_ms.tolist() == [newest]


def test_a_later_clock_changes_nothing_that_was_closed() -> None:
    market = Market("ALFA-USDT", "15m")
    early = source(NOW - 3 * DAY_MS).fetch(market, NOW - 10 * DAY_MS, NOW).candles
    late = source().fetch(market, NOW - 10 * DAY_MS, NOW - 3 * DAY_MS // market.step_ms * market.step_ms).candles
    late = late.closed_by(NOW - 3 * DAY_MS)
    assert all(getattr(early, name).tobytes() == getattr(late, name).tobytes() for name in COLUMNS)


def test_a_span_in_the_future_or_without_length_is_empty_and_confirms_nothing() -> None:
    for start, end in ((NOW, NOW + DAY_MS), (NOW - DAY_MS, NOW - DAY_MS)):
        fetched = source().fetch(Market("ALFA-USDT", "1m"), start, end)
        assert (len(fetched.candles), fetched.covered) == (0, ())


def test_before_the_listing_absence_is_confirmed_and_nothing_has_closed() -> None:
    market = Market("ALFA-USDT", "1h")
    fetched = source().fetch(market, EPOCH_MS - DAY_MS, EPOCH_MS)
    assert (len(fetched.candles), fetched.covered) == (0, ((EPOCH_MS - DAY_MS, EPOCH_MS),))
    assert source(EPOCH_MS).newest_closed_ms(market) is None
    assert source(EPOCH_MS + HOUR_MS).newest_closed_ms(market) == EPOCH_MS + HOUR_MS


def test_outages_are_exchange_gaps_and_an_hour_they_only_touch_has_its_bar() -> None:
    start, end = to_ms("2024-01-01T00:00:00Z"), to_ms("2026-01-01T00:00:00Z")
    window = Window(start, end)
    minutes, hours = (source().fetch(Market("ALFA-USDT", timeframe), start, end) for timeframe in ("1m", "1h"))
    status = hour_statuses(Market("ALFA-USDT", "1m"), window, minutes.candles, minutes.covered)
    assert set(status["status"].tolist()) == {COMPLETE, EXCHANGE_GAP}
    assert 3 <= (status["status"] == EXCHANGE_GAP).sum() <= 60
    _, is_absent = absent_bars(Market("ALFA-USDT", "1h"), start, end, hours.candles)
    assert is_absent.tolist() == (status["present"] == 0).tolist()


def test_labels_are_those_of_the_hours_of_any_spelling_of_the_symbol() -> None:
    labels = source().labels("ALFA-USDT", NOW - 10 * DAY_MS, NOW)
    assert labels.tolist() == source().labels("alfausdt", NOW - 10 * DAY_MS, NOW).tolist()
    assert set(labels.tolist()) <= set(range(len(LABELS)))
    assert len(labels) == 240


def test_minutes_are_minutes() -> None:
    candles = source().fetch(Market("ALFA-USDT", "1m"), NOW - DAY_MS, NOW).candles
    assert (np.diff(candles.open_time_ms) >= MINUTE_MS).all()
    assert candles.price_scale == 100
    assert SimulatedSource(7, lambda: NOW, 1_000).fetch(candles.market, NOW - HOUR_MS, NOW).candles.price_scale == 1_000


@pytest.mark.parametrize("timeframe", ["1m", "15m", "1h"])
def test_a_moved_simulation_shows_the_same_bars_at_another_time(timeframe: str) -> None:
    market, shift = Market("ALFA-USDT", timeframe), 12_345 * HOUR_MS
    moved = SimulatedSource(7, lambda: NOW, 100, shift)
    here = moved.fetch(market, NOW - DAY_MS - 7 * MINUTE_MS, NOW).candles
    there = source().fetch(market, NOW - DAY_MS - 7 * MINUTE_MS - shift, NOW // market.step_ms * market.step_ms - shift)

    assert len(here) == len(there.candles) > 0
    assert (here.open_time_ms - shift).tolist() == there.candles.open_time_ms.tolist()
    for name in COLUMNS[1:]:
        assert getattr(here, name).tolist() == getattr(there.candles, name).tolist(), name
    assert moved.labels("ALFA-USDT", NOW - DAY_MS, NOW).tolist() == (
        source().labels("ALFA-USDT", NOW - DAY_MS - shift, NOW - shift).tolist()
    )
    assert SimulatedSource(7, lambda: EPOCH_MS + shift, 100, shift).newest_closed_ms(market) is None


def test_a_moved_day_is_made_of_its_own_minutes() -> None:
    market, shift = Market("ALFA-USDT", "1d"), 5 * HOUR_MS
    (day,) = (
        SimulatedSource(7, lambda: NOW, 100, shift).fetch(market, NOW // DAY_MS * DAY_MS - DAY_MS, NOW).candles.close
    )
    end = NOW // DAY_MS * DAY_MS - shift

    assert day == source().fetch(market.on("1m"), end - HOUR_MS, end).candles.close[-1]
