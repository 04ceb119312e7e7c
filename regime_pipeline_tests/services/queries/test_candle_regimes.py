"""Tests of `services.regimes`: stored where it holds, computed where not, never a mixture of two moments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import regime_pipeline as rp
from regime_pipeline.domain.candle_regimes.classifier import classify
from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED, SIMPLIFIED_OF_STATE
from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.candle_regimes import (
    RegimeSeries,
    confidence_stats,
    regime_performance,
    regime_periods,
    regime_series,
    regime_stats,
    transition_events,
    transition_shares,
)
from regime_pipeline.storage import bulk_reads
from regime_pipeline_tests.factories import NOW, hours_from_start, run_stages, simulated_workspace
from regime_pipeline_tests.served_home import BTC, ETH, HOURS, hour, with_other_policy


@pytest.fixture(scope="module")
def ws(served: Workspace) -> Workspace:
    return served


def series(ws: Workspace, market: Market = ETH, *span: int, **options: int) -> RegimeSeries:
    return regime_series(ws, market, *span, **options)


def candles_frame(ws: Workspace, market: Market) -> pd.DataFrame:
    found = ws.warehouse.read_candles(market, 0, NOW)
    frame = pd.DataFrame({name: found.prices(name) for name in ("open", "high", "low", "close")})
    frame.insert(0, "open_time", pd.to_datetime(found.open_time_ms, unit="ms", utc=True))
    return frame.assign(volume=found.volume)


@pytest.mark.parametrize("market", [ETH, BTC])
def test_stored_computed_and_python_say_the_same(ws: Workspace, market: Market) -> None:
    stored = series(ws, market)
    python = rp.classify_candles(candles_frame(ws, market), market.timeframe)
    later = with_other_policy(ws)
    computed = series(later, market)
    fresh = classify(ws.warehouse.read_candles(market, 0, NOW), later.policy.candle_regime)

    assert (stored.source, computed.source) == ("stored", "computed")
    assert [SIMPLIFIED[c] for c in _codes(stored)] == python["simplified_regime"].tolist()
    np.testing.assert_array_equal(stored.regimes.confidence, python["confidence"].astype(np.float32))
    np.testing.assert_array_equal(computed.regimes.state, fresh.state)
    np.testing.assert_array_equal(computed.regimes.confidence.astype(np.float32), fresh.confidence.astype(np.float32))
    assert (computed.regimes.state != stored.regimes.state).any()


def _codes(found: RegimeSeries) -> list[int]:
    return [int(code) for code in SIMPLIFIED_OF_STATE[found.regimes.state]]


@pytest.mark.parametrize("is_stored", [True, False])
def test_any_span_and_limit_is_a_piece_of_the_whole(ws: Workspace, is_stored: bool) -> None:
    seen = ws if is_stored else with_other_policy(ws)
    whole = series(seen)
    for start, end, limit in ((0, NOW, 7), (hour(30), hour(60), 1000), (hour(30), hour(60), 5), (hour(0), hour(9), 2)):
        piece = series(seen, ETH, start, end, limit=limit)
        times = whole.regimes.open_time_ms
        rows = np.flatnonzero((times >= start) & (times < end))[-limit:]
        np.testing.assert_array_equal(piece.regimes.open_time_ms, times[rows])
        np.testing.assert_array_equal(piece.regimes.state, whole.regimes.state[rows])
        np.testing.assert_array_equal(piece.regimes.confidence, whole.regimes.confidence[rows])
    for start, end in ((hour(HOURS + 5), NOW), (0, hour(-5)), (hour(50), hour(50) + 1)):
        assert len(series(seen, ETH, start, end).regimes) == (1 if start == hour(50) else 0)


def test_a_mark_holds_until_something_that_counts_is_written(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, [ETH, BTC]) as ws:
        run_stages(ws, ETH, [hours_from_start(0, 300)])

        def holds(found: RegimeSeries) -> bool:
            return ws.warehouse.are_regimes_as_marked([(ETH, found.mark)])[0]

        whole, early, newest = series(ws), series(ws, ETH, 0, hour(20)), series(ws, limit=5)
        run_stages(ws, BTC, [hours_from_start(0, 30)])
        ws.start_run("")
        assert all(map(holds, (whole, early, newest)))
        run_stages(ws, ETH, [hours_from_start(200, 302)])  # two hours more
        assert [holds(found) for found in (whole, early, newest)] == [False, True, False]
        assert len(series(ws).regimes) == len(whole.regimes) + 2

        whole = series(ws)
        rows = ws.warehouse.read_range("candle_regime", ETH, hours_from_start(0, 302))
        ws.warehouse.replace_range("candle_regime", ETH, hours_from_start(0, 302), rows, ws.start_run("other"))
        assert not holds(whole)  # the same rows under another configuration
        whole = series(ws)
        reach = {"candle_regime": 3 * HOUR_MS}
        _restate(ws, ETH, hour(230), ws.start_run(""), reach)
        assert not holds(whole)
        whole = series(ws)
        ws.warehouse.clear_stale("candle_regime", ETH, hours_from_start(0, 302), ws.start_run(""))
        assert not holds(whole)


def _restate(ws: Workspace, market: Market, open_ms: int, run: int, reach: dict[str, int]) -> Candles:
    """Double the high of one candle of the first 302 hours."""
    candles = ws.warehouse.read_candles(market, 0, NOW)
    restated = replace(candles, high=np.where(candles.open_time_ms == open_ms, candles.high * 2, candles.high))
    first, last = int(candles.open_time_ms[0]), int(candles.close_time_ms[-1])
    window = Window(first, last)
    hours = ws.warehouse.read_range("candle_hours", market, window)
    ws.warehouse.replace_candles(market, window, restated, hours, run, reach)
    return restated


def test_bars_without_a_row_or_with_a_stale_one_are_computed(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, [ETH]) as ws:
        window = hours_from_start(0, 300)
        run_stages(ws, ETH, [window])
        whole = series(ws)
        half = Window(window.start_ms, hour(250))
        rows = ws.warehouse.read_range("candle_regime", ETH, half)
        run = ws.start_run(ws.policy.candle_regime.hash)
        ws.warehouse.replace_range("candle_regime", ETH, window, rows, run)  # fifty hours lost
        mixed = series(ws)
        restated = _restate(ws, ETH, hour(230), ws.start_run(""), {"candle_regime": 30 * HOUR_MS})
        after = series(ws)

    assert mixed.source == "mixed"
    np.testing.assert_array_equal(mixed.regimes.state, whole.regimes.state)
    assert after.source == "mixed"
    fresh = classify(restated, ws.policy.candle_regime)
    marked = (fresh.open_time_ms >= hour(230)) & (fresh.open_time_ms < hour(260))
    np.testing.assert_array_equal(after.regimes.state[marked], fresh.state[marked])
    assert (after.regimes.confidence != whole.regimes.confidence)[marked].any()


def test_what_is_written_between_two_looks_is_read_again(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first statement finds rows of another policy; before the candles are read, the wanted ones are written."""
    with simulated_workspace(database_url, tmp_path, [ETH]) as ws:
        window = hours_from_start(0, 300)
        run_stages(ws, ETH, [window])
        later, reads = with_other_policy(ws), []
        real = bulk_reads.stored_regimes

        def read_then_write(*given: Any) -> Any:
            found = real(*given)
            reads.append(found.is_current.any())
            run_stages(later, ETH, [window])
            return found

        monkeypatch.setattr(bulk_reads, "stored_regimes", read_then_write)
        found = series(later)
        candles = ws.warehouse.read_candles(ETH, 0, NOW)

    assert reads == [False]
    assert found.source == "stored"
    np.testing.assert_array_equal(found.regimes.state, classify(candles, later.policy.candle_regime).state)


