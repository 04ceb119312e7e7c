"""Tests of the assets as Dagster runs them: slices, metadata, checks, and what stops the chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from regime_pipeline.domain.errors import MissingDataError, SourceError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.pipeline.assets import hourly_chain
from regime_pipeline.pipeline.build import CHAIN_JOB, build_pipeline
from regime_pipeline.pipeline.catalog import ROW_COUNT
from regime_pipeline.pipeline.partitions import range_tags
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.universe import Universe
from regime_pipeline.sources.base import Fetched
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline_tests.factories import START, assert_same_bytes, dump, hours_from_start, simulated_workspace

MARKETS = (Market("ALFA-USDT", "15m"), Market("ALFA-USDT", "1h"), Market("BRAVO-USDT", "1h"))


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    with simulated_workspace(database_url, tmp_path, MARKETS) as opened:
        yield opened


def run(
    workspace: Workspace,
    first: Market,
    last: Market,
    window: Window,
    grain: str = "hour",
    instance: dg.DagsterInstance | None = None,
) -> dg.ExecuteInProcessResult:
    @contextmanager
    def open_workspace() -> Iterator[Workspace]:
        yield workspace

    specs = workspace.universe.specs
    definitions = build_pipeline(Universe(specs, START, START + 48 * HOUR_MS), open_workspace, grain=grain)
    with nullcontext(instance) if instance else dg.DagsterInstance.ephemeral() as used:
        return definitions.resolve_job_def(CHAIN_JOB).execute_in_process(
            instance=used, tags=dict(range_tags(first, last, window, grain)), raise_on_error=False
        )


def materializations(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, dict[str, object]]:
    return {
        str(event.partition): {name: value.value for name, value in event.metadata.items()}
        for event in result.asset_materializations_for_node(asset)
    }


def totals(result: dg.ExecuteInProcessResult) -> dict[str, tuple[object, object]]:
    """Hours written and unchanged of the whole run, by asset."""
    seen = [event.asset_observation_data.asset_observation for event in result.all_events if event.is_asset_observation]
    return {
        one.asset_key.to_user_string(): (one.metadata["hours_written"].value, one.metadata["hours_unchanged"].value)
        for one in seen
    }


def test_a_rectangle_runs_in_one_run_and_reports_every_partition(workspace: Workspace) -> None:
    result = run(workspace, MARKETS[1], MARKETS[2], hours_from_start(0, 3))

    assert result.success
    for stage in STAGES:
        found = materializations(result, stage.name)
        assert sorted(found) == [
            f"2026-09-01-0{hour}:00|{market}" for hour in range(3) for market in (MARKETS[1], MARKETS[2])
        ]
        assert list(found) == sorted(found), "the newest hour is the latest materialization"
        assert all(metadata[ROW_COUNT] == 1 for metadata in found.values())
    assert totals(result) == dict.fromkeys((stage.name for stage in STAGES), (6, 0))
    raw = materializations(result, "raw_candles")["2026-09-01-01:00|ALFA-USDT_1h"]
    assert (raw["candles"], raw["hour_status"]) == (1, "complete")
    verdict = materializations(result, "regime_verdicts")["2026-09-01-01:00|ALFA-USDT_1h"]
    assert verdict["verdict"] == "INSUFFICIENT_DATA"
    assert len(str(verdict["policy_hash"])) == 16


@pytest.mark.parametrize("most", [0, 3])
def test_measured_values_bear_their_market_where_that_gives_few_plots(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Dagster draws one plot for each name over all partitions; texts and counts are not drawn apart."""
    monkeypatch.setattr(hourly_chain, "MOST_PLOTS", most)
    result = run(workspace, MARKETS[1], MARKETS[2], hours_from_start(0, 1))

    for partition, metadata in materializations(result, "dashboard_hours").items():
        market = partition.partition("|")[2]
        assert isinstance(metadata[f"close {market}" if most else "close"], float)
        assert [name for name in metadata if " " in name] == ([f"close {market}"] if most else [])
        assert {"verdict", ROW_COUNT} <= set(metadata)


def test_every_check_is_evaluated_and_passes(workspace: Workspace) -> None:
    result = run(workspace, MARKETS[0], MARKETS[0], hours_from_start(0, 2))

    evaluations = result.get_asset_check_evaluations()

    assert len(evaluations) == 23
    assert [e.check_name for e in evaluations if not e.passed] == ["market_fresh"]  # two hours of four months
    closed = next(e for e in evaluations if e.check_name == "candles_closed")
    assert closed.metadata["checked"].value == 8


def test_day_partitions_hold_the_same_rows(workspace: Workspace, tmp_path: Path) -> None:
    market, window = MARKETS[1], hours_from_start(0, 24)
    whole = run(workspace, market, market, window, "day")
    assert whole.success
    assert [found[ROW_COUNT] for found in materializations(whole, "raw_candles").values()] == [24]
    daily = dump(workspace, market, window)

    result = run(workspace, market, market, window)

    assert result.success
    assert totals(result)["features"] == (0, 24)
    assert_same_bytes(dump(workspace, market, window), daily)


def test_a_failing_blocking_check_stops_the_later_stages(database_url: str, tmp_path: Path) -> None:
    """The source's clock runs ahead of ours: its newest candles are open for us."""
    source = SimulatedSource(7, lambda: START + 48 * HOUR_MS, 100)
    market = MARKETS[1]
    with simulated_workspace(
        database_url, tmp_path, MARKETS, source=source, clock=lambda: START + HOUR_MS
    ) as workspace:
        result = run(workspace, market, market, hours_from_start(0, 3))

        failed = [e for e in result.get_asset_check_evaluations() if not e.passed]
        assert not result.success
        assert [(e.asset_key.to_user_string(), e.check_name) for e in failed] == [("raw_candles", "candles_closed")]
        assert failed[0].metadata["offending"].value == 2
        assert "ALFA-USDT_1h 2026-09-01T01:00:00Z" in str(failed[0].metadata["where"].value)
        assert not materializations(result, "hourly_snapshots")
        assert not list(tmp_path.rglob("*.json"))


