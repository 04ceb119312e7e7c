"""The import as one call: dry run and run decide alike, and nothing stored is lost or changed unasked."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import regime_pipeline as rp
from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.services.imports.scale_check import scale_faults
from regime_pipeline.services.universe import load_universe
from regime_pipeline.settings import Settings
from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline.storage.warehouse import Warehouse

DAY = to_ms("2024-01-01T00:00:00Z")
HOUR = 3_600_000
MARKET = Market("BTC-USDT", "1h")
pytestmark = pytest.mark.postgres


@pytest.fixture
def database(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty project with a database at the current revision."""
    upgrade(database_url)
    monkeypatch.setenv("REGIME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REGIME_MARKETS", str(tmp_path / "markets.toml"))
    monkeypatch.setenv("REGIME_DATABASE_URL", database_url)
    return database_url


QUIET_IN_JANUARY = """\
[partitions]
start = 2024-01-01T00:00:00Z
end = 2024-02-01T00:00:00Z

[[markets]]
symbol = "BTC-USDT"
timeframes = ["1h"]
source = "files"
absent_bars = "no_trade"
"""


def write(path: Path, prices: dict[int, float]) -> Path:
    path.write_text("".join(f"{DAY + h * HOUR},{p!r},{p!r},{p!r},{p!r},{h + 1}.5\n" for h, p in prices.items()))
    return path


