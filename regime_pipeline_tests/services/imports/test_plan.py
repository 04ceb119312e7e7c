"""The files of the shared data, whose holes and counts are known."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_iso, to_ms
from regime_pipeline.services.imports.plan import ImportPlan, read_files
from regime_pipeline.sources.files.layouts import ReadOptions
from regime_pipeline.sources.files.table import BadFileError

NOW = to_ms("2026-01-01T00:00:00Z")
AUTO = ReadOptions()
DAILY = "binance-vision/data/spot/daily/klines/BTCUSDT/1m"


def read(paths: list[Path], market: str, options: ReadOptions = AUTO) -> ImportPlan:
    assert paths
    return read_files(paths, Market.parse(market), options, NOW)


def known_gaps(shared_data: Path, month: str) -> list[tuple[str, int]]:
    listed = ast.literal_eval((shared_data / "btcusdt_1m_gap_list.txt").read_text())
    return [(start.replace(" ", "T") + ":00Z", minutes) for start, minutes in listed if start.startswith(month)]


@pytest.mark.parametrize(("month", "candles"), [("2018-02", 38_260), ("2020-02", 41_346), ("2020-03", None)])
def test_gaps_of_an_archive_month_are_those_known(month: str, candles: int | None, shared_data: Path) -> None:
    paths = sorted((shared_data / DAILY).glob(f"BTCUSDT-1m-{month}-*"))
    plan = read(paths, "BTC-USDT_1m")
    assert [(to_iso(start), bars) for start, bars in plan.gaps] == known_gaps(shared_data, month)
    assert len(plan.files) == len(paths) // 2
    assert plan.candles.price_scale == 100
    start = datetime.fromisoformat(f"{month}-01T00:00:00+00:00").astimezone(UTC)
    assert plan.covered[0][0] == to_ms(start)
    if candles:
        assert len(plan.candles) == candles == sum(file.rows for file in plan.files)
    assert sum(file.absent_bars for file in plan.files) == sum(bars for _, bars in plan.gaps)


def test_the_first_day_ever_has_its_hours_before_the_listing_confirmed(shared_data: Path) -> None:
    plan = read(sorted((shared_data / DAILY).glob("BTCUSDT-1m-2017-08-*.zip")), "BTC-USDT_1m")
    assert plan.gaps == ((to_ms("2017-08-17T00:00:00Z"), 240),)
    assert int((plan.candles.volume == 0).sum()) == 6_974


def test_milliseconds_and_microseconds_join_at_the_turn_of_2025(shared_data: Path) -> None:
    folder = shared_data / DAILY
    plan = read([folder / "BTCUSDT-1m-2025-01-01.zip", folder / "BTCUSDT-1m-2024-12-31.zip"], "BTC-USDT_1m")
    assert (np.diff(plan.candles.open_time_ms) == 60_000).all()
    assert len(plan.candles) == 2_880
    assert plan.covered == ((to_ms("2024-12-31T00:00:00Z"), to_ms("2025-01-02T00:00:00Z")),)
    assert plan.candles.open[1_440] == 9_357_600


def test_a_monthly_hour_archive(shared_data: Path) -> None:
    (path,) = (shared_data / "binance-vision").rglob("ETHUSDT-1h-2022-06.zip")
    plan = read([path], "ETH-USDT_1h")
    assert (len(plan.candles), plan.gaps) == (720, ())
    with pytest.raises(BadFileError, match="holds ETHUSDT 1h by its name, not BTC-USDT_1h"):
        read([path], "BTC-USDT_1h")


@pytest.mark.parametrize(
    ("name", "market", "candles", "gaps"),
    [
        ("binance-2021-05b__ETH_USDT-1m", "ETH-USDT_1m", 42_915, [("2021-04-25T04:01:00Z", 284)]),
        ("binance-2023-03__ETH_USDT-1m", "ETH-USDT_1m", 66_087, [("2023-03-24T12:40:00Z", 80)]),
        ("kucoin-2023-03__BTC_USDT-1m", "BTC-USDT_1m", 43_199, []),
    ],
)  # fmt: skip
def test_freqtrade_files(name: str, market: str, candles: int, gaps: list[tuple[str, int]], shared_data: Path) -> None:
    plan = read([shared_data / f"freqtrade-format/{name}.json.gz"], market)
    assert len(plan.candles) == candles
    assert [(to_iso(start), bars) for start, bars in plan.gaps] == gaps


def test_bars_that_an_outage_shifted_are_refused_or_dropped(shared_data: Path) -> None:
    path = shared_data / "freqtrade-format/binance-2017-2021__ETH_USDT-1h.json.gz"
    with pytest.raises(BadFileError, match="row 4190: the open time is not a multiple of 1h") as refusal:
        read([path], "ETH-USDT_1h")
    assert "--drop-unaligned" in refusal.value.todo
    plan = read([path], "ETH-USDT_1h", ReadOptions(is_dropping_unaligned=True))
    assert (plan.files[0].rows, plan.files[0].rejects, len(plan.candles)) == (33_876, 43, 33_833)


def test_overlapping_fetches_become_one_series_and_what_lies_between_files_is_unknown(shared_data: Path) -> None:
    files = [
        shared_data / f"freqtrade-format/binance-2021-{month}__ETH_USDT-1m.json.gz" for month in ("04", "05", "05b")
    ]
    apart, joined = read(files[:2], "ETH-USDT_1m"), read(files, "ETH-USDT_1m")
    assert apart.unknown == ((to_ms("2021-05-14T20:27:00Z"), to_ms("2021-05-15T15:24:00Z")),)
    assert joined.unknown == ()
    assert [file.duplicates for file in joined.files[:2]] == [0, 0]
    assert len(joined.candles) - len(apart.candles) == 18 * 60 + 57
    assert joined.files[2].duplicates == 42_915 - (18 * 60 + 57)


def test_kucoins_documented_reply(shared_data: Path) -> None:
    plan = read([shared_data / "api-fixtures/kucoin-sdk__api_market_test__get_klines.json"], "BTC-USDT_1m")
    assert [to_iso(ms) for ms in plan.candles.open_time_ms.tolist()] == [
        "2019-08-26T03:20:00Z",
        "2019-08-26T03:21:00Z",
        "2019-08-26T03:22:00Z",
    ]
    assert plan.candles.prices("high").tolist() == [10416.0, 10422.3, 10411.5]
    assert plan.candles.prices("close").tolist() == [10416.0, 10411.5, 10401.9]


def test_naive_hourly_files_need_the_zone_and_their_cuts_are_unknown(shared_data: Path) -> None:
    path = shared_data / "hourly-cut/ETHUSDT_1h_shared-epochs.csv.gz"
    with pytest.raises(BadFileError, match="line 2: the time '2021-04-04 20:00:00' has no offset"):
        read([path], "ETH-USDT_1h")
    plan = read([path], "ETH-USDT_1h", ReadOptions(timezone="UTC"))
    assert len(plan.candles) == 12_303
    assert plan.unknown == ((to_ms("2021-09-01T00:00:00Z"), to_ms("2023-01-01T00:00:00Z")),)
    assert plan.span_ms == (to_ms("2021-04-04T20:00:00Z"), to_ms("2023-12-30T21:00:00Z"))


def test_lean_minutes(shared_data: Path) -> None:
    folder = shared_data / "lean/crypto/coinbase/minute/btcusd"
    plan = read(sorted(folder.glob("201804*.zip")), "BTC-USD_1m")
    assert len(plan.candles) == 1_007 + 1_440 + 1_440
    assert plan.covered == ((to_ms("2018-04-04T00:00:00Z"), to_ms("2018-04-07T00:00:00Z")),)
    assert plan.candles.prices("open")[0] == 7424.91


def test_repeated_files_are_duplicates_and_one_bad_file_refuses_all(shared_data: Path, tmp_path: Path) -> None:
    day = shared_data / DAILY / "BTCUSDT-1m-2020-02-09.zip"
    copy = tmp_path / "again" / day.name
    copy.parent.mkdir()
    copy.write_bytes(day.read_bytes())
    plan = read([day, copy], "BTC-USDT_1m")
    assert [file.duplicates for file in plan.files] == [0, 1_380]
    assert len(plan.candles) == 1_380
    copy.write_bytes(day.read_bytes()[:20_000])
    with pytest.raises(BadFileError, match=r"BTCUSDT-1m-2020-02-09\.zip is damaged"):
        read([day, copy], "BTC-USDT_1m")


def test_nothing_to_import_is_said(tmp_path: Path) -> None:
    market = Market("BTC-USDT", "1h")
    with pytest.raises(UsageError, match=r"There are no candle files to import\."):
        read_files([tmp_path / "a.zip.CHECKSUM"], market, AUTO, NOW)
    path = tmp_path / "a.csv"
    path.write_text(f"{NOW},1,1,1,1,1\n")
    with pytest.raises(UsageError, match=r"None of the candles is closed yet; BTC-USDT_1h stays as it is\."):
        read_files([path], market, AUTO, NOW + HOUR_MS - 1)
    assert read_files([path], market, AUTO, NOW + HOUR_MS).files[0].rejects == 0