def test_a_check_does_not_forget_what_another_run_found_and_does_not_hold_up_this_one(
    database_url: str, tmp_path: Path
) -> None:
    source = SimulatedSource(7, lambda: START + 48 * HOUR_MS, 100)
    now = [START + HOUR_MS]
    with (
        simulated_workspace(database_url, tmp_path, MARKETS, source=source, clock=lambda: now[0]) as workspace,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        early = run(workspace, MARKETS[1], MARKETS[1], hours_from_start(0, 3), instance=instance)
        other = run(workspace, MARKETS[2], MARKETS[2], hours_from_start(0, 1), instance=instance)
        now[0] = START + 3 * HOUR_MS
        mended = run(workspace, MARKETS[1], MARKETS[1], hours_from_start(0, 1), instance=instance)

    closed = [
        next(e for e in result.get_asset_check_evaluations() if e.check_name == "candles_closed")
        for result in (early, other, mended)
    ]
    assert [result.success for result in (early, other, mended)] == [False, True, True]
    assert [one.passed for one in closed] == [False, False, True]
    assert closed[1].severity == dg.AssetCheckSeverity.WARN
    assert closed[1].description == "0 in this run, 2 from earlier ones"
    assert "ALFA-USDT_1h: 2 from 2026-09-01T01:00:00Z" in str(closed[1].metadata["from earlier runs"].value)


class Deaf(SimulatedSource):
    """A simulation that fails for some symbols."""

    symbols: tuple[str, ...] = ()

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        if market.symbol in self.symbols:
            raise SourceError(f"{market} cannot be reached: <img src=x onerror=alert(1)> ![](http://x.example)")
        return super().fetch(market, start_ms, end_ms)


def test_a_source_that_fails_leaves_its_hours_missing_and_holds_up_no_other_market(workspace: Workspace) -> None:
    source = Deaf(7, workspace.clock, 100)
    source.symbols = ("ALFA-USDT",)

    result = run(replace(workspace, source_of=lambda _: source), MARKETS[1], MARKETS[2], hours_from_start(0, 2))

    assert result.success
    raw = materializations(result, "raw_candles")
    assert raw["2026-09-01-01:00|ALFA-USDT_1h"]["hour_status"] == "missing"
    assert raw["2026-09-01-01:00|BRAVO-USDT_1h"]["hour_status"] == "complete"
    said = str(raw["2026-09-01-01:00|ALFA-USDT_1h"]["source_failures"])
    assert "ALFA-USDT_1h cannot be reached: <img src=x onerror=alert(1)> ![](http://x.example)" in said
    assert said.startswith("TableMetadataValue("), "not Markdown, whose pictures and links the UI would show"
    incomplete = next(e for e in result.get_asset_check_evaluations() if e.check_name == "hours_complete")
    assert incomplete.metadata["offending"].value == 2

    source.symbols = ("ALFA-USDT", "BRAVO-USDT")
    failed = run(replace(workspace, source_of=lambda _: source), MARKETS[1], MARKETS[2], hours_from_start(2, 4))

    assert not failed.success
    assert "No source answered. ALFA-USDT_1h cannot be reached: " in str(failed.failure_data_for_node("raw_candles"))


@pytest.mark.parametrize(("stage", "upstream"), [("features", "hourly_snapshots"), ("scores", "features")])
def test_a_stage_without_its_upstream_rows_says_what_to_do(workspace: Workspace, stage: str, upstream: str) -> None:
    workspace.warehouse.series_id(MARKETS[1], venue="simulated", price_scale=100)
    run_id = workspace.start_run("")

    with pytest.raises(MissingDataError, match=f"{upstream} of ALFA-USDT_1h lacks 2 of the 2 hours") as raised:
        next(each for each in STAGES if each.name == stage).run(workspace, run_id, MARKETS[1], hours_from_start(0, 2))

    assert f"Materialize {upstream}" in raised.value.todo


def test_what_trying_again_cannot_mend_fails_with_its_sentence_and_is_not_tried_again(workspace: Workspace) -> None:
    @contextmanager
    def open_workspace() -> Iterator[Workspace]:
        yield workspace

    workspace.warehouse.series_id(MARKETS[1], venue="simulated", price_scale=100)
    definitions = build_pipeline(Universe(workspace.universe.specs, START, START + 48 * HOUR_MS), open_workspace)
    tags = dict(range_tags(MARKETS[1], MARKETS[1], hours_from_start(0, 2)))
    with dg.instance_for_test(overrides={"run_retries": {"enabled": True, "max_retries": 2}}) as instance:
        result = definitions.resolve_job_def(CHAIN_JOB).execute_in_process(
            instance=instance, tags=tags, asset_selection=[dg.AssetKey("scores")], raise_on_error=False
        )
        (stored,) = instance.get_runs()

    failure = result.failure_data_for_node("scores")
    assert failure is not None
    assert failure.user_failure_data is not None
    said = str(failure.user_failure_data.description)
    assert said.startswith("features of ALFA-USDT_1h lacks 2 of the 2 hours")
    assert failure.error is not None
    assert failure.error.cause is None, "no stack before the sentence"
    assert stored.tags["dagster/will_retry"] == "false"
