"""Hour snapshots as values: what belongs to an hour, its summary, and what contradicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.domain.errors import BadCandlesError, BadSnapshotError
from regime_pipeline.domain.market_data.candles import COLUMNS, MAX_TICKS, Candles
from regime_pipeline.domain.market_data.completeness import hour_statuses
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, Market
from regime_pipeline.domain.market_data.snapshot import (
    HourSnapshot,
    MarketSummary,
    build_snapshots,
    hour_faults,
    join_candles,
)
from regime_pipeline.domain.market_data.window import Window, bars_closing_in, to_ms
from regime_pipeline.domain.schema import HOUR_STATUSES

START = to_ms("2020-03-12T00:00:00Z")
MINUTES = Market("ETH-USDT", "1m")


def candles_at(market: Market, times: np.ndarray, price_scale: int = 100) -> Candles:
    """Candles with a price that tells the bar."""
    price = 10_000 + np.arange(len(times), dtype=np.int64)
    return Candles(market, price_scale, times, price, price + 3, price - 2, price + 1, np.full(len(times), 0.1))


def cut(candles: Candles, hours: int, covered: bool = False) -> list[HourSnapshot]:
    window = Window(START, START + hours * HOUR_MS)
    spans = ((START - 30 * HOUR_MS, window.end_ms),) if covered else ()
    status = hour_statuses(candles.market, window, candles, spans)["status"]
    return build_snapshots(candles, status, window, source="test", config_hash="c0ffee", collected_at_ms=window.end_ms)


def whole(market: Market, hours: int) -> Candles:
    return candles_at(market, bars_closing_in(market, Window(START, START + hours * HOUR_MS)))


@pytest.mark.parametrize(("timeframe", "bars"), [("1m", 60), ("5m", 12), ("15m", 4), ("1h", 1)])
def test_every_hour_holds_the_bars_that_closed_in_it(timeframe: str, bars: int) -> None:
    snapshots = cut(whole(Market("ETH-USDT", timeframe), 48), 48)

    assert [s.present for s in snapshots] == [bars] * 48
    assert [s.expected for s in snapshots] == [bars] * 48
    assert {s.status for s in snapshots} == {"complete"}
    assert [s.hour_start_ms for s in snapshots] == list(range(START, START + 48 * HOUR_MS, HOUR_MS))


@pytest.mark.parametrize(("timeframe", "hours"), [("4h", [3, 7, 11, 15, 19, 23]), ("1d", [23])])
def test_a_long_bar_is_in_the_hour_in_which_it_closes(timeframe: str, hours: list[int]) -> None:
    snapshots = cut(whole(Market("ETH-USDT", timeframe), 24), 24)

    assert [at for at, s in enumerate(snapshots) if s.present] == hours
    assert {s.status for s in snapshots} == {"complete"}
    assert all(s.expected == s.present for s in snapshots)


def test_the_summary_is_that_of_the_bars() -> None:
    (snapshot,) = cut(whole(MINUTES, 1), 1)

    assert snapshot.market_summary == MarketSummary(
        open=10_000, high=10_062, low=9_998, close=10_060, volume=6.0, bar_count=60, return_pct=0.6
    )
    assert snapshot.gaps == ()
    assert snapshot.price_scale == 100


def test_an_hour_without_a_bar_has_no_summary_and_one_gap() -> None:
    (snapshot,) = cut(Candles.empty(MINUTES, 100), 1, covered=True)

    assert snapshot.market_summary is None
    assert snapshot.status == "exchange_gap"
    assert snapshot.gaps == ((START, START + HOUR_MS),)
    assert (snapshot.expected, snapshot.present) == (60, 0)


def test_gaps_are_spans_of_open_time() -> None:
    bars = whole(MINUTES, 1)
    present = np.ones(60, dtype=bool)
    present[[0, 3, 4, 59]] = False

    (snapshot,) = cut(bars[present], 1)

    at = [(a * MINUTE_MS + START, b * MINUTE_MS + START) for a, b in ((0, 1), (3, 5), (59, 60))]
    assert list(snapshot.gaps) == at
    assert snapshot.status == "missing"


@given(st.sets(st.integers(-70, 250)), st.booleans())
def test_snapshots_together_hold_exactly_the_bars_of_the_window(minutes: set[int], covered: bool) -> None:
    times = START + MINUTE_MS * np.array(sorted(minutes), dtype=np.int64)
    bars = candles_at(MINUTES, times)

    snapshots = cut(bars, 3, covered)

    joined = join_candles([s.bars for s in snapshots])
    inside = bars.between(START, START + 3 * HOUR_MS)
    assert all(np.array_equal(getattr(joined, name), getattr(inside, name)) for name in COLUMNS)
    for snapshot in snapshots:
        absent = sum((end - start) // MINUTE_MS for start, end in snapshot.gaps)
        assert snapshot.present + absent == snapshot.expected == 60
        assert snapshot.status == ("complete" if absent == 0 else "exchange_gap" if covered else "missing")


def make(**changes: object) -> HourSnapshot:
    parts = {
        "market": MINUTES,
        "hour_start_ms": START,
        "bars": whole(MINUTES, 1),
        "status": "complete",
        "source": "test",
        "config_hash": "c0ffee",
        "collected_at_ms": START + HOUR_MS,
    }
    return HourSnapshot(**{**parts, **changes})


def test_a_complete_hour_must_have_every_minute_and_absent_ones_are_named() -> None:
    with pytest.raises(BadSnapshotError, match="2 of 60 bars are missing: 00:58, 00:59"):
        make(bars=whole(MINUTES, 1)[:58])


@pytest.mark.parametrize("status", ["missing", "exchange_gap"])
def test_an_hour_with_every_bar_is_complete(status: str) -> None:
    with pytest.raises(BadSnapshotError, match=f"status is '{status}', yet no bar is absent"):
        make(status=status)


def test_every_fault_is_named() -> None:
    with pytest.raises(BadSnapshotError) as caught:
        make(bars=whole(MINUTES.on("5m"), 2), status="fine")

    assert "bar 2020-03-12T01:00:00Z does not close in the hour" in caught.value.what
    assert "status 'fine' is not one of complete, exchange_gap, missing" in caught.value.what
    assert "the bars are of ETH-USDT_5m" in caught.value.what
    assert "ETH-USDT_1m 2020-03-12T00:00:00Z" in caught.value.what


def test_an_hour_starts_on_the_hour() -> None:
    with pytest.raises(BadSnapshotError, match="hour_start 2020-03-12T00:01:00Z is not a full hour"):
        make(hour_start_ms=START + MINUTE_MS)


def test_an_unknown_status_excuses_no_absence() -> None:
    times = whole(MINUTES, 1).open_time_ms

    assert hour_faults(MINUTES, START, times, None) == []
    assert hour_faults(MINUTES, START, times[1:], None) == ["1 of 60 bars are missing: 00:00"]


def test_there_must_be_a_status_for_each_hour() -> None:
    window = Window(START, START + 2 * HOUR_MS)

    with pytest.raises(BadSnapshotError, match="1 statuses for the 2 hours"):
        build_snapshots(whole(MINUTES, 2), np.zeros(1, np.int8), window, source="", config_hash="", collected_at_ms=0)


def test_candles_of_different_scales_join_without_rounding() -> None:
    market = Market("ETH-USDT", "1h")
    hours = [START + at * HOUR_MS for at in range(3)]
    parts = [candles_at(market, np.array([hour]), scale) for hour, scale in zip(hours, (100, 1000, 8), strict=True)]

    joined = join_candles(parts)

    assert joined.price_scale == 1000
    assert joined.open.tolist() == [100_000, 10_000, 1_250_000]
    assert joined.prices("close").tolist() == [float(part.prices("close")[0]) for part in parts]


def test_candles_that_do_not_fit_the_common_scale_are_refused() -> None:
    market = Market("ETH-USDT", "1h")
    big = np.array([MAX_TICKS], dtype=np.int64)
    parts = [
        Candles(market, 1, np.array([START]), big, big, big, big, np.zeros(1)),
        candles_at(market, np.array([START + HOUR_MS]), 10**10),
    ]

    with pytest.raises(BadCandlesError, match="prices at scale 1 do not fit 10000000000"):
        join_candles(parts)


def test_no_candles_fit_any_scale() -> None:
    empty, one = Candles.empty(MINUTES, 7), candles_at(MINUTES, np.array([START]))

    assert join_candles([empty, one]).price_scale == 700
    assert len(join_candles([empty, one])) == 1


def test_statuses_are_those_of_the_layout() -> None:
    assert HOUR_STATUSES == ("complete", "exchange_gap", "missing")
