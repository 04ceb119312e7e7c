"""Snapshots for tests of the store."""

from __future__ import annotations

import numpy as np

from regime_pipeline.domain.market_data.candles import COLUMNS, Candles
from regime_pipeline.domain.market_data.completeness import hour_statuses
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.snapshot import HourSnapshot, build_snapshots
from regime_pipeline.domain.market_data.window import Window, bars_closing_in, to_ms
from regime_pipeline.storage.snapshots.codec import to_document

START = to_ms("2020-03-12T00:00:00Z")
HOURLY = Market("ETH-USDT", "1h")
MINUTES = Market("ETH-USDT", "1m")


def span(hours: int) -> Window:
    return Window(START, START + hours * HOUR_MS)


def random_candles(market: Market, hours: int, seed: int = 1, price_scale: int = 100) -> Candles:
    times = bars_closing_in(market, span(hours))
    noise = np.random.default_rng(seed)
    close = 20_000 + np.cumsum(noise.integers(-20, 21, len(times)))
    first = np.roll(close, 1)
    high, low = np.maximum(first, close) + 3, np.minimum(first, close) - 2
    return Candles(market, price_scale, times, first, high, low, close, noise.random(len(times)) * 100)


def snapshots_of(candles: Candles, hours: int, collected_hours: int = 1000) -> list[HourSnapshot]:
    window = span(hours)
    status = hour_statuses(candles.market, window, candles, ((0, window.end_ms),))["status"]
    collected_at_ms = START + collected_hours * HOUR_MS
    return build_snapshots(
        candles, status, window, source="test", config_hash="c0ffee", collected_at_ms=collected_at_ms
    )


def content_sha256(snapshot: HourSnapshot) -> str:
    """The hash of what a snapshot says, whenever it was collected."""
    return str(to_document(snapshot)["metadata"]["sha256"])


def hour_of(market: Market, seed: int = 1, collected_hours: int = 1000) -> HourSnapshot:
    return snapshots_of(random_candles(market, 1, seed), 1, collected_hours)[0]


def assert_same_candles(one: Candles, other: Candles) -> None:
    assert (one.market, one.price_scale) == (other.market, other.price_scale)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