def stored(url: str) -> dict[int, float]:
    with Warehouse(url) as warehouse:
        candles = warehouse.read_candles(MARKET, DAY, DAY + 100 * HOUR)
    return dict(zip(((candles.open_time_ms - DAY) // HOUR).tolist(), candles.prices("close").tolist(), strict=True))


def test_a_file_with_a_hole_removes_nothing_unless_it_is_the_whole_truth(database: str, tmp_path: Path) -> None:
    whole = {hour: 100.25 + hour for hour in range(24)}
    first = rp.import_candles(write(tmp_path / "a.csv", whole), "BTC-USDT_1h")
    assert first.next_command == "regime backfill --market BTC-USDT_1h"
    holed = write(tmp_path / "b.csv", {hour: price for hour, price in whole.items() if not 5 <= hour < 9})
    for dry in (True, False):
        report = rp.import_candles(holed, "btcusdt_1h", dry_run=dry).to_dict()
        assert (report["stored_bars_kept_in_holes"], report["stored_bars_removed"]) == (4, 0)
    assert stored(database) == whole
    report = rp.import_candles(holed, "BTC-USDT_1h", whole_truth=True).to_dict()
    assert (report["stored_bars_removed"], report["candles_written"]) == (4, 0)
    assert len(stored(database)) == 20
    with Warehouse(database) as warehouse:
        assert len(warehouse.revised_bars(MARKET, DAY, DAY + 24 * HOUR)) == 4


def test_a_stored_scale_stays_unless_it_is_asked_for(database: str, tmp_path: Path) -> None:
    rp.import_candles(write(tmp_path / "a.csv", {hour: 42_000.25 + hour for hour in (0, 1, 2, 3, 9)}), "BTC-USDT_1h")
    noisy = write(tmp_path / "noise.csv", {4: 42_001.12000000001, 5: 42_001.2})
    assert rp.import_candles(noisy, "BTC-USDT_1h").price_scale == 100
    finer = write(tmp_path / "finer.csv", {6: 42_001.125})
    for dry in (True, False):
        with pytest.raises(UsageError, match=r"stored at 100 .* need 1,000\. Say --price-scale 1000 to raise it"):
            rp.import_candles(finer, "BTC-USDT_1h", dry_run=dry)
        with pytest.raises(UsageError, match="of which 10 is not a multiple"):
            rp.import_candles(write(tmp_path / "c.csv", {7: 42_001.0}), "BTC-USDT_1h", dry_run=dry, price_scale=10)
    assert rp.import_candles(finer, "BTC-USDT_1h", dry_run=True, price_scale=1_000).price_scale == 1_000
    assert rp.import_candles(finer, "BTC-USDT_1h", price_scale=1_000).price_scale == 1_000
    assert stored(database)[6] == 42_001.125
    assert load_universe(tmp_path / "markets.toml").specs[0].price_scale == 1_000


def test_changed_values_need_consent_in_dry_run_and_run_alike(database: str, tmp_path: Path) -> None:
    rp.import_candles(write(tmp_path / "a.csv", {0: 1.5, 1: 1.5}), "BTC-USDT_1h")
    other = write(tmp_path / "b.csv", {0: 1.5, 1: 2.5})
    for dry in (True, False):
        with pytest.raises(UsageError, match="1 stored bars of BTC-USDT_1h have other values"):
            rp.import_candles(other, "BTC-USDT_1h", dry_run=dry)
    assert rp.import_candles(other, "BTC-USDT_1h", restate=True).to_dict()["stored_bars_changed"] == 1
    assert stored(database) == {0: 1.5, 1: 2.5}


@pytest.mark.parametrize("price", [1.25e-13, 2.5e13])
def test_the_smallest_and_largest_prices(database: str, tmp_path: Path, price: float) -> None:
    path = write(tmp_path / "a.csv", {hour: price * (1 + hour / 4) for hour in range(4)})
    scales = [rp.import_candles(path, "BTC-USDT_1h", dry_run=dry).price_scale for dry in (True, False)]
    assert scales[0] == scales[1]
    assert stored(database)[0] == pytest.approx(price, rel=1e-9)
    frame = rp.RegimeStorage(database)
    times = "2024-01-01T00:00:00Z"
    rows = pd.DataFrame(
        {"open_time": pd.to_datetime([times]), "full_regime": ["UPTREND_LOWVOL_BULLISH"], "confidence": [0.5]}
    )
    assert frame.insert_regimes(rows, "BTC-USDT", "1h") == 1
    frame.close()


def test_a_scale_that_cannot_work_is_seen(database: str, tmp_path: Path) -> None:
    rp.import_candles(write(tmp_path / "a.csv", {hour: 1.25e-6 + hour * 1e-9 for hour in range(4)}), "BTC-USDT_1h")
    with open_workspace(Settings()) as workspace:
        assert scale_faults(workspace) == []
        workspace.warehouse.rescale(MARKET, 100)
        (fault,) = scale_faults(workspace)
        assert "is stored at 100 ticks per unit and listed with" in fault
    markets = tmp_path / "markets.toml"
    markets.write_text(markets.read_text().replace("price_scale = 1000000000", "price_scale = 100"))
    with open_workspace(Settings()) as workspace:
        (fault,) = scale_faults(workspace)
    assert "finer than a tick of 1/100: it would become 0.0" in fault


def test_hours_outside_the_partitions_are_counted(database: str, tmp_path: Path) -> None:
    rp.import_candles(write(tmp_path / "a.csv", dict.fromkeys(range(4), 1.5)), "BTC-USDT_1h")
    path = write(tmp_path / "b.csv", dict.fromkeys(range(2, 10), 1.5))
    for dry in (True, False):
        assert rp.import_candles(path, "BTC-USDT_1h", dry_run=dry).hours_outside == 6


def test_absent_bars_become_time_without_a_trade_where_that_is_declared(database: str, tmp_path: Path) -> None:
    """The market is listed so, later imports follow the list, and a restated close goes on through the lull."""
    (tmp_path / "markets.toml").write_text("[partitions]\nstart = 2024-01-01T00:00:00Z\n")
    prices = {0: 100.25, 1: 101.25, 5: 102.25, 6: 103.25}
    first = write(tmp_path / "a.csv", prices)
    for dry in (True, False):
        report = rp.import_candles(first, "BTC-USDT_1h", absent_bars="no_trade", dry_run=dry).to_dict()
        assert (report["no_trade_bars"], report["candles"]) == (3, 4)
    assert load_universe(tmp_path / "markets.toml").specs[0].absent_bars == "no_trade"
    assert stored(database) == prices | dict.fromkeys((2, 3, 4), 101.25)
    later = rp.import_candles(write(tmp_path / "b.csv", {7: 104.25, 9: 105.25}), "BTC-USDT_1h")
    assert later.joined.no_trade == 1
    assert stored(database)[8] == 104.25

    restated = write(tmp_path / "c.csv", prices | {1: 99.25})
    report = rp.import_candles(restated, "BTC-USDT_1h", restate=True).to_dict()
    assert (report["stored_bars_changed"], report["stored_bars_kept_in_holes"]) == (1, 0)
    assert [stored(database)[hour] for hour in (1, 2, 3, 4, 5)] == [99.25, 99.25, 99.25, 99.25, 102.25]


def test_an_absent_bar_is_a_gap_unless_something_else_is_said(database: str, tmp_path: Path) -> None:
    write_again = write(tmp_path / "a.csv", {0: 100.25, 3: 101.25})
    assert rp.import_candles(write_again, "BTC-USDT_1h").joined.no_trade == 0
    assert stored(database) == {0: 100.25, 3: 101.25}
    assert rp.import_candles(write_again, "BTC-USDT_1h", absent_bars="no_trade").joined.no_trade == 2
    assert load_universe(tmp_path / "markets.toml").specs[0].absent_bars == "gap", "the list is the user's"
    assert stored(database)[2] == 100.25
    assert rp.import_candles(write_again, "BTC-USDT_1h").joined.kept == 2


def test_the_first_absent_bar_repeats_the_stored_close_before_it(database: str, tmp_path: Path) -> None:
    (tmp_path / "markets.toml").write_text(QUIET_IN_JANUARY)
    day = {hour: 100.25 + hour for hour in range(24)}
    rp.import_candles(write(tmp_path / "BTCUSDT-1h-2024-01-01.csv", day), "BTC-USDT_1h")
    next_day = write(tmp_path / "BTCUSDT-1h-2024-01-02.csv", {30: 200.25, 31: 201.25})
    report = rp.import_candles(next_day, "BTC-USDT_1h")
    assert report.joined.no_trade == 22, "the file covers its whole day"
    assert [stored(database)[hour] for hour in (23, 24, 29, 30, 47)] == [123.25, 123.25, 123.25, 200.25, 201.25]


def test_the_refusal_of_another_time_names_the_line_that_takes_it_in(database: str, tmp_path: Path) -> None:
    rp.import_candles(write(tmp_path / "a.csv", {24: 100.25, 25: 101.25}), "BTC-USDT_1h")
    for hours, line in (((60, 61), "end = 2024-01-03T14:00:00Z"), ((2, 3), "start = 2024-01-01T02:00:00Z")):
        other = write(tmp_path / "b.csv", dict.fromkeys(hours, 102.25))
        with pytest.raises(UsageError, match=rf"Write {line} under \[partitions\] there"):
            rp.import_candles(other, "BTC-USDT_1h")
        markets = tmp_path / "markets.toml"
        name = line.partition(" ")[0]
        lines = [line if text.startswith(f"{name} =") else text for text in markets.read_text().splitlines()]
        markets.write_text("\n".join(lines))
        assert rp.import_candles(other, "BTC-USDT_1h").hours_outside == 0
