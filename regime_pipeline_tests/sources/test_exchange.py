"""Tests of `sources.exchange` on a scripted exchange: nothing open, lost or doubled, whatever fails on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.errors import SourceError
from regime_pipeline.domain.market_data.completeness import hour_statuses
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.schema import HOUR_STATUSES
from regime_pipeline.retry import ATTEMPTS, LONGEST_PAUSE_S, RequestError, RetryPolicy, retry
from regime_pipeline.sources.exchange import LAG_MS, SETTLE_MS, ExchangeSource
from regime_pipeline.sources.exchange_client import Row

MARKET = Market("ETH-USDT", "1h")
START = 1_788_220_800_000 // HOUR_MS * HOUR_MS


@dataclass
class Script:
    """An exchange that knows some bars, and fails when its script says so."""

    known: Sequence[int] = range(200)
    now: int = START + 300 * HOUR_MS
    page_bars: int = 30
    known_bars: int | None = None
    failures: list[RequestError] = field(default_factory=list)
    requests: list[tuple[int, int]] = field(default_factory=list)
    price: Callable[[int], float] = lambda number: 100.0 + number / 100
    name: str = "script"

    def now_ms(self) -> int:
        return self.now

    def page(self, market: Market, start_ms: int, end_ms: int) -> list[Row]:
        self.requests.append((start_ms, end_ms))
        if self.failures:
            raise self.failures.pop()
        bars = [START + number * HOUR_MS for number in self.known]
        found = [opened for opened in bars if start_ms <= opened <= end_ms]  # one more than asked for
        rows = [self.row(opened) for opened in found]
        return [*reversed(rows), *rows[:1]]  # newest first, one twice

    def row(self, opened: int) -> Row:
        price = self.price((opened - START) // HOUR_MS)
        return [opened, price, price + 1, price - 1, price, 5.0]


class Waiting:
    """A clock that only moves by sleeping."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def patience(self, limit_s: float = 1e6) -> RetryPolicy:
        return RetryPolicy(self.slept.append, lambda: 0.5, lambda: sum(self.slept), limit_s)


def source(script: Script, waiting: Waiting | None = None, scale: int = 100, limit_s: float = 1e6) -> ExchangeSource:
    return ExchangeSource(script, lambda _: scale, (waiting or Waiting()).patience(limit_s))


def passing(wait_s: float = 0.0) -> RequestError:
    return RequestError("503", is_transient=True, wait_s=wait_s)


@given(
    st.sets(st.integers(0, 199)), st.integers(1, 60), st.integers(0, 120), st.integers(0, 100),
    st.lists(st.builds(passing, st.sampled_from([0.0, 7.0])), max_size=4), st.integers(0, 230 * HOUR_MS),
)  # fmt: skip
@settings(max_examples=60)
def test_the_closed_bars_of_the_span_come_back_once_whatever_fails(
    known: set[int], page_bars: int, first: int, count: int, failures: list[RequestError], age: int
) -> None:
    script = Script(sorted(known), START + age, page_bars, failures=list(failures))

    found = source(script).fetch(MARKET, START + first * HOUR_MS, START + (first + count) * HOUR_MS)

    closed = age // HOUR_MS
    expected = [START + n * HOUR_MS for n in sorted(known) if first <= n < min(first + count, closed)]
    assert found.candles.open_time_ms.tolist() == expected
    assert found.candles.close.tolist() == [round(100 * script.row(opened)[4]) for opened in expected]
    for start, end in found.covered:
        assert START + first * HOUR_MS <= start < end <= START + min(first + count, closed) * HOUR_MS


def test_an_outage_longer_than_a_page_is_a_confirmed_gap() -> None:
    script = Script(known=[*range(20), *range(120, 200)], page_bars=24)
    window = Window(START, START + 180 * HOUR_MS)

    found = source(script).fetch(MARKET, window.start_ms, window.end_ms)

    assert len(found.candles) == 80
    statuses = hour_statuses(MARKET, window, found.candles, found.covered)["status"]
    assert [HOUR_STATUSES[code] for code in statuses[19:21]] == ["complete", "exchange_gap"]
    assert set(statuses[20:120].tolist()) == {HOUR_STATUSES.index("exchange_gap")}
    assert len(script.requests) == 8


@pytest.mark.parametrize(("late_ms", "is_covered"), [(1, False), (LAG_MS - 1, False), (LAG_MS, True)])
def test_the_newest_bar_may_be_late_before_its_absence_is_a_gap(late_ms: int, is_covered: bool) -> None:
    script = Script(known=range(99), now=START + 100 * HOUR_MS + late_ms)

    found = source(script).fetch(MARKET, START, START + 100 * HOUR_MS)

    assert len(found.candles) == 99
    assert found.covered == ((START, START + (100 if is_covered else 99) * HOUR_MS),)


