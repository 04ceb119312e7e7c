"""Tests of backfills that the daemon runs over workers: when one is, what it asks for, how it is watched."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from regime_pipeline.bootstrap import build_definitions
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.pipeline.partitions import build_partitions, partition_key
from regime_pipeline.pipeline.remote_backfill import BackfillProgress, deployed_home, launch_backfill, watch_backfill
from regime_pipeline.services.universe import load_universe
from regime_pipeline.settings import Settings
from regime_pipeline_tests.conftest import REPOSITORY

START = to_ms("2026-09-02T00:00:00Z")
MARKETS = (Market.parse("ALFA-USDT_1h"), Market.parse("CHARLIE-USDT_15m"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def test_an_instance_whose_launcher_is_not_the_shipped_one_is_a_deployment(home: Path) -> None:
    (home / "dagster.yaml").write_text((REPOSITORY / "docker" / "dagster.yaml").read_text("utf-8"), "utf-8")

    assert deployed_home() == home


@pytest.mark.parametrize("content", [None, "", "telemetry: {enabled: false}\n", REPOSITORY / "dagster.yaml"])
def test_a_home_that_runs_its_own_runs_is_none(home: Path, content: str | Path | None) -> None:
    if content is not None:
        text = content.read_text("utf-8") if isinstance(content, Path) else content
        (home / "dagster.yaml").write_text(text, "utf-8")

    assert deployed_home() is None


def test_without_dagster_home_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)

    assert deployed_home() is None


@pytest.mark.parametrize(("grain", "hours"), [("hour", 3), ("day", 48)])
def test_the_daemon_is_asked_for_every_asset_and_hour_of_the_markets(tmp_path: Path, grain: str, hours: int) -> None:
    definitions = build_definitions(Settings(home=tmp_path, markets=REPOSITORY / "markets.toml", partition=grain))
    window = Window(START, START + hours * HOUR_MS)
    step = HOUR_MS if grain == "hour" else 24 * HOUR_MS
    starts = range(window.start_ms, window.end_ms, step)
    keys = {partition_key(market, start, grain) for market in MARKETS for start in starts}

    with dg.instance_for_test() as instance:
        name = launch_backfill(definitions, instance, MARKETS, window, grain)
        stored = instance.get_backfill(name)

    assert stored is not None
    assert stored.status is BulkActionStatus.REQUESTED
    data = stored.get_asset_backfill_data(definitions.get_repository_def().asset_graph)
    assert {key.to_user_string() for key in data.target_subset.asset_keys} == {
        "raw_candles", "hourly_snapshots", "candle_regimes", "features", "scores", "regime_verdicts", "grid_advice",
        "dashboard_hours",
    }  # fmt: skip
    partitions = build_partitions(load_universe(REPOSITORY / "markets.toml"), grain)
    assert keys <= set(partitions.get_partition_keys())
    for asset in data.target_subset.asset_keys:
        subset = data.target_subset.get_partitions_subset(asset)
        assert set(subset.get_partition_keys()) == keys


def test_a_backfill_is_watched_until_it_is_over(tmp_path: Path) -> None:
    definitions = build_definitions(Settings(home=tmp_path, markets=REPOSITORY / "markets.toml"))
    window = Window(START, START + HOUR_MS)
    with dg.instance_for_test() as instance:
        name = launch_backfill(definitions, instance, MARKETS, window, "hour")
        backfill = instance.get_backfill(name)
        assert backfill is not None

        def look(_seconds: float) -> None:
            """What the daemon would do between two looks."""
            for status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED):
                run = dg.DagsterRun("chain", status=status, tags={"dagster/backfill": name})
                instance.add_run(run)
            instance.add_run(dg.DagsterRun("chain", status=dg.DagsterRunStatus.FAILURE, tags={"dagster/backfill": "b"}))
            instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_FAILED))

        seen = list(watch_backfill(instance, name, look))

    assert seen == [BackfillProgress("requested", 0, 0, 0), BackfillProgress("completed_failed", 3, 2, 1)]
    assert [(progress.is_over, progress.is_success) for progress in seen] == [(False, False), (True, False)]
    assert BackfillProgress("completed_success", 1, 1, 0).is_success
