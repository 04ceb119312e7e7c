"""`regime import`: dry run, report, options and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from regime_pipeline.cli.import_files import import_command
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.services.universe import load_universe
from regime_pipeline.sources.files.table import BadFileError
from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.cli.fixtures import regime

DAY = to_ms("2020-02-09T00:00:00Z")
MARKET = Market("BTC-USDT", "1m")
Command = Callable[..., str]
app = typer.Typer()
app.command()(import_command)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project directory that is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REGIME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REGIME_MARKETS", str(tmp_path / "markets.toml"))
    return tmp_path


@pytest.fixture
def database(project: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database at the current revision that the command writes to."""
    upgrade(database_url)
    monkeypatch.setenv("REGIME_DATABASE_URL", database_url)
    return database_url


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)
    if result.exception is not None:
        raise result.exception
    return result.output


def write(path: Path, minutes: list[int], price: str = "1.25") -> Path:
    path.write_text("".join(f"{DAY + m * 60_000},{price},{price},{price},{price},1\n" for m in minutes))
    return path


def test_a_dry_run_reports_and_touches_nothing(project: Path) -> None:
    path = write(project / "a.csv", [0, 1, 1, 5, 6])
    output = run(path, "--market", "BTC-USDT_1m", "--dry-run")
    assert "a.csv" in output
    assert "1 (3 bars)" in output
    assert "4 candles, 1 gap of 3 bars in all, 1 duplicate dropped, 0 rejected; 100 ticks per unit." in output
    assert "gap of 3 bars from 2020-02-09T00:02:00Z" in output
    assert "Dry run: nothing was written." in output
    assert sorted(p.name for p in project.iterdir()) == ["a.csv"]


def test_the_report_as_json(project: Path) -> None:
    first, second = write(project / "a.csv", [0, 1, 3]), write(project / "b.csv", [9, 10])
    report = json.loads(run(first, second, "--market", "btcusdt_1m", "--dry-run", "--format", "json"))
    assert {name: value for name, value in report.items() if name not in ("files", "gaps", "unknown")} == {
        "market": "BTC-USDT_1m",
        "candles": 5,
        "price_scale": 100,
        "start": "2020-02-09T00:00:00Z",
        "end": "2020-02-09T00:11:00Z",
        "no_trade_bars": 0,
        "stored_bars_changed": 0,
        "stored_bars_removed": 0,
        "stored_bars_kept_in_holes": 0,
        "hours_outside_partitions": 0,
        "candles_written": 0,
        "hours_written": 0,
        "is_dry_run": True,
        "next_command": "",
    }
    assert report["gaps"] == [{"start": "2020-02-09T00:02:00Z", "bars": 1}]
    assert report["unknown"] == [{"start": "2020-02-09T00:04:00Z", "end": "2020-02-09T00:09:00Z"}]
    prices = dict.fromkeys(("open", "high", "low", "close"), 1.25)
    assert report["files"][0] == {
        "path": str(first),
        "rows": 3,
        "first": "2020-02-09T00:00:00Z",
        "last": "2020-02-09T00:03:00Z",
        "first_bar": {"open_time": "2020-02-09T00:00:00Z", **prices, "volume": 1.0},
        "last_bar": {"open_time": "2020-02-09T00:03:00Z", **prices, "volume": 1.0},
        "gaps": 1,
        "absent_bars": 1,
        "duplicates": 0,
        "rejects": 0,
        "is_order_turned": False,
        "columns": {name: name for name in ("time", "open", "high", "low", "close", "volume")},
        "dropped": {},
        "notes": [],
    }


def test_of_many_files_the_first_and_last_are_shown(project: Path) -> None:
    paths = [write(project / f"{n:02}.csv", [n]) for n in range(15)]
    output = run(*paths, "--market", "BTC-USDT_1m", "--dry-run")
    assert "... 3 more ..." in output
    assert [name for name in (f"{n:02}.csv" for n in range(15)) if name not in output] == ["06.csv", "07.csv", "08.csv"]


def test_columns_and_other_options_reach_the_reader(project: Path) -> None:
    path = project / "a.csv"
    path.write_text("1,2020-02-09T00:00:00,0.3333,0.4,0.3,0.35\n")
    arguments = (path, "--market", "BTC-USDT_1m", "--dry-run", "--format", "json")
    named = (*arguments, "--columns", "volume, time,open,high,low,close", "--price-scale", "100000")
    with pytest.raises(BadFileError, match="--timezone UTC"):
        run(*named)
    report = json.loads(run(*named, "--timezone", "UTC"))
    assert (report["start"], report["price_scale"]) == ("2020-02-09T00:00:00Z", 100_000)


