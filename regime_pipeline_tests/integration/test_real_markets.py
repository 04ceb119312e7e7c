"""Real candles through the whole chain: BTCUSDT, February and March 2020, with its outages and its crash."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.bootstrap import open_workspace, read_universe
from regime_pipeline.cli.backfill import run_chain
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.domain.schema import HOUR_STATUSES, VERDICTS
from regime_pipeline.services.chain.stage_work import correction_reach
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.imports.plan import read_files
from regime_pipeline.services.imports.write import import_candles
from regime_pipeline.services.universe import MarketSpec, ensure_market
from regime_pipeline.settings import Settings
from regime_pipeline.sources.files.layouts import ReadOptions

pytestmark = pytest.mark.slow
MINUTES = Market("BTC-USDT", "1m")
TIMEFRAMES = ("1m", "15m", "1h")


@pytest.fixture(scope="module")
def workspace(shared_data: Path, module_home: Path) -> Iterator[Workspace]:
    """February and 19 days of March imported, and the chain run through Dagster for three timeframes."""
    folder = shared_data / "binance-vision/data/spot/daily/klines/BTCUSDT/1m"
    files = sorted([*folder.glob("BTCUSDT-1m-2020-02-*.zip"), *folder.glob("BTCUSDT-1m-2020-03-[01]*.zip")])
    settings = Settings(home=module_home, markets=module_home / "markets.toml")
    plan = read_files(files, MINUTES, ReadOptions(), to_ms("2026-01-01T00:00:00Z"))
    ensure_market(settings.markets, MarketSpec(MINUTES, "files", plan.candles.price_scale), plan.span_ms)
    for timeframe in TIMEFRAMES[1:]:
        spec = MarketSpec(MINUTES.on(timeframe), "resampled", plan.candles.price_scale)
        ensure_market(settings.markets, spec, plan.span_ms)
    with open_workspace(settings) as opened:
        opened.warehouse.series_id(MINUTES, venue="files", price_scale=plan.candles.price_scale)
        reach = correction_reach(MINUTES, opened.policy)
        import_candles(plan, plan.candles.price_scale, opened.warehouse, opened.start_run(""), reach)
        universe = read_universe(settings)
        runs = run_chain(settings, universe.markets, Window(universe.start_ms, universe.end_ms or 0))
        assert [run.failure for run in runs] == ["", "", ""]
        yield opened


def verdicts(workspace: Workspace, timeframe: str, start: str, end: str) -> list[str]:
    window = Window(to_ms(start), to_ms(end))
    rows = workspace.warehouse.read_range("regime_verdicts", MINUTES.on(timeframe), window, ["verdict"])
    assert len(rows["verdict"]) == len(window)
    return [VERDICTS[code] for code in rows["verdict"]]


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_the_crash_of_12_march_2020_is_never_a_range(workspace: Workspace, timeframe: str) -> None:
    crash = verdicts(workspace, timeframe, "2020-03-12T00:00:00Z", "2020-03-13T06:00:00Z")

    assert "RANGE_OK" not in crash
    assert "TRANSITION" in crash


@pytest.mark.parametrize(
    ("start", "hours", "minutes"),
    [("2020-02-09T02:00:00Z", 1, 60), ("2020-02-19T11:36:00Z", 7, 354), ("2020-03-04T09:22:00Z", 3, 128)],
)
def test_the_known_outages_are_exchange_gaps(workspace: Workspace, start: str, hours: int, minutes: int) -> None:
    first = to_ms(start) // HOUR_MS * HOUR_MS
    window = Window(first - HOUR_MS, first + (hours + 1) * HOUR_MS)

    rows = workspace.warehouse.read_range("candle_hours", MINUTES, window)

    statuses = [HOUR_STATUSES[code] for code in rows["status"]]
    assert statuses == ["complete", *["exchange_gap"] * hours, "complete"]
    assert int((rows["expected"] - rows["present"]).sum()) == minutes


def test_an_outage_leaves_its_own_hours_and_the_one_behind_it_without_a_verdict(workspace: Workspace) -> None:
    """The warm-up of 168 bars and 150 observations ends on the 14th; 1h misses 7 hours on the 19th, 3 on 4 March."""
    found = verdicts(workspace, "1h", "2020-02-15T00:00:00Z", "2020-03-20T00:00:00Z")

    insufficient = np.flatnonzero(np.array(found) == "INSUFFICIENT_DATA")
    outages = [4 * 24 + 11 + np.arange(8), 18 * 24 + 9 + np.arange(4)]
    assert insufficient.tolist() == np.concatenate(outages).tolist()


def test_a_resampled_hour_exists_only_where_all_its_minutes_do(workspace: Workspace) -> None:
    window = Window(to_ms("2020-02-19T10:00:00Z"), to_ms("2020-02-19T19:00:00Z"))

    hours = workspace.warehouse.read_range("candle_hours", MINUTES.on("1h"), window)

    assert hours["present"].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert {HOUR_STATUSES[code] for code in hours["status"][1:-1]} == {"exchange_gap"}


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_every_hour_has_a_verdict_and_a_reason(workspace: Workspace, timeframe: str) -> None:
    window = Window(to_ms("2020-02-01T00:00:00Z"), to_ms("2020-03-20T00:00:00Z"))

    rows = workspace.warehouse.read_range("dashboard_hours", MINUTES.on(timeframe), window)

    assert len(rows["hour_start"]) == len(window)
    assert all(rows["reason"])
    found = np.bincount(rows["verdict"], minlength=len(VERDICTS)) / len(window)
    assert found[0] < {"1m": 0.2, "15m": 0.4, "1h": 0.3}[timeframe]
    assert (found[1:] > 0).sum() >= 2
