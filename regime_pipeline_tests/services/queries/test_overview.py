"""Tests of the newest hour of every market in one row: what it says of grids, gates, age and warm-up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regime_pipeline.cli import status
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grids import proposed_fields, stop_grid, update_grid
from regime_pipeline.services.queries.overview import overview
from regime_pipeline.services.queries.warm_up import verdict_expected_ms
from regime_pipeline.sources.base import Fetched
from regime_pipeline.sources.simulated import SimulatedSource
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.conftest import fresh_database
from regime_pipeline_tests.factories import START, hours_from_start, run_stages, simulated_workspace

pytestmark = pytest.mark.postgres
ALFA, BRAVO, QUARTERS = Market("ALFA-USDT", "1h"), Market("BRAVO-USDT", "1h"), Market("ALFA-USDT", "15m")
HOURS = 330


@pytest.fixture(scope="module")
def stored(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Two markets with a verdict, one that has just begun; the clock stands half an hour after the newest close."""
    folder = tmp_path_factory.mktemp("overview")
    now = START + HOURS * HOUR_MS + HOUR_MS // 2
    markets = [ALFA, BRAVO, QUARTERS]
    with (
        fresh_database(postgres_url) as url,
        simulated_workspace(url, folder, markets, clock=lambda: now) as ws,
    ):
        for market, hours in ((ALFA, HOURS), (BRAVO, HOURS), (QUARTERS, 20)):
            run_stages(ws, market, [hours_from_start(0, hours)])
        yield replace(ws, universe=replace(ws.universe, end_ms=None))


def row_of(ws: Workspace, market: Market) -> dict[str, Any]:
    (row,) = overview(ws, [market])
    return row


def test_a_row_says_what_the_tables_say(stored: Workspace) -> None:
    row = row_of(stored, ALFA)
    hours = hours_from_start(0, HOURS)
    verdicts = stored.warehouse.read_range("regime_verdicts", ALFA, hours)
    codes = verdicts["verdict"].tolist()
    first = next(place for place in range(len(codes), 0, -1) if codes[place - 1] != codes[-1])

    assert row["verdict"] == VERDICTS[codes[-1]] != "INSUFFICIENT_DATA"
    assert row["since"] == to_iso(START + (first + 1) * HOUR_MS)
    for name in ("confidence", "hold_24h", "hold_72h", "range_low", "range_high"):
        assert (float("nan") if row[name] is None else row[name]) == pytest.approx(verdicts[name][-1], nan_ok=True)
    assert row["close"] == stored.warehouse.read_candles(ALFA, hours.start_ms, hours.end_ms).prices("close")[-1]
    assert row["known_at"] == row["as_of"]
    assert (row["as_of"], row["data_age_seconds"], row["is_late"]) == (to_iso(hours.end_ms), 1800, False)
    assert (row["grid"], row["stale"], row["verdict_expected_at"]) == ("none", None, None)


def test_every_market_is_there_what_needs_attention_first(stored: Workspace) -> None:
    rows = overview(stored)

    assert {(row["symbol"], row["timeframe"]) for row in rows} == {
        (market.symbol, market.timeframe) for market in (ALFA, BRAVO, QUARTERS)
    }
    assert (rows[0]["timeframe"], rows[0]["attention"], rows[0]["is_late"]) == ("15m", "LATE", True)
    later = replace(stored, clock=lambda: stored.clock() + 3 * HOUR_MS)
    assert {row["attention"] for row in overview(later)} == {"LATE"}
    ended = replace(later, universe=replace(later.universe, end_ms=START + HOURS * HOUR_MS))
    assert {row["attention"] for row in overview(ended)} == {""}


@pytest.mark.parametrize("first", [0, 7])
def test_a_market_that_begins_knows_when_it_will_have_a_verdict(
    stored: Workspace, first: int, tmp_path: Path, make_database: Any
) -> None:
    """The hour that is named is the first with a verdict once the hours up to it are there."""
    now = START + HOURS * HOUR_MS
    with simulated_workspace(make_database(), tmp_path, [ALFA], clock=lambda: now) as ws:
        run_stages(ws, ALFA, [hours_from_start(first, first + 30)])
        expected = verdict_expected_ms(ws, ALFA, START + (first + 29) * HOUR_MS)
        assert expected is not None
        assert row_of(ws, ALFA)["verdict_expected_at"] == to_iso(expected)
        run_stages(ws, ALFA, [Window(START + (first + 30) * HOUR_MS, expected)])
        codes = ws.warehouse.read_range("regime_verdicts", ALFA, Window(START, expected))["verdict"]
        assert [VERDICTS[code] == "INSUFFICIENT_DATA" for code in codes[-2:]] == [True, False]


