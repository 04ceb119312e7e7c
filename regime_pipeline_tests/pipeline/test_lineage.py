"""Lineage tells the truth: each asset declares the assets whose tables and files it reads, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regime_pipeline.dashboard.build import build_site
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grids import proposed_fields, stop_grid, update_grid
from regime_pipeline.sources.base import CandleSource
from regime_pipeline_tests.factories import hours_from_start, run_stages, simulated_workspace
from regime_pipeline_tests.pipeline.test_build import built

MARKET = Market("ALFA-USDT", "1h")
WINDOW = hours_from_start(0, 12)
SNAPSHOTS, SOURCE = "hourly_snapshots", "candle_source/simulated"
WRITER = {stage.table: stage.name for stage in STAGES} | {"candle_hours": "raw_candles", "": SNAPSHOTS}


@contextmanager
def reads_of(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Workspace, set[str]]]:
    """Collect the assets whose tables and files are read meanwhile, and the source where it is asked."""
    found: set[str] = set()

    def source_of(market: Market) -> CandleSource:
        found.add(SOURCE)
        return ws.source_of(market)

    def spied(target: Any, name: str, writer: Any) -> None:
        call = getattr(target, name)

        def wrapper(*args: Any, **options: Any) -> Any:
            found.add(writer(args))
            return call(*args, **options)

        patch.setattr(target, name, wrapper)

    with monkeypatch.context() as patch:
        for name in ("read_spans", "read_range"):  # of many markets, of one
            spied(ws.warehouse, name, lambda args: WRITER[args[0]])
        spied(ws.warehouse, "read_candles", lambda _: "raw_candles")
        spied(ws.snapshots, "read_candles", lambda _: SNAPSHOTS)
        yield replace(ws, source_of=source_of), found


def test_declared_dependencies_are_what_is_read(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = built(site=tmp_path / "site").resolve_asset_graph()
    declared = {
        key.to_user_string(): {p.to_user_string() for p in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    with simulated_workspace(database_url, tmp_path, [MARKET], clock=lambda: WINDOW.end_ms) as ws:
        run_stages(ws, MARKET, [WINDOW])
        early = replace(ws, clock=lambda: WINDOW.start_ms + HOUR_MS)
        fields = proposed_fields(ws, MARKET.symbol)
        update_grid(early, MARKET.symbol, fields, expected_version=0, who="ann", why="first")
        stop_grid(early, MARKET.symbol, who="ann", why="so that gates are replayed")
        for stage in STAGES:
            with reads_of(ws, monkeypatch) as (watched, read):
                stage.run(watched, ws.start_run(""), MARKET, WINDOW)
            assert read - {stage.name} == declared[stage.name], stage.name
        with reads_of(ws, monkeypatch) as (watched, read):
            build_site(watched, tmp_path / "site")
        assert read == declared["dashboard_site"]
    assert set(declared) == {stage.name for stage in STAGES} | {"dashboard_site", SOURCE}
