"""Bars without a trade: the arithmetic against a loop, bar by bar, and that nothing later matters."""

from __future__ import annotations

import numpy as np
from hypothesis import event, given
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.candles import COLUMNS, Candles
from regime_pipeline.domain.market_data.completeness import Spans, merge_spans
from regime_pipeline.domain.market_data.market import MINUTE_MS, Market
from regime_pipeline.domain.market_data.no_trade import fill_no_trade, is_no_trade

MARKET = Market("ALFA-USDT", "1m")
BARS = 40


def bars(places: list[int]) -> Candles:
    """Bars at the given minutes, each closing at 100 plus its minute, with a volume."""
    times = np.array(places, dtype=np.int64) * MINUTE_MS
    close = 100.0 + np.array(places)
    return Candles.from_prices(MARKET, 1, times, [close - 1, close + 1, close - 2, close], np.ones(len(places)))


def rows(candles: Candles) -> dict[int, tuple[float, ...]]:
    columns = [getattr(candles, name).tolist() for name in COLUMNS[1:]]
    return dict(zip((candles.open_time_ms // MINUTE_MS).tolist(), zip(*columns, strict=True), strict=True))


def expected(traded: Candles, covered: Spans, before: Candles) -> dict[int, tuple[float, ...]]:
    """Go from minute to minute, as one would by hand."""
    given_rows = rows(before) | rows(traded)
    is_covered = {minute for start, end in covered for minute in range(start // MINUTE_MS, end // MINUTE_MS)}
    found = rows(traded)
    close = None
    for minute in range(BARS):
        if minute in given_rows:
            close = given_rows[minute][3]
        elif minute not in is_covered:
            close = None
        elif close is not None:
            found[minute] = (close, close, close, close, 0.0)
    return found


SPANS = st.lists(st.tuples(st.integers(1, BARS), st.integers(1, BARS)), max_size=4).map(
    lambda spans: merge_spans((start * MINUTE_MS, end * MINUTE_MS) for start, end in spans)
)


@given(st.sets(st.integers(1, BARS - 1)), SPANS, st.booleans())
def test_absent_bars_of_covered_time_are_flat_at_the_close_before(
    places: set[int], covered: Spans, has_before: bool
) -> None:
    traded = bars(sorted(places))
    before = bars([0] if has_before else [])
    filled = fill_no_trade(traded, covered, before)
    assert rows(filled) == expected(traded, covered, before)
    assert is_no_trade(filled).sum() == len(filled) - len(traded)
    event("filled" if len(filled) > len(traded) else "nothing to fill")


@given(st.sets(st.integers(1, BARS - 1), min_size=1), SPANS, st.integers(1, BARS))
def test_a_bar_depends_on_earlier_ones_alone(places: set[int], covered: Spans, cut: int) -> None:
    traded, end = bars(sorted(places)), cut * MINUTE_MS
    whole = fill_no_trade(traded, covered)
    known = merge_spans((start, min(stop, end)) for start, stop in covered)
    assert rows(fill_no_trade(traded.between(0, end), known)) == rows(whole.between(0, end))


def test_without_a_candle_or_a_span_nothing_is_made() -> None:
    span = ((0, BARS * MINUTE_MS),)
    assert len(fill_no_trade(bars([]), span)) == 0
    assert rows(fill_no_trade(bars([3, 5]), ())) == rows(bars([3, 5]))
    assert min(rows(fill_no_trade(bars([3, 5]), span))) == 3