def test_an_unknown_market_is_an_error_and_one_without_candles_is_empty(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, []) as ws:
        _check_empty(ws)


def _check_empty(ws: Workspace) -> None:
    with pytest.raises(MissingDataError, match="DOGE-USDT_1h is not stored"):
        regime_series(ws, Market("DOGE-USDT", "1h"))
    ws.warehouse.series_id(Market("NONE-USDT", "1h"), venue="test", price_scale=100)
    empty = series(ws, Market("NONE-USDT", "1h"))

    assert regime_stats(empty)["candles"] == 0
    assert regime_stats(empty)["regimes"]["RANGE"] == {
        "candles": 0, "share": 0.0, "mean_confidence": None, "periods": 0, "mean_hours": None,
        "longest_hours": None, "color": "#3b82f6",
    }  # fmt: skip
    assert transition_events(empty) == []
    assert confidence_stats(empty)["all"]["mean"] is None
    assert regime_performance(ws, empty)["regimes"] == {}


def test_statistics_are_those_of_a_plain_count(ws: Workspace) -> None:
    found = series(ws)
    frame = rp.classify_candles(candles_frame(ws, ETH), "1h")
    stats = regime_stats(found)

    shares = frame["simplified_regime"].value_counts()
    for name in SIMPLIFIED:
        row = stats["regimes"][name]
        assert row["candles"] == int(shares.get(name, 0))
        mine = frame["confidence"][frame["simplified_regime"] == name]
        if row["candles"]:
            assert row["mean_confidence"] == pytest.approx(float(mine.mean()), abs=1e-7)
    assert sum(row["share"] for row in stats["regimes"].values()) == pytest.approx(1)
    assert stats["candles"] == len(frame)
    runs = (frame["simplified_regime"] != frame["simplified_regime"].shift()).cumsum()
    sizes = frame.groupby(runs.to_numpy())["simplified_regime"].agg(["first", "size"])
    for name in SIMPLIFIED:
        periods = regime_periods(found, name)
        assert periods.candles.tolist() == sizes["size"][sizes["first"] == name].tolist()
        assert stats["regimes"][name]["periods"] == len(periods.candles)
    everything = regime_periods(found)
    events, counts = transition_events(found), transition_shares(found)["transitions"]
    assert len(events) == len(everything.candles) - 1 == sum(row["count"] for row in counts)
    for row in counts:
        assert len(transition_events(found, row["from"], row["to"])) == row["count"]
        assert row["share"] == pytest.approx(row["count"] / len(transition_events(found, row["from"])))
    defined = frame["confidence"][frame["simplified_regime"] != "UNDEFINED"]
    spread = confidence_stats(found)["all"]
    assert spread["candles"] == len(defined) == sum(spread["histogram"])
    assert spread["quartiles"] == pytest.approx(np.quantile(defined, [0.25, 0.5, 0.75]).tolist(), abs=1e-6)


def test_performance_is_of_the_bar_after(ws: Workspace) -> None:
    frame = rp.classify_candles(candles_frame(ws, ETH), "1h")
    closes = candles_frame(ws, ETH)["close"]
    following = np.log(closes.shift(-1) / closes)
    found = regime_performance(ws, series(ws))["regimes"]

    for name in SIMPLIFIED:
        returns = following[(frame["simplified_regime"] == name).to_numpy()].dropna()
        assert found[name]["bars"] == len(returns)
        if len(returns) > 1:
            assert found[name]["mean_return_bps"] == pytest.approx(returns.mean() * 1e4)
            assert found[name]["volatility_bps"] == pytest.approx(returns.std() * 1e4)
            assert found[name]["share_up"] == pytest.approx(float((returns > 0).mean()))
            assert found[name]["total_return_pct"] == pytest.approx((np.exp(returns.sum()) - 1) * 100)
