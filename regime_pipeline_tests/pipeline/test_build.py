"""Tests of `pipeline.build`: what the definitions are, before anything runs."""

from contextlib import nullcontext
from typing import Any

import dagster as dg
import pytest

from regime_pipeline.pipeline.build import CHAIN_JOB, build_pipeline
from regime_pipeline.services.universe import load_universe, universe_of
from regime_pipeline.storage import tables as stored
from regime_pipeline_tests.conftest import REPOSITORY

HOURS_A_YEAR = 365 * 24


def built(**options: Any) -> dg.Definitions:
    return build_pipeline(load_universe(REPOSITORY / "markets.toml"), lambda: nullcontext(None), **options)  # type: ignore[arg-type]


def chain(definitions: dg.Definitions) -> list[dg.AssetsDefinition]:
    return [asset for asset in definitions.resolve_asset_graph().assets_defs if asset.is_materializable]


def test_a_year_of_the_shipped_markets_stays_below_dagsters_advice() -> None:
    markets = load_universe(REPOSITORY / "markets.toml").markets

    assert len(markets) * HOURS_A_YEAR <= 100_000


def test_every_asset_shares_one_partition_space_and_one_policy() -> None:
    assets = chain(built())

    assert len(assets) == 8
    assert len({asset.partitions_def for asset in assets}) == 1
    assert {asset.backfill_policy for asset in assets} == {dg.BackfillPolicy.single_run()}


def test_no_partition_mapping_but_identity() -> None:
    for asset in chain(built()):
        for spec in asset.specs:
            assert all(dependency.partition_mapping is None for dependency in spec.deps)


def test_every_asset_says_whose_it_is_and_what_it_holds() -> None:
    for asset in chain(built()):
        for spec in asset.specs:
            assert spec.owners == ["team:regimes"]
            assert spec.description
            assert spec.group_name
            assert spec.kinds
            assert spec.code_version
            assert "dagster/code_references" in spec.metadata


def test_the_catalog_shows_every_table_with_its_columns() -> None:
    shown = {spec.key.to_user_string(): spec.metadata for asset in chain(built()) for spec in asset.specs}

    tables = {name: metadata["dagster/table_name"] for name, metadata in shown.items() if name != "hourly_snapshots"}
    assert tables == {
        "raw_candles": "candles", "candle_regimes": "candle_regime",
        **{name: name for name in ("features", "scores", "regime_verdicts", "grid_advice", "dashboard_hours")},
    }  # fmt: skip
    assert "dagster/table_name" not in shown["hourly_snapshots"]
    for name, table in tables.items():
        columns = shown[name]["dagster/column_schema"].columns
        assert [column.name for column in columns] == [column.name for column in stored.metadata.tables[table].columns]
        assert all(column.description for column in columns)


def test_lineage_opens_with_three_groups() -> None:
    groups = {spec.group_name for asset in chain(built()) for spec in asset.specs}

    assert groups == {"ingest", "analysis", "output"}


def test_the_chain_is_the_chain() -> None:
    graph = built().resolve_asset_graph()

    parents = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.materializable_asset_keys
    }

    assert parents == {
        "raw_candles": {"candle_source/simulated"},
        "hourly_snapshots": {"raw_candles"},
        "candle_regimes": {"raw_candles"},
        "features": {"hourly_snapshots"},
        "scores": {"features"},
        "regime_verdicts": {"features", "scores"},
        "grid_advice": {"hourly_snapshots", "features", "scores", "regime_verdicts"},
        "dashboard_hours": {
            *("raw_candles", "hourly_snapshots", "candle_regimes", "features", "scores", "regime_verdicts"),
        },
    }


def test_the_lineage_begins_with_each_source_and_says_which_markets_it_has() -> None:
    entries = [
        {"symbol": "ETH-USDT", "timeframes": ["1m"], "source": "exchange", "exchange": "binance"},
        {"symbol": "ETH-USDT", "timeframes": ["1h"], "source": "resampled"},
        {"symbol": "BTC-USDT", "timeframes": ["1h"], "source": "archive", "exchange": "binance"},
        {"symbol": "SOL-USDT", "timeframes": ["1h"], "source": "files"},
    ]
    universe = universe_of(entries, "2026-09-01T00:00:00Z")

    graph = build_pipeline(universe, lambda: nullcontext(None)).resolve_asset_graph()  # type: ignore[arg-type]

    sources = {key.to_user_string(): graph.get(key).metadata["markets"] for key in graph.external_asset_keys}
    assert sources == {
        "candle_source/exchange_binance": "ETH-USDT_1m, ETH-USDT_1h",
        "candle_source/archive_binance": "BTC-USDT_1h",
        "candle_source/files": "SOL-USDT_1h",
    }
    parents = graph.get(dg.AssetKey("raw_candles")).parent_keys
    assert {key.to_user_string() for key in parents} == sources.keys()


def test_the_first_three_stages_have_blocking_checks() -> None:
    graph = built().resolve_asset_graph()

    blocking = {key.asset_key.to_user_string() for key in graph.asset_check_keys if graph.get_check_spec(key).blocking}

    assert blocking == {"raw_candles", "hourly_snapshots", "candle_regimes"}


def test_every_stage_is_checked() -> None:
    graph = built().resolve_asset_graph()

    assert {key.asset_key for key in graph.asset_check_keys} == graph.materializable_asset_keys


@pytest.mark.parametrize(("name", "per_run"), [("single_run", None), ("multi_run", 2160)])
def test_the_backfill_setting_decides_the_policy(name: str, per_run: int | None) -> None:
    policies = {asset.backfill_policy for asset in chain(built(backfill=name))}

    assert [policy.max_partitions_per_run for policy in policies if policy] == [per_run]


def test_daily_windows_give_the_same_assets() -> None:
    hourly, daily = (built(grain=grain).resolve_asset_graph() for grain in ("hour", "day"))

    assert hourly.materializable_asset_keys == daily.materializable_asset_keys


def test_steps_run_in_one_process() -> None:
    assert built().resolve_job_def(CHAIN_JOB).executor_def is dg.in_process_executor
    assert built().executor is dg.in_process_executor


def test_beside_other_definitions_only_our_jobs_choose_their_executor() -> None:
    definitions = built(is_whole_location=False)

    assert definitions.executor is None
    assert definitions.resolve_job_def(CHAIN_JOB).executor_def is dg.in_process_executor
