"""The dashboard from a real chain: pages name what is stored, and only markets whose rows changed are rebuilt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import pytest

from regime_pipeline.dashboard import build as dashboard_site
from regime_pipeline.dashboard.build import build_site
from regime_pipeline.domain.grids.config import GridConfig
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.restart_gates.machine import StopEvent
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.factories import START, hours_from_start, run_stages, simulated_workspace

ALFA, QUARTERS, BRAVO, EMPTY = (
    Market("ALFA-USDT", "1h"),
    Market("ALFA-USDT", "15m"),
    Market("BRAVO-USDT", "1h"),
    Market("DELTA-USDT", "1h"),
)
HOURS = 30
GRID: dict[str, Any] = {
    "symbol": "ALFA-USDT", "tick": "0.01", "lower": "1000", "upper": "4000", "levels": 6, "spacing": "geometric",
    "min_notional": "5", "allocation_quote": "1000", "maker_fee_bps": "2", "taker_fee_bps": "5",
    "who": "ann", "reason": "calm", "enabled": True, "version": 1, "valid_from": "2026-09-01T04:00:00Z",
}  # fmt: skip


@pytest.fixture
def workspace(database_url: str, tmp_path: Path) -> Iterator[Workspace]:
    with simulated_workspace(database_url, tmp_path / "snapshots", (ALFA, QUARTERS, BRAVO, EMPTY)) as opened:
        for market in (ALFA, QUARTERS, BRAVO):
            run_stages(opened, market, [hours_from_start(0, HOURS)])
        yield opened


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def payload(folder: Path, market: Market) -> dict[str, Any]:
    text = (folder / f"data/{market.key}.js").read_text("utf-8")
    return dict(orjson.loads(text.removeprefix("window.REGIME=").rstrip(";\n")))


def test_a_page_for_every_market_with_rows(workspace: Workspace, tmp_path: Path) -> None:
    report = build_site(workspace, tmp_path / "site")

    assert report.markets == 3
    assert report.index == tmp_path / "site/index.html"
    assert report.size_bytes == sum(map(len, content(tmp_path / "site").values())) - len(
        (tmp_path / "site/files.json").read_bytes()
    )
    stored = workspace.warehouse.read_range("dashboard_hours", ALFA, hours_from_start(0, HOURS))
    page = (tmp_path / "site/ALFA-USDT_1h.html").read_text("utf-8")
    assert f"{stored['close'][-1]:,.2f}" in page
    assert stored["policy_hash"][-1] in page
    assert "DELTA-USDT_1h" in report.index.read_text("utf-8")
    assert not (tmp_path / "site/DELTA-USDT_1h.html").exists()
    assert payload(tmp_path / "site", ALFA)["hours"] == HOURS


def test_a_new_hour_rebuilds_its_market_and_no_other(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_site(workspace, tmp_path / "site")
    run_stages(workspace, BRAVO, [hours_from_start(HOURS, HOURS + 1)])
    read: list[tuple[Market, bool]] = []
    whole = dashboard_site.market_rows

    def counted(ws: Workspace, market: Market, *given: Any, has_bars: bool = True) -> object:
        read.append((market, has_bars))
        return whole(ws, market, *given, has_bars=has_bars)

    monkeypatch.setattr(dashboard_site, "market_rows", counted)
    report = build_site(workspace, tmp_path / "site")

    assert report.made == ("BRAVO-USDT_1h.html", "index.html")
    assert [market for market, has_bars in read if has_bars] == [BRAVO]
    read.clear()
    assert build_site(workspace, tmp_path / "site").made == ()
    assert read == []
    build_site(workspace, tmp_path / "fresh")
    assert content(tmp_path / "site") == content(tmp_path / "fresh")


def test_a_grid_and_a_stop_rebuild_their_symbol(workspace: Workspace, tmp_path: Path) -> None:
    build_site(workspace, tmp_path / "site")
    grids, run_id = workspace.warehouse.grids, workspace.start_run("")
    grids.append(GridConfig(**GRID), run_id)

    report = build_site(workspace, tmp_path / "site")

    assert report.made == ("ALFA-USDT_1h.html", "ALFA-USDT_15m.html", "index.html")
    grids.add_stop(StopEvent("ALFA-USDT", START + 9 * HOUR_MS, "MANUAL", "ann", "news"), run_id)
    assert build_site(workspace, tmp_path / "site").made == report.made
    run_stages(workspace, ALFA, [hours_from_start(0, HOURS)])
    build_site(workspace, tmp_path / "site")
    found = payload(tmp_path / "site", ALFA)
    kinds = [event["kind"] for event in found["events"]]
    assert kinds[:1] == ["Grid"]
    assert {"Stop", "Gate"} <= set(kinds)
    assert "Stopped</button> 2026-09-01 09:00" in (tmp_path / "site/ALFA-USDT_1h.html").read_text("utf-8")


def test_a_market_that_falls_behind_says_so_although_its_rows_are_the_same(
    workspace: Workspace, tmp_path: Path
) -> None:
    build_site(workspace, tmp_path / "site")
    assert "Stale: behind others" not in (tmp_path / "site/ALFA-USDT_1h.html").read_text("utf-8")
    for market in (BRAVO, QUARTERS):
        run_stages(workspace, market, [hours_from_start(HOURS, HOURS + 3)])

    build_site(workspace, tmp_path / "site")

    assert "Stale: behind others" in (tmp_path / "site/ALFA-USDT_1h.html").read_text("utf-8")
    assert "Stale: behind others" not in (tmp_path / "site/BRAVO-USDT_1h.html").read_text("utf-8")


def test_the_period_ends_with_each_markets_newest_hour(workspace: Workspace, tmp_path: Path) -> None:
    build_site(workspace, tmp_path / "site", days=1)

    found = payload(tmp_path / "site", ALFA)

    assert (found["hours"], found["start_ms"]) == (24, START + (HOURS - 24) * HOUR_MS)


def test_another_universe_takes_pages_away(workspace: Workspace, tmp_path: Path) -> None:
    build_site(workspace, tmp_path / "site")
    fewer = replace(workspace, universe=replace(workspace.universe, specs=workspace.universe.specs[:2]))

    report = build_site(fewer, tmp_path / "site")

    assert (report.markets, report.removed) == (2, 3)
    assert not (tmp_path / "site/BRAVO-USDT_1h.html").exists()


def test_two_builds_at_once_leave_one_whole_site(workspace: Workspace, tmp_path: Path) -> None:
    builders = [Thread(target=build_site, args=(workspace, tmp_path / "site")) for _ in range(3)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()

    build_site(workspace, tmp_path / "fresh")
    assert content(tmp_path / "site") == content(tmp_path / "fresh")