@pytest.mark.parametrize(
    ("option", "error"),
    [("BTC-USDT", "is not a market"), ("BTC-USDT_2m", "'2m' is not a timeframe")],
)
def test_a_market_that_is_none_is_refused(option: str, error: str, project: Path) -> None:
    with pytest.raises(UsageError, match=error):
        run(write(project / "a.csv", [0]), "--market", option, "--dry-run")


@pytest.mark.postgres
def test_candles_are_stored_and_markets_listed(project: Path, database: str) -> None:
    path = write(project / "a.csv", list(range(60)))
    output = run(path, "--market", "BTC-USDT_1m", "--resample", "15m", "--resample", "1h")
    assert "60 candles in 1 hour written" in output
    universe = load_universe(project / "markets.toml")
    assert [(spec.market.key, spec.source, spec.price_scale) for spec in universe.specs] == [
        ("BTC-USDT_1m", "files", 100),
        ("BTC-USDT_15m", "resampled", 100),
        ("BTC-USDT_1h", "resampled", 100),
    ]
    assert (universe.start_ms, universe.end_ms) == (DAY, DAY + 3_600_000)
    with Warehouse(database) as warehouse:
        assert len(warehouse.read_candles(MARKET, DAY, DAY + 3_600_000)) == 60
        assert warehouse.read_range("candle_hours", MARKET, Window.hour(DAY))["status"].tolist() == [0]
    again = json.loads(run(path, "--market", "BTC-USDT_1m", "--format", "json"))
    assert (again["candles_written"], again["hours_written"], again["is_dry_run"]) == (0, 0, False)


@pytest.mark.postgres
@pytest.mark.usefixtures("database")
def test_time_without_a_trade_is_counted_and_what_was_there_is_said(project: Path) -> None:
    path = write(project / "a.csv", [0, 1, 4])
    first = run(path, "--market", "BTC-USDT_1m", "--absent-bars", "no_trade")
    assert "2 absent bars count as time without a trade: flat, volume 0." in first
    assert "5 candles in 1 hour written." in first

    again = run(path, "--market", "BTC-USDT_1m")
    assert "0 candles in 0 hours written, the others were there." in again


def test_finer_prices_refine_the_market_and_what_is_resampled_from_it(project: Path, database: str) -> None:
    run(write(project / "a.csv", [0, 1]), "--market", "BTC-USDT_1m", "--resample", "15m")
    finer = (write(project / "b.csv", [2, 3], "1.125"), "--market", "BTC-USDT_1m", "--resample", "1h")
    for dry in ([], ["--dry-run"]):
        with pytest.raises(UsageError, match=r"stored at 100 ticks per unit, .* Say --price-scale 1000 to raise it"):
            run(*finer, *dry)
    run(*finer, "--price-scale", "1000")
    assert {spec.price_scale for spec in load_universe(project / "markets.toml").specs} == {1_000}
    with Warehouse(database) as warehouse:
        candles = warehouse.read_candles(MARKET, DAY, DAY + 3_600_000)
    assert (candles.price_scale, candles.close.tolist()) == (1_000, [1_250, 1_250, 1_125, 1_125])


def test_a_market_of_another_source_is_refused_before_anything_is_written(project: Path) -> None:
    markets = project / "markets.toml"
    markets.write_text(
        '[partitions]\nstart = 2020-01-01T00:00:00Z\n[[markets]]\nsymbol = "BTC-USDT"\n'
        'timeframes = ["1m"]\nsource = "simulated"\n'
    )
    with pytest.raises(UsageError, match="is listed in .* with source 'simulated', not 'files'"):
        run(write(project / "a.csv", [0]), "--market", "BTC-USDT_1m")
    assert not (project / "home").exists()


def test_resampling_needs_the_minutes(project: Path) -> None:
    path = project / "h.csv"
    path.write_text(f"{DAY},1,1,1,1,1\n")
    with pytest.raises(UsageError, match="BTC-USDT_4h cannot be resampled"):
        run(path, "--market", "BTC-USDT_1h", "--resample", "4h")
    assert not (project / "markets.toml").exists()


def test_two_markets_and_folders_are_refused_in_a_sentence(project: Path) -> None:
    path = write(project / "a.csv", [0])
    with pytest.raises(UsageError, match=r"--market is given 2 times\. Import one market at a time"):
        run(path, "--market", "BTC-USDT_1m", "--market", "ETH-USDT_1m", "--dry-run")
    for folder in (".", "", str(project)):
        with pytest.raises(BadFileError, match="is a folder"):
            run(folder, "--market", "BTC-USDT_1m", "--dry-run")


def test_a_refusal_cannot_steer_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REGIME_HOME", str(tmp_path / "home"))
    file = tmp_path / "a.csv"
    file.write_text("\x1b]0;owned\x07\x1b[2J,1,1,1,1,1\n")
    assert regime(monkeypatch, "import", str(file), "--market", "ETH-USDT_1m") == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert r"\x1b]0;owned\x07\x1b[2J" in said.replace("\n", "")
