"""Tests of the faults, each met by the real client and the source: tried again or refused, and never a wrong candle."""

from __future__ import annotations

import httpx
import pytest

from regime_pipeline.domain.errors import SourceError
from regime_pipeline.sources.exchange import ExchangeSource
from regime_pipeline_tests.exchange_simulator.faults import Kind
from regime_pipeline_tests.exchange_simulator.fixtures import (
    ETH,
    FORMS,
    NOW,
    SCALE,
    client,
    exchange,
    fault,
    hours_ago,
    patience,
    source,
    truth,
)

CANDLES = {"binance": "klines", "kucoin": "candles"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kind", "waited"),
    [
        (Kind.RATE_LIMIT, 7.0),
        (Kind.UNAVAILABLE, 0.375),
        (Kind.TIMEOUT, 0.375),
        (Kind.SLOW, 0.375),
        (Kind.DROPPED, 0.375),
        (Kind.TRUNCATED, 0.375),
    ],
)
def test_what_passes_is_tried_again_after_the_right_pause(form: str, kind: Kind, waited: float) -> None:
    patient, slept = patience()
    with exchange() as (one, url):
        made = ExchangeSource(client(form, url, 2.0 if kind == Kind.SLOW else 20.0), lambda _: SCALE, patient)
        made.newest_closed_ms(ETH)
        one.faults.add(fault(kind, path=CANDLES[form], seconds=2.5 if kind == Kind.SLOW else 7))
        answer = made.fetch(ETH, hours_ago(5), hours_ago(0))

    assert answer.candles.open_time_ms.tolist() == [hours_ago(5 - i) for i in range(5)]
    assert slept == [waited]
    assert sum(CANDLES[form] in asked for asked in one.requests) == 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("kind", "words"), [(Kind.BAN, "ban|restricted"), (Kind.RESTRICTED, "451|region")])
def test_bans_and_refusals_by_place_are_not_tried_again(form: str, kind: Kind, words: str) -> None:
    with exchange() as (one, url):
        one.faults.add(fault(kind, path=CANDLES[form], times=None))
        with pytest.raises(SourceError, match=rf"(?s){form}, ETH-USDT_1h 2024-05-08T07:00:00Z to .*({words})"):
            source(form, url).fetch(ETH, hours_ago(5), hours_ago(0))

    assert sum(CANDLES[form] in asked for asked in one.requests) == 1


def test_what_does_not_pass_ends_with_an_error_that_counts_the_tries() -> None:
    with exchange() as (one, url):
        one.faults.add(fault(Kind.UNAVAILABLE, path="klines", times=None))
        with pytest.raises(SourceError, match=r"503 .*\(tried 6 times\)"):
            source("binance", url).fetch(ETH, hours_ago(5), hours_ago(0))


@pytest.mark.parametrize("form", FORMS)
def test_bars_given_twice_count_once_and_a_late_one_is_not_known_yet(form: str) -> None:
    with exchange(NOW // 3_600_000 * 3_600_000 + 25_000) as (one, url):
        one.faults.add(fault(Kind.DUPLICATE))
        one.faults.add(fault(Kind.LATE))
        answer = source(form, url).fetch(ETH, hours_ago(5), hours_ago(0))

    assert answer.candles.open_time_ms.tolist() == [hours_ago(5 - i) for i in range(4)]
    assert answer.covered == ((hours_ago(5), hours_ago(1)),)


@pytest.mark.parametrize("form", FORMS)
def test_faults_of_bars_arrive_as_they_are(form: str) -> None:
    with exchange() as (one, url):
        one.faults.add(fault(Kind.ZERO_VOLUME, start_ms=hours_ago(5), end_ms=hours_ago(4), times=None))
        one.faults.add(fault(Kind.RESTATED, start_ms=hours_ago(3), end_ms=hours_ago(2), times=None))
        one.faults.add(fault(Kind.SHORT_CLOSE, start_ms=hours_ago(2), end_ms=hours_ago(1), times=None))
        found = source(form, url).fetch(ETH, hours_ago(5), hours_ago(0)).candles
        raw = httpx.get(f"{url}/api/v3/klines?symbol=ETHUSDT&interval=1h&startTime={hours_ago(2)}&limit=1").json()

    true = truth(ETH, hours_ago(5), hours_ago(0))
    assert (found.volume[0], found.high[0], found.low[0]) == (0.0, true.open[0], true.open[0])
    assert found.volume[2] == pytest.approx(2 * true.volume[2])
    assert (found.high[2], found.low[2]) == (true.high[2] + 1, true.low[2] - 1)
    assert raw[0][6] == raw[0][0] + 27_714


def test_the_exchanges_clock_decides_what_is_closed() -> None:
    with exchange() as (one, url):
        one.faults.add(fault(Kind.CLOCK_OFFSET, seconds=-3_600))
        behind = source("binance", url).newest_closed_ms(ETH)
        true = source("binance", url).newest_closed_ms(ETH)

    assert (behind, true) == (hours_ago(1), hours_ago(0))


def test_chances_are_the_same_for_a_seed() -> None:
    def hits() -> list[bool]:
        with exchange(seed=5) as (one, _):
            one.faults.add(fault(Kind.SLOW, probability=0.5, times=None))
            return [one.faults.hit(Kind.SLOW) is not None for _ in range(20)]

    assert hits() == hits()
    assert 3 < sum(hits()) < 17
