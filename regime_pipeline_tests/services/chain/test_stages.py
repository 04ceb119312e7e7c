"""Tests of `services.stages`: what a changed policy and a restated candle touch, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.errors import SourceError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.services.chain.stages import STAGES, config_hashes, stale_hours
from regime_pipeline.sources.base import Fetched
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline_tests.factories import (
    NOW,
    START,
    assert_same_bytes,
    dump,
    hours_from_start,
    run_stages,
    simulated_workspace,
)

MARKET = Market("ALFA-USDT", "1h")
WINDOW = hours_from_start(0, 260)


def with_verdict(policy: Policy) -> Policy:
    return policy.model_copy(update={"verdict": policy.verdict.model_copy(update={"transition_above": 71.0})})


def with_candles(policy: Policy) -> Policy:
    section = policy.candle_regime.model_copy(update={"adx_trend_from": 60.0})
    return policy.model_copy(update={"candle_regime": section})


@pytest.mark.parametrize(
    ("change", "rewritten"),
    [
        (with_verdict, {"regime_verdicts", "grid_advice", "dashboard_hours"}),
        (with_candles, {"candle_regimes", "dashboard_hours"}),
    ],
)
def test_a_changed_policy_rewrites_what_depends_on_it(
    database_url: str, tmp_path: Path, change: Callable[[Policy], Policy], rewritten: set[str]
) -> None:
    with simulated_workspace(database_url, tmp_path, [MARKET]) as workspace:
        run_stages(workspace, MARKET, [WINDOW])

        reports = run_stages(replace(workspace, policy=change(default_policy())), MARKET, [WINDOW])

    written = {stage.name for stage, report in zip(STAGES, reports, strict=True) if report.written}
    assert written == rewritten


class RestatingSource(SimulatedSource):
    """The simulated exchange, which has raised the close of one bar since."""

    restated_ms = START + 100 * HOUR_MS

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        fetched = super().fetch(market, start_ms, end_ms)
        is_it = fetched.candles.open_time_ms == self.restated_ms
        close = np.where(is_it, fetched.candles.high, fetched.candles.close)
        return Fetched(replace(fetched.candles, close=close), fetched.covered)


@pytest.mark.parametrize(
    ("by_day", "files"), [(False, ["ALFA-USDT_1h.json", "ALFA-USDT_1h.r2.json"]), (True, ["ALFA-USDT_1h.json"])]
)
def test_a_restated_candle_is_kept_marked_and_mended(
    database_url: str, each_postgres_url: str, tmp_path: Path, by_day: bool, files: list[str]
) -> None:
    """Recomputing exactly the marked hours gives the tables of a build from scratch, and clears every mark."""
    hour = hours_from_start(100, 101)
    source = RestatingSource(7, lambda: NOW, 100)
    with simulated_workspace(database_url, tmp_path / "a", [MARKET]) as by_hour:
        workspace = replace(by_hour, snapshots=SnapshotStore(str(tmp_path / "a"), by_day=by_day))
        run_stages(workspace, MARKET, [WINDOW])
        later = replace(workspace, source_of=lambda _: source)

        STAGES[0].run(later, later.start_run(""), MARKET, hour)

        dirty = {mark.asset: mark.window for mark in workspace.warehouse.dirty(MARKET)}
        assert set(dirty) == {
            "hourly_snapshots", "candle_regime", "features", "scores", "regime_verdicts", "grid_advice",
            "dashboard_hours",
        }  # fmt: skip
        assert all(window.start_ms == hour.start_ms for window in dirty.values())
        for stage, table in zip(STAGES[1:], dirty_order(), strict=True):
            run_id = later.start_run(stage.config_hash(later.policy, later.nulls))
            stage.run(later, run_id, MARKET, dirty[table])
        assert workspace.warehouse.dirty(MARKET) == []
        mended = dump(workspace, MARKET, WINDOW)
        assert len(list((tmp_path / "a").rglob("*.day"))) == (len(WINDOW) // 24 if by_day else 0)
        folder = to_iso(hour.start_ms)[:13].replace("-", "/").replace("T", "/")
        snapshots = sorted(path.name for path in (tmp_path / "a" / folder).iterdir())
    with simulated_workspace(each_postgres_url, tmp_path / "b", [MARKET], source=source) as scratch:
        run_stages(scratch, MARKET, [WINDOW])
        assert_same_bytes(mended, dump(scratch, MARKET, WINDOW))
    assert snapshots == files


def dirty_order() -> tuple[str, ...]:
    return (
        "hourly_snapshots",
        "candle_regime",
        "features",
        "scores",
        "regime_verdicts",
        "grid_advice",
        "dashboard_hours",
    )


def test_only_the_stages_that_read_a_changed_section_become_stale(database_url: str, tmp_path: Path) -> None:
    market, window = Market("ALFA-USDT", "1h"), hours_from_start(0, 30)
    policy = default_policy()
    changed = policy.candle_regime.model_copy(update={"rsi_bullish_above": 56.0})
    with simulated_workspace(database_url, tmp_path, [market]) as ws:
        run_stages(ws, market, [window])
        assert stale_hours(ws) == {}

        later = replace(ws, policy=policy.model_copy(update={"candle_regime": changed}))

        assert stale_hours(later) == {"candle_regimes": {market: 30}}
        assert config_hashes(later.policy, later.nulls)["scores"] == config_hashes(ws.policy, ws.nulls)["scores"]
        run_stages(later, market, [hours_from_start(0, 20)])
        assert stale_hours(later) == {"candle_regimes": {market: 10}}
        assert stale_hours(ws) == {"candle_regimes": {market: 20}}


def test_hours_that_have_no_partition_any_more_are_not_stale(database_url: str, tmp_path: Path) -> None:
    market, policy = Market("ALFA-USDT", "1h"), default_policy()
    changed = policy.candle_regime.model_copy(update={"rsi_bullish_above": 56.0})
    with simulated_workspace(database_url, tmp_path, [market]) as ws:
        run_stages(ws, market, [hours_from_start(0, 30)])
        later = replace(ws, policy=policy.model_copy(update={"candle_regime": changed}))

        for first, last, hours in ((0, 30, 30), (7, 30, 23), (0, 26, 26), (7, None, 23), (25, 26, 1), (40, 50, 0)):
            end = None if last is None else START + last * HOUR_MS
            moved = replace(later, universe=replace(ws.universe, start_ms=START + first * HOUR_MS, end_ms=end))
            assert stale_hours(moved) == ({"candle_regimes": {market: hours}} if hours else {}), (first, last)


def test_a_source_changes_only_what_it_confirms(database_url: str, tmp_path: Path) -> None:
    """One that fails, and one that has forgotten all but the newest ten hours, lose nothing that is stored."""

    class Forgetful(SimulatedSource):
        def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
            recent = max(start_ms, WINDOW.end_ms - 10 * HOUR_MS)
            return super().fetch(market, recent, end_ms)

    class Deaf(SimulatedSource):
        def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
            raise SourceError("Nobody answers.")

    with simulated_workspace(database_url, tmp_path, [MARKET]) as workspace:
        run_stages(workspace, MARKET, [WINDOW])
        before = dump(workspace, MARKET, WINDOW)
        for kind, failure in ((Forgetful, ""), (Deaf, "Nobody answers.")):
            source = kind(7, lambda: NOW, 100)
            later = replace(workspace, source_of=lambda _, found=source: found)
            reports = run_stages(later, MARKET, [WINDOW])

            assert reports[0].failure == failure
            assert [report.written for report in reports] == [0] * len(STAGES)
        assert workspace.warehouse.dirty() == []
        assert_same_bytes(dump(workspace, MARKET, WINDOW), before)
