"""Tests of `integrations.freqtrade`: filled gaps, the future, the filter; with freqtrade itself where there is one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import regime_pipeline as rp
from regime_pipeline.domain.market_data.resample import resample
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.integrations.freqtrade import (
    COLUMNS,
    Pause,
    RegimeFilter,
    add_verdicts,
    startup_candles,
    without_filled,
)
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.exchange_simulator.fixtures import exchange
from regime_pipeline_tests.python_api.factories import candles, frame_of

PAGE = (REPOSITORY / "docs" / "freqtrade.md").read_text("utf-8")
(STRATEGY,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
(CONFIG,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.M | re.S)
BASE = candles(4_800, "15m")
PAIR = {"pair": "CANDLES/USDT"}


def held(timeframe: str = "15m", bars: int | None = None) -> pd.DataFrame:
    """Candles as freqtrade holds them."""
    return frame_of(resample(BASE[: bars or len(BASE)], timeframe)).rename(columns={"open_time": "date"})


def filled(frame: pd.DataFrame, timeframe: str) -> pd.DataFrame:
    """What freqtrade makes of a frame with gaps (`ohlcv_fill_up_missing_data`)."""
    every = frame.set_index("date").asfreq(timeframe.replace("m", "min"))
    close = every["close"].ffill()
    return (
        every.assign(close=close, volume=every["volume"].fillna(0))
        .fillna(dict.fromkeys(("open", "high", "low"), close))
        .reset_index()
    )


GAPPY = held().drop(index=[*range(4_000, 4_009), 4_300]).reset_index(drop=True)


class Provider:
    """As much of freqtrade's data provider as the mixin asks."""

    def __init__(self, candles_1h: pd.DataFrame) -> None:
        self.candles, self.analyzed = {"1h": candles_1h}, pd.DataFrame()

    def current_whitelist(self) -> list[str]:
        return [PAIR["pair"]]

    def get_pair_dataframe(self, pair: str, timeframe: str) -> pd.DataFrame:
        assert pair == PAIR["pair"]
        return self.candles[timeframe]

    def get_analyzed_dataframe(self, pair: str, timeframe: str) -> tuple[pd.DataFrame, None]:
        return self.analyzed, None


class Strategy:
    """As much of freqtrade's interface as the mixin builds on."""

    startup_candle_count = 0
    timeframe = "15m"

    def informative_pairs(self) -> list[tuple[str, str]]:
        return [("BTC/USDT", "4h")]

    def confirm_trade_entry(self, pair: str, rate: float) -> bool:
        return rate > 0


class Hourly(RegimeFilter, Strategy):
    regime_permitted = ("RANGE_OK", "RANGE_WEAK")
    regime_pause = Pause(12)


class Own(RegimeFilter, Strategy):
    regime_timeframe = "15m"


def strategy(kind: type[Any], bars: int | None = None) -> Any:
    made = kind()
    made.dp = Provider(held("1h", bars))
    return made


def test_the_candles_that_freqtrade_fills_in_are_taken_out_again() -> None:
    made = filled(GAPPY, "15m")

    assert len(made) == len(GAPPY) + 10
    pd.testing.assert_frame_equal(without_filled(made).reset_index(drop=True), GAPPY, check_freq=False)