class Holed:
    """A simulated source that lacks some hours and says that the exchange has nothing there."""

    venue = "simulated"

    def __init__(self, source: SimulatedSource, absent: set[int]) -> None:
        self._source, self._absent = source, absent

    def fetch(self, market: Market, start_ms: int, end_ms: int) -> Fetched:
        found = self._source.fetch(market, start_ms, end_ms)
        keep = ~np.isin(found.candles.open_time_ms, list(self._absent))
        candles: Candles = found.candles[keep]
        return Fetched(candles, found.covered)

    def newest_closed_ms(self, market: Market) -> int | None:
        return self._source.newest_closed_ms(market)


@pytest.mark.parametrize(("absent", "hours_later"), [(2, 4), (9, 9 + 169)])
def test_the_end_of_a_hole_s_effect_is_known(absent: int, hours_later: int, tmp_path: Path, make_database: Any) -> None:
    """A tolerated hole hides its own hours and the one behind it, a longer one restarts the window."""
    hole, now, known = START + 400 * HOUR_MS, START + 700 * HOUR_MS, 400 + absent
    source = Holed(SimulatedSource(7, lambda: now, 100), {hole + k * HOUR_MS for k in range(absent)})
    with simulated_workspace(make_database(), tmp_path, [ALFA], source=source, clock=lambda: now) as ws:
        run_stages(ws, ALFA, [hours_from_start(0, known)])
        expected = verdict_expected_ms(ws, ALFA, START + (known - 1) * HOUR_MS)
        assert expected == hole + hours_later * HOUR_MS
        run_stages(ws, ALFA, [Window(START + known * HOUR_MS, expected)])
        codes = ws.warehouse.read_range("regime_verdicts", ALFA, Window(START, expected))["verdict"]
        assert [VERDICTS[code] == "INSUFFICIENT_DATA" for code in codes[-2:]] == [True, False]


def test_nothing_stored_tells_nothing(stored: Workspace) -> None:
    assert verdict_expected_ms(stored, ALFA, START - 1_000 * HOUR_MS) is None


def test_a_grid_a_newer_version_and_a_stop_show_before_the_next_hour(stored: Workspace) -> None:
    ws = stored
    update_grid(ws, BRAVO.symbol, proposed_fields(ws, BRAVO.symbol), expected_version=0, who="ada", why="first")
    row = row_of(ws, BRAVO)
    assert (row["grid"], row["grid_position"], row["action"]) == ("disabled", "inside", None)
    assert row["advice_stale"].startswith("Older than the newest version of the grid")
    assert 0 < row["edge_distance_pct"] < 10
    later = replace(ws, clock=lambda: ws.clock() + 1_000)

    stop_grid(later, BRAVO.symbol, who="ada", why="news")

    row = row_of(later, BRAVO)
    assert (row["grid"], row["stopped_by"], row["stop_why"], row["gate_state"]) == ("stopped", "ada", "news", "GATE_1")
    assert (row["attention"], row["permitted_until"]) == ("", None)


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_the_screen_fits_and_says_what_the_rows_say(
    stored: Workspace, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(status, "open_workspace", lambda _: _kept(stored))
    monkeypatch.setattr(status.out, "_width", columns)

    assert regime(monkeypatch, "status") == 0

    said = capsys.readouterr().out
    assert max(len(line) for line in said.splitlines()) <= columns
    assert "Needs attention" in said
    for name in ("ALFA-USDT_1h", "ALFA-USDT_15m", "no verdict"):
        assert name in said
    assert ("in range" in said, "since" in said) == (columns >= 100, columns >= 72)
    assert regime(monkeypatch, "status", "BRAVO-USDT", "--format", "csv") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("BRAVO-USDT,1h,")
    assert regime(monkeypatch, "status", "--format", "json") == 0
    assert '"attention"' in capsys.readouterr().out


def test_watching_prints_again_until_it_is_interrupted(
    stored: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks: list[int] = []

    def sleep(seconds: float) -> None:
        looks.append(int(seconds))
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "open_workspace", lambda _: _kept(stored))
    monkeypatch.setattr(time, "sleep", sleep)

    assert regime(monkeypatch, "status", "--watch", "--every", "5") == 0

    assert looks == [5, 5, 5]
    assert "ALFA-USDT_1h" in capsys.readouterr().out


class _kept:  # noqa: N801 - reads as the context manager that it stands for
    """The workspace as a context that does not close it."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def __enter__(self) -> Workspace:
        return self._ws

    def __exit__(self, *_: object) -> None:
        return None
