"""Tests of `services.analysis_service`: from files alone, the rows of the pipeline's table, hour or range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import regime_pipeline as rp
from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.grids.comparison import compare
from regime_pipeline.domain.grids.formats import to_toml
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.verdicts.engine import reach_hours
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import verdict_factors
from regime_pipeline.services.queries.grid_comparison import grid_of
from regime_pipeline.storage.snapshots.bundle import bundle
from regime_pipeline_tests.domain.grids.factories import POLICY, grid
from regime_pipeline_tests.served_home import BTC, ETH, HOURS, WINDOW, hour

SCORES = ["trend_score", "mean_rev_score", "vol_change_score", "range_quality_score", "grid_capacity_score"]


@pytest.fixture(scope="module")
def ws(served: Workspace) -> Workspace:
    return served


@pytest.fixture(scope="module")
def service(ws: Workspace) -> rp.RegimeAnalysisService:
    return rp.RegimeAnalysisService(rp.SnapshotReader(rp.SnapshotStore(ws.snapshots.root)))


@pytest.mark.parametrize("market", [ETH, BTC])
def test_a_range_equals_the_pipelines_table(ws: Workspace, service: rp.RegimeAnalysisService, market: Market) -> None:
    start, end = to_iso(hour(100)), to_iso(WINDOW.end_ms)

    found = service.analyze_range(market.symbol, start, end, market.timeframe)

    assert list(found.columns[:3]) == ["symbol", "timeframe", "hour_start"]
    assert len(found) == HOURS - 100
    factors = verdict_factors(ws, market, WINDOW)[100:]
    assert found["factors"].tolist() == [[factor.document() for factor in each] for each in factors]
    for table, names in (("regime_verdicts", ["verdict", "confidence"]), ("scores", SCORES)):
        stored = ws.warehouse.read_frame(table, market, WINDOW)[100:].reset_index(drop=True)
        assert stored["hour_start"].tolist() == found["hour_start"].tolist()
        for name in names:
            left, right = found[name], stored[name]
            if name in SCORES:
                np.testing.assert_array_equal(left, right)
            else:
                assert left.tolist() == right.tolist(), name


def test_single_hours_equal_the_range_and_a_bundle(ws: Workspace, service: rp.RegimeAnalysisService) -> None:
    whole = service.analyze_range("ETH-USDT", to_iso(hour(0)), to_iso(WINDOW.end_ms))
    for number in (10, 300, HOURS - 1):
        row = service.analyze_timestamp("ETHUSDT", to_iso(hour(number) + 1_800_000))
        pd.testing.assert_series_equal(row, whole.drop(columns=["symbol", "timeframe", "hour_start"]).iloc[number],
                                       check_names=False)  # fmt: skip
        assert row.name == "ETH-USDT_1h"


def test_several_markets_come_in_the_order_asked_for_however_many_work(service: rp.RegimeAnalysisService) -> None:
    span = to_iso(hour(300)), to_iso(hour(310))
    ones = service.analyze_range(["ETH-USDT"], *span)

    with pytest.raises(MissingDataError, match=r"no snapshot of BTC-USDT_1h from .* under "):
        service.analyze_range(["ETH-USDT", "BTC-USDT"], *span)
    both = service.analyze_range(["ETH-USDT", "ETH-USDT"], *span, workers=2)

    pd.testing.assert_frame_equal(both, pd.concat([ones, ones], ignore_index=True))


def test_absent_hours_and_naive_times_are_errors(service: rp.RegimeAnalysisService) -> None:
    with pytest.raises(MissingDataError, match="no snapshot of ETH-USDT_1h"):
        service.analyze_timestamp("ETH-USDT", to_iso(hour(HOURS)))
    with pytest.raises(UsageError, match="no offset"):
        service.analyze_timestamp("ETH-USDT", "2026-09-02T00:00:00")
    with pytest.raises(UsageError, match="'6h' is not a timeframe"):
        service.analyze_range("ETH-USDT", to_iso(hour(0)), to_iso(hour(5)), "6h")


def test_what_was_known_at_a_time_is_analyzed(service: rp.RegimeAnalysisService) -> None:
    with pytest.raises(MissingDataError, match="as of 2020"):
        service.analyze_timestamp("ETH-USDT", to_iso(hour(5)), as_of="2020-01-01T00:00:00Z")
    now = service.analyze_timestamp("ETH-USDT", to_iso(hour(400)))
    later = service.analyze_timestamp("ETH-USDT", to_iso(hour(400)), as_of="2030-01-01T00:00:00Z")
    pd.testing.assert_series_equal(now, later)


def test_a_grid_is_compared_with_the_range_of_the_hour(
    ws: Workspace, service: rp.RegimeAnalysisService, tmp_path: Path
) -> None:
    low = ws.warehouse.read_range("features", ETH, WINDOW, ["range_low"])["range_low"]
    number = int(np.flatnonzero(~np.isnan(low))[-1])
    time = to_iso(hour(number))
    plain = service.analyze_timestamp("ETH-USDT", time)
    config = grid(symbol="ETH-USDT", lower="1", upper="2", limit_lower=None, limit_upper=None)
    file = tmp_path / "grids.toml"
    file.write_text(to_toml([config]), "utf-8")
    bundled = rp.analyze_snapshot(bundle(ws.snapshots, ETH, hour(number), reach_hours(ETH, POLICY)), grid=config)

    for given in (config, config.model_dump(), file, str(file)):
        found = service.analyze_timestamp("ETH-USDT", time, grid=given)
        assert repr(found.drop("grid_comparison").to_dict()) == repr(plain.to_dict())
        compared = found["grid_comparison"]
        assert compared == bundled["grid_comparison"]
        assert (compared["is_close_inside_grid"], compared["close"]) == (False, plain["close"])
        expected = compare(
            config,
            np.array([plain["range_low"]]),
            np.array([plain["range_high"]]),
            np.array([plain["atr"]]),
            POLICY.grid_capacity,
        )
        assert compared["iou"] == expected.iou[0]
        assert compared["lower_offset_atr"] == expected.lower_offset_atr[0]
    with pytest.raises(UsageError, match="The grid is of DOGE-USDT, the hour of ETH-USDT"):
        service.analyze_timestamp("ETH-USDT", time, grid=config.model_copy(update={"symbol": "DOGE-USDT"}))
    with pytest.raises(UsageError, match="holds no grid of BTC-USDT"):
        grid_of(file, "BTC-USDT", hour(number))
