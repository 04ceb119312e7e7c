"""Property 77: the verdict of an hour is one, whether it comes from the database, its bundle, or the history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pandas as pd
import pytest

import regime_pipeline as rp
from regime_pipeline.domain.factors import Factor
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.domain.verdicts.engine import reach_hours
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import verdict_factors
from regime_pipeline.storage.snapshots.bundle import bundle
from regime_pipeline_tests.conftest import fresh_database
from regime_pipeline_tests.factories import hours_from_start, run_stages, simulated_workspace
from regime_pipeline_tests.python_api.factories import frame_of

MARKETS = (Market("ALFA-USDT", "1h"), Market("ALFA-USDT", "15m"))
HOURS = 900
CHECKED = (870, 899)


class Run(NamedTuple):
    """A pipeline run and its whole window."""

    ws: Workspace
    window: Window


@pytest.fixture(scope="module")
def pipeline(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with ExitStack() as stack:
        url = stack.enter_context(fresh_database(postgres_url))
        folder = tmp_path_factory.mktemp("snapshots")
        run = Run(stack.enter_context(simulated_workspace(url, folder, MARKETS)), hours_from_start(0, HOURS))
        for market in MARKETS:
            run_stages(run.ws, market, [run.window])
        yield run


@pytest.mark.parametrize("market", MARKETS, ids=str)
def test_property_77_database_bundle_and_history_agree_on_every_column(pipeline: Run, market: Market) -> None:
    ws, window = pipeline
    candles = ws.warehouse.read_candles(market, window.start_ms, window.end_ms)
    frame = rp.verdicts(frame_of(candles), market.timeframe, explain=True, price_scale=candles.price_scale)
    stored = {
        table: ws.warehouse.read_range(table, market, window) for table in ("regime_verdicts", "scores", "features")
    }

    factors = verdict_factors(ws, market, window)
    for number in CHECKED:
        hour = window.start_ms + number * HOUR_MS
        alone = rp.analyze_snapshot(bundle(ws.snapshots, market, hour, reach_hours(market, ws.policy)))
        pd.testing.assert_series_equal(alone, frame.iloc[number], check_names=False)
        flat = {name: column[number] for rows in reversed(stored.values()) for name, column in rows.items()}
        assert_stored(alone, flat, factors[number])


def assert_stored(row: pd.Series, stored: dict[str, Any], factors: list[Factor]) -> None:
    """Every column of the row is what the database holds, bit for bit."""
    assert row["verdict"] == VERDICTS[stored.pop("verdict")]
    assert row["factors"] == [factor.document() for factor in factors]
    numbers = [name for name in row.index if isinstance(row[name], float)]
    assert len(numbers) > 40
    for name in numbers:
        assert row[name] == stored[name] or (row[name] != row[name] and stored[name] != stored[name]), name


@pytest.mark.parametrize("market", MARKETS, ids=str)
def test_stored_candle_regimes_are_those_of_the_frame(pipeline: Run, market: Market) -> None:
    ws, window = pipeline
    candles = ws.warehouse.read_candles(market, window.start_ms, window.end_ms)

    found = rp.classify_candles(frame_of(candles), market.timeframe, price_scale=candles.price_scale)

    stored = ws.warehouse.read_frame("candle_regime", market, window)
    for name in ("trend_state", "volatility_state", "momentum_state", "full_regime", "simplified_regime"):
        assert found[name].tolist() == stored[name].tolist()
