"""Tests of the REST forms: what the real client reads is what was traded, and raw answers keep the documented rules."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from regime_pipeline.domain.errors import SourceError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, MINUTE_MS, Market
from regime_pipeline_tests.exchange_simulator.faults import Kind
from regime_pipeline_tests.exchange_simulator.fixtures import (
    ETH,
    FORMS,
    NOW,
    client,
    exchange,
    fault,
    hours_ago,
    source,
    truth,
)


def assert_same(found: Candles, expected: Candles) -> None:
    np.testing.assert_array_equal(found.open_time_ms, expected.open_time_ms)
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_allclose(found.volume, expected.volume, rtol=0, atol=1e-8)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("timeframe", "hours"),
    [("1m", 60), ("3m", 100), ("15m", 400), ("30m", 900), ("1h", 3_000), ("2h", 4_000), ("1d", 5_000)],
)
def test_the_source_reads_what_was_traded_over_many_pages(form: str, timeframe: str, hours: int) -> None:
    market = Market("ETH-USDT", timeframe)
    start = hours_ago(hours)
    with exchange() as (_, url):
        answer = source(form, url).fetch(market, start, NOW + 10 * HOUR_MS)

    expected = truth(market, start, NOW + HOUR_MS).closed_by(NOW)
    assert len(expected) > 0
    assert_same(answer.candles, expected)
    assert answer.covered[0][0] == start
    assert answer.covered[-1][1] == NOW // market.step_ms * market.step_ms


@pytest.mark.parametrize("form", FORMS)
def test_an_outage_longer_than_a_page_is_a_gap_and_no_end(form: str) -> None:
    market = Market("ETH-USDT", "1m")
    start, end = hours_ago(60), hours_ago(0)
    hole = (start + 10 * HOUR_MS, start + 43 * HOUR_MS + 31 * MINUTE_MS)
    with exchange() as (one, url):
        one.faults.add(fault(Kind.GAP, start_ms=hole[0], end_ms=hole[1], times=None))
        answer = source(form, url).fetch(market, start, end)

    times = answer.candles.open_time_ms
    assert not ((times >= hole[0]) & (times < hole[1])).any()
    assert (times >= hole[1]).sum() > 900
    assert answer.covered == ((start, end),)


@pytest.mark.parametrize("form", FORMS)
def test_the_open_bar_is_given_and_changes_but_the_source_never_keeps_it(form: str) -> None:
    opened = NOW // HOUR_MS * HOUR_MS
    with exchange() as (_, url):
        told = [client(form, url).page(ETH, opened, opened + HOUR_MS)[-1] for _ in range(2)]
        kept = source(form, url).fetch(ETH, opened - HOUR_MS, opened + HOUR_MS)

    assert [row[0] for row in told] == [opened, opened]
    assert told[0][1:] != told[1][1:]
    assert kept.candles.open_time_ms.tolist() == [opened - HOUR_MS]


@pytest.mark.parametrize("form", FORMS)
def test_a_symbol_that_is_not_listed_is_refused_with_near_ones(form: str) -> None:
    with (
        exchange() as (one, url),
        pytest.raises(SourceError, match=rf"{form}, ETC-USDT_1h .* lists no ETC-USDT \(near: ETH/USDT"),
    ):
        source(form, url).fetch(Market("ETC-USDT", "1h"), hours_ago(3), hours_ago(0))
    assert not any("ETC" in asked for asked in one.requests)


def klines(url: str, **query: Any) -> Any:
    return httpx.get(f"{url}/api/v3/klines", params={"symbol": "ETHUSDT", "interval": "1h", **query}).json()


def test_klines_follow_the_documented_rules_of_start_end_and_limit() -> None:
    day, newest = 24 * HOUR_MS, NOW // HOUR_MS * HOUR_MS
    with exchange() as (_, url):
        from_start = klines(url, startTime=hours_ago(48), limit=10)
        up_to_end = klines(url, endTime=hours_ago(24), limit=10)
        neither = klines(url)
        too_many = klines(url, startTime=hours_ago(2000), limit=5000)
        beyond = klines(url, startTime=NOW + day)
        before_listing = klines(url, startTime=0, limit=1)
        both = klines(url, startTime=hours_ago(5), endTime=hours_ago(3))

    assert [row[0] for row in from_start] == [hours_ago(48 - i) for i in range(10)]
    assert [row[0] for row in up_to_end] == [hours_ago(24 + 9 - i) for i in range(10)]
    assert len(neither) == 500
    assert neither[-1][0] == newest
    assert len(too_many) == 1000
    assert beyond == []
    assert before_listing[0][0] == truth(ETH, 0, hours_ago(50_000)).open_time_ms[0]
    assert [row[0] for row in both] == [hours_ago(5), hours_ago(4), hours_ago(3)]
    row = from_start[0]
    assert len(row) == 12
    assert row[6] == row[0] + HOUR_MS - 1
    assert all(isinstance(text, str) and len(text.partition(".")[2]) == 8 for text in row[1:6])


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v3/klines?symbol=NOPE&interval=1h", 400, -1121),
        ("/api/v3/klines?symbol=ETHUSDT&interval=1H", 400, -1120),
        ("/api/v3/klines?symbol=ETHUSDT&interval=1h&startTime=x", 400, -1100),
        ("/api/v1/market/candles?symbol=NOPE&type=1hour", 400, "400100"),
        ("/api/v1/market/candles?symbol=ETH-USDT&type=1h", 400, "400100"),
        ("/api/v1/market/candles?symbol=ETH-USDT&type=1hour&startAt=x", 400, "400100"),
    ],
)
def test_wrong_questions_get_the_exchanges_own_errors(path: str, status: int, code: Any) -> None:
    with exchange() as (_, url):
        answer = httpx.get(url + path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_listings_show_halted_symbols_and_hide_unknown_ones() -> None:
    with exchange() as (one, url):
        one.faults.add(fault(Kind.HALTED, symbol="ETH-USDT", times=None))
        one.faults.add(fault(Kind.UNKNOWN_SYMBOL, symbol="BTC-USDT", times=None))
        binance = httpx.get(f"{url}/api/v3/exchangeInfo").json()["symbols"]
        kucoin = httpx.get(f"{url}/api/v2/symbols").json()["data"]
        still = source("binance", url).fetch(ETH, hours_ago(3), hours_ago(0))
        ping, futures = httpx.get(f"{url}/api/v3/ping"), httpx.get(f"{url}/fapi/v1/exchangeInfo")

    assert [(entry["symbol"], entry["status"]) for entry in binance] == [("ETHUSDT", "BREAK")]
    assert [(entry["symbol"], entry["enableTrading"]) for entry in kucoin] == [("ETH-USDT", False)]
    assert len(still.candles) == 3, "a halted symbol still answers with its old candles"
    assert (ping.json(), futures.json()) == ({}, {"symbols": []})