def test_filled_gaps_change_no_verdict() -> None:
    made = filled(GAPPY, "15m")

    with_gaps, without = add_verdicts(GAPPY, "15m"), add_verdicts(made, "15m")

    same = without[made["date"].isin(GAPPY["date"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, with_gaps, check_freq=False)
    assert (without["regime_verdict"][4_003:4_008] == "INSUFFICIENT_DATA").all()


@pytest.mark.parametrize("kind", [Hourly, Own])
@pytest.mark.parametrize("cut", [4_001, 4_402, 4_799])
def test_every_column_is_a_function_of_the_past(kind: type[Any], cut: int) -> None:
    whole = strategy(kind).with_verdicts(held(), PAIR)

    part = strategy(kind, cut // 4 * 4).with_verdicts(held(bars=cut), PAIR)

    pd.testing.assert_frame_equal(part, whole[:cut])
    assert len(set(part["regime_verdict"])) > 2


def test_the_columns_are_those_of_the_newest_verdict_known() -> None:
    rows = rp.verdicts(held("1h"), "1h").rename(columns={"open_time": "date"})
    frame = held("1h").assign(signal=1)

    found = add_verdicts(frame, "1h")

    pd.testing.assert_frame_equal(found[list(frame)], frame)
    assert list(found)[len(frame.columns) :] == [f"regime_{name}" for name in (*COLUMNS, "paused")]
    for name in COLUMNS:
        assert found[f"regime_{name}"].astype(object).where(found[f"regime_{name}"].notna(), None).tolist() == (
            rows[name].astype(object).where(rows[name].notna(), None).tolist()
        )
    pd.testing.assert_frame_equal(add_verdicts(found, "1h"), found)


def test_an_old_verdict_permits_nothing() -> None:
    candles_1h = held("1h")
    absent = candles_1h["date"].between(candles_1h["date"][1_100], candles_1h["date"][1_102])

    found = add_verdicts(held(), "15m", candles_1h[~absent], "1h")

    age = found["date"] + pd.Timedelta("15min") - found["regime_known_at"]
    is_old = age >= pd.Timedelta("1h")
    assert is_old.sum() == 12
    assert (found["regime_verdict"][is_old] == "INSUFFICIENT_DATA").all()
    assert (found["regime_verdict"][age < pd.Timedelta("1h")] != "INSUFFICIENT_DATA").any()


def test_a_pause_lasts_its_hours_after_the_last_alarm() -> None:
    found = strategy(Hourly).with_verdicts(held(), PAIR)
    rows = rp.verdicts(held("1h"), "1h")
    alarms = rows["known_at"][rows["verdict"].isin(("TREND", "TRANSITION"))].tolist()
    closes = found["date"] + pd.Timedelta("15min")

    expected = [any(pd.Timedelta(0) <= close - alarm < pd.Timedelta("12h") for alarm in alarms) for close in closes]

    assert found["regime_paused"].tolist() == expected
    is_permitted = found["regime_verdict"].isin(Hourly.regime_permitted)
    assert found["regime_may_enter"].tolist() == (is_permitted & ~np.array(expected)).tolist()
    assert 0 < found["regime_may_enter"].sum() < is_permitted.sum()


def test_the_startup_count_reaches_as_far_as_verdicts_do() -> None:
    assert (startup_candles(), startup_candles("15m"), startup_candles("4h")) == (1_065, 3_732, 847)
    assert (Hourly.startup_candle_count, Own.startup_candle_count) == (1_065 + 12, 3_732)

    class Longer(RegimeFilter, Strategy):
        startup_candle_count = 5_000

    assert Longer.startup_candle_count == 5_000
    whole = add_verdicts(held("1h"), "1h").iloc[-1]
    enough = add_verdicts(held("1h")[-startup_candles() - 1 :], "1h").iloc[-1]
    pd.testing.assert_series_equal(enough, whole)


def test_the_informative_pairs_are_those_of_the_strategy_and_of_the_verdicts() -> None:
    assert strategy(Hourly).informative_pairs() == [("BTC/USDT", "4h"), ("CANDLES/USDT", "1h")]
    assert strategy(Own).informative_pairs() == [("BTC/USDT", "4h")]


def test_an_entry_needs_the_newest_candles_permission_and_the_strategys_own() -> None:
    one = strategy(Hourly)

    assert not one.confirm_trade_entry(pair=PAIR["pair"], rate=1.0)
    for may_enter in (True, False):
        one.dp.analyzed = pd.DataFrame({"regime_may_enter": [not may_enter, may_enter]})
        assert one.confirm_trade_entry(pair=PAIR["pair"], rate=1.0) is may_enter
    one.dp.analyzed = pd.DataFrame({"regime_may_enter": [True]})
    assert not one.confirm_trade_entry(pair=PAIR["pair"], rate=-1.0)


def test_the_pages_strategy_enters_only_where_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    package, module = ModuleType("freqtrade"), ModuleType("freqtrade.strategy")
    module.IStrategy = Strategy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "freqtrade", package)
    monkeypatch.setitem(sys.modules, "freqtrade.strategy", module)
    defined: dict[str, Any] = {}
    exec(STRATEGY, defined)

    one = strategy(defined["RegimeRange"])
    found = one.populate_exit_trend(one.populate_entry_trend(one.populate_indicators(held(), PAIR), PAIR), PAIR)

    entered = found[found["enter_long"] == 1]
    assert len(entered) > 0
    assert entered["regime_may_enter"].all()
    assert (found["exit_long"] == 1).any()


@pytest.fixture(scope="module")
def freqtrade() -> str:
    """The program; skips where there is none."""
    found = shutil.which(os.environ.get("REGIME_TEST_FREQTRADE", "freqtrade"))
    if found is None:
        pytest.skip("there is no freqtrade to test with (REGIME_TEST_FREQTRADE names one)")
    return found


def run(program: str, folder: Path, *words: str) -> str:
    """What freqtrade prints, on one line."""
    done = subprocess.run(
        [program, *words, "-c", "config.json", "--userdir", "."],
        cwd=folder, env={**os.environ, "COLUMNS": "200", "PYTHONPATH": str(REPOSITORY)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-3000:]
    return " ".join(printed.split())


@pytest.mark.slow
def test_freqtrade_itself_finds_no_bias_and_no_variance(freqtrade: str, tmp_path: Path) -> None:
    span = ("--timerange", "20260705-20260830")
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "regime_range.py").write_text(STRATEGY, "utf-8")
    with exchange(to_ms("2026-09-01T00:00:00Z")) as (_, url):
        config = json.loads(CONFIG.replace("http://127.0.0.1:8765", url))
        (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
        run(freqtrade, tmp_path, "download-data", "-t", "15m", "1h", "--timerange", "20260401-20260831")
        traded = run(freqtrade, tmp_path, "backtesting", "--strategy", "RegimeRange", *span)
        looked = run(freqtrade, tmp_path, "lookahead-analysis", "--strategy", "RegimeRange", *span)
        counts = [str(count) for count in (400, startup_candles() + 6, 1_300)]
        wanted = ("--startup-candle", *counts, "--timerange", "20260810-20260815", "-p", "ETH/USDT")
        reached = run(freqtrade, tmp_path, "recursive-analysis", "--strategy", "RegimeRange", *wanted)

    assert re.search(r"│ RegimeRange │ [1-9]\d* │", traded), traded[-2000:]
    assert re.search(r"│ RegimeRange │ No │ \d+ │ 0 │ 0 │ │", looked), looked[-2000:]
    assert "No lookahead bias on indicators found" in reached
    variances = re.findall(r"│ regime_\w+ │ ([^│]+) │ ([^│]+) │ ([^│]+) │", reached)
    assert variances
    assert {each[1:] for each in variances} == {("-", "-")}