def test_of_a_quiet_market_an_absent_bar_is_not_waited_for() -> None:
    """One that was traded is there, open, before it closes."""
    script = Script(known=range(99), now=START + 100 * HOUR_MS + SETTLE_MS)
    quiet = ExchangeSource(script, lambda _: 100, Waiting().patience(1e6), lambda _: SETTLE_MS)
    found = quiet.fetch(MARKET, START, START + 100 * HOUR_MS)
    assert found.covered == ((START, START + 100 * HOUR_MS),)


def test_a_bar_is_asked_for_when_it_has_settled() -> None:
    closed = START + 7 * HOUR_MS

    assert source(Script(now=closed + SETTLE_MS - 1)).newest_closed_ms(MARKET) == closed - HOUR_MS
    assert source(Script(now=closed + SETTLE_MS)).newest_closed_ms(MARKET) == closed


def test_an_exchange_that_knows_the_newest_bars_only_confirms_those_only() -> None:
    script = Script(known=range(150, 200), now=START + 200 * HOUR_MS + 1, known_bars=50, page_bars=100)

    found = source(script).fetch(MARKET, START, START + 200 * HOUR_MS)

    assert found.covered == ((START + 151 * HOUR_MS, START + 200 * HOUR_MS),)
    assert len(found.candles) == 50


def test_a_price_between_two_ticks_names_the_remedy() -> None:
    script = Script(price=lambda _: 100.005)

    with pytest.raises(
        SourceError, match=r"script, ETH-USDT_1h .* not a multiple of 1/100. Give .* larger price_scale"
    ):
        source(script).fetch(MARKET, START, START + HOUR_MS)
    assert source(Script(price=lambda _: 100.005), scale=1000).fetch(MARKET, START, START + HOUR_MS).candles.close[0]


def test_a_bad_candle_is_the_exchanges_fault() -> None:
    class Upside(Script):
        def row(self, opened: int) -> Row:
            return [opened, 10.0, 9.0, 11.0, 10.0, 1.0]

    with pytest.raises(SourceError, match="script answered with a bad candle: .*high is below"):
        source(Upside()).fetch(MARKET, START, START + HOUR_MS)


def test_what_does_not_pass_ends_at_once_and_names_exchange_market_span_and_cause() -> None:
    waiting, script = Waiting(), Script(failures=[RequestError("418 banned", is_transient=False)])

    with pytest.raises(SourceError, match=r"script, ETH-USDT_1h 2026-.*Z to 2026-.*Z: 418 banned\."):
        source(script, waiting).fetch(MARKET, START, START + HOUR_MS)
    assert waiting.slept == []


def test_tries_are_bounded_in_number_and_in_time() -> None:
    waiting = Waiting()
    with pytest.raises(SourceError, match=f"503 \\(tried {ATTEMPTS} times\\). Try again later"):
        source(Script(failures=[passing()] * 50), waiting).fetch(MARKET, START, START + HOUR_MS)
    assert len(waiting.slept) == ATTEMPTS - 1

    waiting = Waiting()
    with pytest.raises(SourceError, match="tried 2 times"):
        source(Script(failures=[passing(30.0)] * 50), waiting, limit_s=40).fetch(MARKET, START, START + HOUR_MS)
    assert waiting.slept == [30.0]


@given(st.lists(st.floats(0, 0.999), min_size=ATTEMPTS, max_size=ATTEMPTS), st.sampled_from([0.0, 5.0, 200.0]))
def test_pauses_grow_jitter_and_obey_retry_after(draws: list[float], wait_s: float) -> None:
    slept: list[float] = []
    left = [passing(wait_s)] * (ATTEMPTS - 1)

    def ask() -> str:
        if left:
            raise left.pop()
        return "there"

    found = retry(ask, RetryPolicy(slept.append, iter(draws).__next__, lambda: 0.0, 1e9), 1e9, "x")

    assert found == "there"
    for number, pause in enumerate(slept):
        whole = min(0.5 * 2**number, LONGEST_PAUSE_S)
        assert max(wait_s, whole / 2) <= pause <= max(wait_s, whole)


def test_nothing_is_asked_for_a_span_that_has_not_closed() -> None:
    script = Script(now=START + 5 * HOUR_MS)

    found = source(script).fetch(MARKET, START + 5 * HOUR_MS, START + 9 * HOUR_MS)

    assert (len(found.candles), found.covered, script.requests) == (0, (), [])
    assert found.candles.price_scale == 100
    assert np.array_equal(found.candles.open_time_ms, [])
