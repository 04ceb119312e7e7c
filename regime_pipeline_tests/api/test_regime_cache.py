"""Tests of `api.regime_cache` and `api.regime_rows`: rows cut to a question are what that question alone gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st

from regime_pipeline.api.regime_cache import MOST_SPANS, RowsCache
from regime_pipeline.api.regime_rows import MOST_ROW_BYTES, RegimeRows, regime_rows
from regime_pipeline.domain.candle_regimes.classifier import CandleRegimes
from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.services.queries.candle_regimes import RegimeQuestion, RegimeSeries
from regime_pipeline.storage.bulk.regime_reads import ReadVersion

ETH, BTC = Market("ETH-USDT", "1h"), Market("BTC-USDT", "1h")
HOURS = st.lists(st.integers(0, 40), unique=True, max_size=25).map(sorted)
EDGES = st.integers(-2, 43)
LIMITS = st.integers(1, 30)


def answered(hours: list[int], question: RegimeQuestion, state: str = "") -> RegimeSeries:
    """What the table says to a question, of a market with candles in these hours; every third is computed."""
    times = np.array(hours, dtype=np.int64) * HOUR_MS
    times = times[(times >= question.start_ms) & (times < question.end_ms)][-question.limit :]
    number = times // HOUR_MS
    regimes = CandleRegimes(times, (number % len(REGIME_STATES)).astype(np.int16), number / 50)
    return RegimeSeries(question.market, regimes, number % 3 != 0, ReadVersion(0, 0, state))


def by_row(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def asked(start: int, end: int, limit: int, market: Market = ETH) -> RegimeQuestion:
    return RegimeQuestion(market, start * HOUR_MS, end * HOUR_MS, limit)


@given(HOURS, EDGES, EDGES, LIMITS, EDGES, EDGES, LIMITS)
def test_a_piece_is_the_answer_to_its_question(
    hours: list[int], start: int, end: int, limit: int, other_start: int, other_end: int, other_limit: int
) -> None:
    first, second = asked(start, end, limit), asked(other_start, other_end, other_limit)
    rows = regime_rows(answered(hours, first), first)
    alone = answered(hours, second)

    assert rows.covers(first)
    if rows.covers(second):
        answer = rows.answer(second)
        assert answer.body == regime_rows(alone, second).answer(second).body
        assert answer.source == alone.source
        assert [row["time"] * 1000 for row in orjson.loads(answer.body)] == alone.regimes.open_time_ms.tolist()
        assert answer.body == rows.answer(first).body or answer.version != rows.answer(first).version
        assert by_row(orjson.loads(rows.answer(second, "columns").body)) == orjson.loads(answer.body)


def test_what_was_not_asked_is_not_covered() -> None:
    hours = list(range(20))
    rows = regime_rows(answered(hours, asked(5, 15, 4)), asked(5, 15, 4))  # holds 11 to 14

    assert [rows.covers(asked(*span)) for span in ((5, 15, 4), (0, 15, 4), (11, 15, 9), (12, 14, 9))] == [True] * 4
    assert [rows.covers(asked(*span)) for span in ((5, 15, 5), (5, 16, 4), (10, 13, 9))] == [False] * 3


def held(market: Market, start: int, end: int, limit: int = 100) -> tuple[RegimeQuestion, RegimeRows]:
    question = asked(start, end, limit, market)
    return question, regime_rows(answered(list(range(start, end)), question), question)


def test_the_cache_keeps_markets_apart_and_drops_what_was_used_least() -> None:
    eth, old = held(ETH, 0, 10)
    btc, other = held(BTC, 0, 10)
    late, new = held(ETH, 20, 30)
    cache = RowsCache(max_bytes=25 * MOST_ROW_BYTES)
    cache.put(old)
    assert cache.find(btc) is None
    cache.put(other)
    assert cache.find(eth) is old
    cache.put(new)  # one too many: Bitcoin was used least

    assert [cache.find(question) for question in (eth, btc, late)] == [old, None, new]
    assert cache.find(asked(25, 28, 2)) is new


def test_rows_of_the_same_span_are_replaced() -> None:
    question, old = held(ETH, 0, 10)
    _, new = held(ETH, 0, 10)
    cache = RowsCache(max_bytes=40 * MOST_ROW_BYTES)
    for rows in (old, new, old, new):
        cache.put(rows)
    assert cache.find(question) is new
    cache.put(held(BTC, 0, 20)[1])
    assert cache.find(question) is new


def test_a_market_keeps_its_newest_spans_and_the_others_theirs() -> None:
    cache = RowsCache()
    other, rows = held(BTC, 0, 10)
    cache.put(rows)
    asked_for = [held(ETH, start, start + 3) for start in range(MOST_SPANS + 2)]
    for _, rows in asked_for:
        cache.put(rows)

    assert [cache.find(question) is not None for question, _ in asked_for] == [False] * 2 + [True] * MOST_SPANS
    assert cache.find(other) is not None
