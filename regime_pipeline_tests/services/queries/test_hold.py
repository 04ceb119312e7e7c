"""Tests of `services.queries.hold`: a stored market is answered from its newest closes."""

from __future__ import annotations

from pathlib import Path

import pytest

from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.hold.outlook import HoldOutlook
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.hold_model import default_hold_model
from regime_pipeline.services.queries.hold import HoldQuery, hold_answer
from regime_pipeline_tests.factories import NOW, hours_from_start, simulated_workspace
from regime_pipeline_tests.served_home import BTC, CLOCK, END, ETH

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("market", [ETH, BTC])
def test_the_answer_is_the_outlook_of_every_stored_candle(served: Workspace, market: Market) -> None:
    expected = HoldOutlook.of(served.warehouse.read_candles(market, 0, NOW), default_hold_model())
    lower, upper = expected.close * 0.97, expected.close * 1.04

    found = hold_answer(served, market, HoldQuery(lower, upper, 72, 0.7))

    assert found["hold_probability"] == expected.probability(lower, upper, 72)
    assert 0 < found["hold_probability"] < 1
    assert (found["lower"], found["upper"], found["hours"]) == (lower, upper, 72)
    band = expected.band(0.7, 72)
    assert found["band"] == {"probability": 0.7, "lower": band.lower, "upper": band.upper}
    assert (found["close"], found["known_at"]) == (expected.close, to_iso(END))
    assert found["data_age_s"] == pytest.approx((CLOCK - END) / 1000, abs=5)
    assert found["model_hash"] == default_hold_model().hash


def test_only_the_last_720_hours_are_read(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, [ETH]) as ws:
        STAGES[0].run(ws, ws.start_run(""), ETH, hours_from_start(0, 900))
        whole = HoldOutlook.of(ws.warehouse.read_candles(ETH, 0, NOW), default_hold_model())

        found = hold_answer(ws, ETH, HoldQuery(hours=24, probability=0.8))

        assert found["band"]["upper"] == whole.band(0.8, 24).upper


def test_without_bounds_there_is_only_the_band(served: Workspace) -> None:
    found = hold_answer(served, ETH, HoldQuery())

    assert (found["lower"], found["upper"], found["hold_probability"]) == (None, None, None)
    assert found["band"]["lower"] < found["close"] < found["band"]["upper"]


@pytest.mark.parametrize(
    ("market", "query", "error", "says"),
    [
        (ETH, HoldQuery(lower=1.0), UsageError, "needs both edges"),
        (ETH, HoldQuery(2.0, 1.0), UsageError, "not a band of prices"),
        (ETH, HoldQuery(1.0, 2.0, 200), UsageError, "from 12 to 168"),
        (ETH, HoldQuery(probability=1.5), UsageError, "hold probability of 1.5"),
        (Market("DOGE-USDT", "1h"), HoldQuery(), MissingDataError, "DOGE-USDT_1h"),
        (Market("ETH-USDT", "1d"), HoldQuery(), UsageError, "no hold probability on 1d"),
    ],
)
def test_what_cannot_be_answered_says_why(
    served: Workspace, market: Market, query: HoldQuery, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        hold_answer(served, market, query)


def test_a_market_without_candles_or_with_few_says_so(database_url: str, tmp_path: Path) -> None:
    young, bare = Market("ALFA-USDT", "1h"), Market("BETA-USDT", "1h")
    with simulated_workspace(database_url, tmp_path, [young, bare]) as ws:
        STAGES[0].run(ws, ws.start_run(""), young, hours_from_start(0, 50))
        ws.warehouse.series_id(bare, venue="simulated", price_scale=100)

        with pytest.raises(MissingDataError, match="BETA-USDT_1h has no candles yet"):
            hold_answer(ws, bare, HoldQuery())
        with pytest.raises(MissingDataError, match="ALFA-USDT_1h has fewer than 140 hours"):
            hold_answer(ws, young, HoldQuery())
