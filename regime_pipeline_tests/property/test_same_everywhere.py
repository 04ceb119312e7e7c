"""Property 77: the verdict of an hour is one, whether it comes from the database, its bundle, or the history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import regime_pipeline as rp
from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.factors import Factor
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.schema import FEATURES, SCORES, VERDICT_COLUMNS
from regime_pipeline.domain.verdicts.engine import reach_hours
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import verdict_factors
from regime_pipeline.storage.snapshots.bundle import bundle
from regime_pipeline_tests.conftest import fresh_database
from regime_pipeline_tests.factories import hours_from_start, run_stages, simulated_workspace
from regime_pipeline_tests.python_api.factories import frame_of

MARKETS = (Market("ALFA-USDT", "1h"), Market("ALFA-USDT", "15m"))
HOURS = 900
LABELS = {
    column.name: column.categories
    for layout in (FEATURES, SCORES, VERDICT_COLUMNS)
    for column in layout
    if column.categories
}
"""Columns that the database holds as codes, and what the codes stand for."""


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


class Said(NamedTuple):
    """What history says about every hour of a market, and what the database holds of it."""

    frame: pd.DataFrame
    stored: dict[str, Rows]
    factors: list[list[Factor]]


@pytest.fixture(scope="module")
def said(pipeline: Run) -> dict[Market, Said]:
    return {market: said_of(pipeline, market) for market in MARKETS}


def said_of(pipeline: Run, market: Market) -> Said:
    ws, window = pipeline
    candles = ws.warehouse.read_candles(market, window.start_ms, window.end_ms)
    frame = rp.verdicts(frame_of(candles), market.timeframe, explain=True, price_scale=candles.price_scale)
    tables = ("regime_verdicts", "scores", "features")
    stored = {table: ws.warehouse.read_range(table, market, window) for table in tables}
    return Said(frame, stored, verdict_factors(ws, market, window))


@given(market=st.sampled_from(MARKETS), number=st.integers(0, HOURS - 1))
@example(market=MARKETS[0], number=0)
@example(market=MARKETS[1], number=HOURS - 1)
@settings(max_examples=10)
def test_property_77_database_bundle_and_history_agree_on_every_column(
    pipeline: Run, said: dict[Market, Said], market: Market, number: int
) -> None:
    """Whatever the hour, from the first of the warm-up on, each with no more than its own bundle."""
    ws, window = pipeline
    frame, stored, factors = said[market]
    hour = window.start_ms + number * HOUR_MS

    alone = rp.analyze_snapshot(bundle(ws.snapshots, market, hour, reach_hours(market, ws.policy)))

    pd.testing.assert_series_equal(alone, frame.iloc[number], check_names=False)
    flat = {name: column[number] for rows in reversed(stored.values()) for name, column in rows.items()}
    assert_stored(alone, flat, factors[number])


def assert_stored(row: pd.Series, stored: dict[str, Any], factors: list[Factor]) -> None:
    """Every column of the row is what the database holds, bit for bit."""
    assert row["factors"] == [factor.document() for factor in factors]
    labels = [name for name in row.index if name in LABELS]
    assert {"verdict", "direction", "dominant_risk", "status"} <= set(labels)
    assert {name: row[name] for name in labels} == {name: LABELS[name][stored[name]] for name in labels}
    numbers = [name for name in row.index if isinstance(row[name], float)]
    assert len(numbers) > 40
    for name in numbers:
        assert row[name] == stored[name] or (row[name] != row[name] and stored[name] != stored[name]), name
    times = {
        "open_time": stored["hour_start"],
        "as_of_bar": stored["as_of_bar"],
        "known_at": stored["hour_start"] + HOUR_MS,
    }
    assert {name: row[name] for name in times} == {
        name: pd.Timestamp(ms, unit="ms", tz="UTC") for name, ms in times.items()
    }
    counts = set(row.index) - set(labels) - set(numbers) - set(times) - {"competing", "factors"}
    assert len(counts) > 10
    assert {name: row[name] for name in counts} == {name: stored[name] for name in counts}


@pytest.mark.parametrize("market", MARKETS, ids=str)
def test_stored_candle_regimes_are_those_of_the_frame(pipeline: Run, market: Market) -> None:
    ws, window = pipeline
    candles = ws.warehouse.read_candles(market, window.start_ms, window.end_ms)

    found = rp.classify_candles(frame_of(candles), market.timeframe, price_scale=candles.price_scale)

    stored = ws.warehouse.read_frame("candle_regime", market, window)
    for name in ("trend_state", "volatility_state", "momentum_state", "full_regime", "simplified_regime"):
        assert found[name].tolist() == stored[name].tolist()
