"""Writing imported candles: completeness of hours, revisions, repeated imports and finer price scales."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.errors import BadCandlesError, UsageError
from regime_pipeline.domain.market_data.candles import COLUMNS
from regime_pipeline.domain.market_data.completeness import COMPLETE, EXCHANGE_GAP, MISSING
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.services.imports.plan import ImportPlan, read_files
from regime_pipeline.services.imports.write import Consent, import_candles, join_stored, settle_price_scales
from regime_pipeline.services.universe import MarketSpec
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline.storage.warehouse import Warehouse

pytestmark = pytest.mark.postgres
MARKET = Market("BTC-USDT", "15m")
DAY = to_ms("2020-02-09T00:00:00Z")
NOW = to_ms("2026-01-01T00:00:00Z")
STEP = MARKET.step_ms
REACH = {"features": 168 * HOUR_MS}


@pytest.fixture
def warehouse(database_url: str) -> Iterator[Warehouse]:
    upgrade(database_url)
    with Warehouse(database_url) as made:
        yield made


def plan(folder: Path, rows: dict[int, str], market: Market = MARKET) -> ImportPlan:
    """Plan a file of bars `number since midnight -> price`."""
    path = folder / f"{market}.csv"
    path.write_text("".join(f"{DAY + bar * market.step_ms},{p},{p},{p},{p},1\n" for bar, p in rows.items()))
    return read_files([path], market, ReadOptions(), NOW)


def store(
    warehouse: Warehouse,
    planned: ImportPlan,
    price_scale: int = 100,
    consent: Consent = Consent(),  # noqa: B008
) -> int:
    run = warehouse.start_run("test", "")
    return import_candles(planned, price_scale, warehouse, run, REACH, consent)[0].inserted_rows


def stored(warehouse: Warehouse, hours: int = 24) -> dict[int, float]:
    candles = warehouse.read_candles(MARKET, DAY, DAY + hours * HOUR_MS)
    return dict(zip(((candles.open_time_ms - DAY) // STEP).tolist(), candles.prices("close").tolist(), strict=True))


def statuses(warehouse: Warehouse) -> dict[int, int]:
    rows = warehouse.read_range("candle_hours", MARKET, Window(DAY, DAY + 24 * HOUR_MS))
    return dict(zip(((rows["hour_start"] - DAY) // HOUR_MS).tolist(), rows["status"].tolist(), strict=True))


def test_candles_and_the_completeness_of_their_hours_are_stored(warehouse: Warehouse, tmp_path: Path) -> None:
    bars = {bar: "1.25" for bar in range(2, 14) if bar != 9}
    assert store(warehouse, plan(tmp_path, bars)) == 11
    assert stored(warehouse) == dict.fromkeys(bars, 1.25)
    assert statuses(warehouse) == {0: MISSING, 1: COMPLETE, 2: EXCHANGE_GAP, 3: MISSING}
    assert warehouse.price_scale(MARKET) == 100


def test_a_second_import_completes_hours_and_keeps_what_it_does_not_cover(warehouse: Warehouse, tmp_path: Path) -> None:
    store(warehouse, plan(tmp_path, dict.fromkeys(range(2, 10), "1.25")))
    assert statuses(warehouse) == {0: MISSING, 1: COMPLETE, 2: MISSING}
    assert store(warehouse, plan(tmp_path, dict.fromkeys((0, 1), "1.5"))) == 2
    assert store(warehouse, plan(tmp_path, dict.fromkeys(range(10, 13), "2"))) == 3
    assert stored(warehouse) == {0: 1.5, 1: 1.5} | dict.fromkeys(range(2, 10), 1.25) | {10: 2.0, 11: 2.0, 12: 2.0}
    assert statuses(warehouse) == {0: COMPLETE, 1: COMPLETE, 2: COMPLETE, 3: MISSING}


def test_spans_far_apart_leave_the_hours_between_unrecorded(warehouse: Warehouse, tmp_path: Path) -> None:
    store(warehouse, plan(tmp_path, dict.fromkeys(range(32, 40), "1")))
    store(warehouse, plan(tmp_path, dict.fromkeys((*range(8), *range(400, 404)), "1")))
    assert statuses(warehouse) == {0: COMPLETE, 1: COMPLETE, 8: COMPLETE, 9: COMPLETE}
    assert set(stored(warehouse, 200)) == {*range(8), *range(32, 40), *range(400, 404)}


def test_importing_again_writes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    planned = plan(tmp_path, dict.fromkeys(range(8), "1.25"))
    assert store(warehouse, planned) == 8
    run = warehouse.start_run("test", "")
    reports = import_candles(planned, 100, warehouse, run, REACH)
    assert [(report.inserted_rows, report.written_partitions) for report in reports] == [(0, 0), (0, 0)]
    assert warehouse.dirty() == []


def test_restated_and_withdrawn_candles_become_revisions_and_mark_what_depends_on_them(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    store(warehouse, plan(tmp_path, dict.fromkeys(range(8), "1.25")))
    restated = {bar: "1.25" for bar in range(8) if bar != 2} | {5: "1.5"}
    planned = plan(tmp_path, dict(sorted(restated.items())))
    with pytest.raises(UsageError, match=r"1 stored bars .* open 1\.25, .* in the file open 1\.5, .* Say --restate"):
        store(warehouse, planned)
    kept = join_stored(planned, 100, warehouse, Consent(is_restating=True))
    assert (kept.changed, kept.removed, kept.kept) == (1, 0, 1)
    assert len(kept.candles) == 8
    store(warehouse, planned, consent=Consent(is_restating=True, is_whole=True))
    assert warehouse.revised_bars(MARKET, DAY, DAY + 24 * HOUR_MS).tolist() == [DAY + 2 * STEP, DAY + 5 * STEP]
    assert stored(warehouse) == {0: 1.25, 1: 1.25, 3: 1.25, 4: 1.25, 5: 1.5, 6: 1.25, 7: 1.25}
    assert statuses(warehouse) == {0: EXCHANGE_GAP, 1: COMPLETE}
    assert {mark.asset for mark in warehouse.dirty(MARKET)} == {"features"}


def test_a_finer_file_refines_the_stored_scale(warehouse: Warehouse, tmp_path: Path) -> None:
    store(warehouse, plan(tmp_path, dict.fromkeys(range(4), "1.5")), 10)
    settle_price_scales(warehouse, [MarketSpec(MARKET, "files", 1_000), MarketSpec(MARKET.on("1d"), "files", 1_000)])
    store(warehouse, plan(tmp_path, dict.fromkeys(range(4, 8), "1.125")), 1_000)
    assert warehouse.price_scale(MARKET) == 1_000
    assert stored(warehouse) == dict.fromkeys(range(4), 1.5) | dict.fromkeys(range(4, 8), 1.125)
    settle_price_scales(warehouse, [MarketSpec(MARKET, "files", 1_000)])
    coarse = plan(tmp_path, dict.fromkeys(range(8, 12), "1.5"))
    store(warehouse, coarse, 1_000)
    candles = warehouse.read_candles(MARKET, DAY, DAY + 24 * HOUR_MS)
    assert candles.close.tolist() == [1_500] * 4 + [1_125] * 4 + [1_500] * 4


@pytest.mark.parametrize("timeframe", ["4h", "1d"])
def test_bars_longer_than_an_hour(timeframe: str, warehouse: Warehouse, tmp_path: Path) -> None:
    market = MARKET.on(timeframe)
    planned = plan(tmp_path, {0: "1.25", 1: "1.5", 3: "1.25"}, market)
    store(warehouse, planned)
    step = market.step_ms
    candles = warehouse.read_candles(market, DAY, DAY + 5 * step)
    assert all(getattr(candles, name).tobytes() == getattr(planned.candles, name).tobytes() for name in COLUMNS)
    rows = warehouse.read_range("candle_hours", market, Window(DAY, DAY + 5 * step))
    assert rows["hour_start"].tolist() == [DAY + bars * step - HOUR_MS for bars in (1, 2, 3, 4)]
    assert rows["status"].tolist() == [COMPLETE, COMPLETE, EXCHANGE_GAP, COMPLETE]


def test_a_failure_leaves_nothing_behind(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(warehouse, plan(tmp_path, dict.fromkeys(range(4), "1.25")))
    before = stored(warehouse), statuses(warehouse)

    def fail(*_: object) -> None:
        raise BadCandlesError("a fault in the middle")

    monkeypatch.setattr("regime_pipeline.services.imports.write.hour_statuses", fail)
    with pytest.raises(BadCandlesError):
        store(warehouse, plan(tmp_path, dict.fromkeys(range(8), "2")), consent=Consent(is_restating=True))
    assert (stored(warehouse), statuses(warehouse)) == before


def test_a_real_month_is_read_back_as_it_was(warehouse: Warehouse, shared_data: Path) -> None:
    folder = shared_data / "binance-vision/data/spot/daily/klines/BTCUSDT/1m"
    minutes = Market("BTC-USDT", "1m")
    planned = read_files(sorted(folder.glob("*-2018-02-*.zip")), minutes, ReadOptions(), NOW)
    assert store(warehouse, planned) == 38_260
    start, end = to_ms("2018-02-01T00:00:00Z"), to_ms("2018-03-01T00:00:00Z")
    candles = warehouse.read_candles(minutes, start, end)
    assert all(getattr(candles, name).tobytes() == getattr(planned.candles, name).tobytes() for name in COLUMNS)
    rows = warehouse.read_range("candle_hours", minutes, Window(start, end))
    assert np.bincount(rows["status"], minlength=3).tolist() == [672 - (34 + 1 + 1), 34 + 1 + 1, 0]
