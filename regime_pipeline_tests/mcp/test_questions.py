"""The four example questions of the storage strategy, over both transports, checked against the tables themselves.

Expected values are computed here from plain SQL rows, by loops that share nothing with the package.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import psycopg
import pytest

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.mcp.fixtures import BTC, QUARTERS, Agent

pytestmark = pytest.mark.postgres
HOUR_S = 3600
_BARS = """
SELECT extract(epoch FROM r.open_time)::bigint, r.simplified_regime, r.confidence::float8, c.close
FROM market_regimes r JOIN market_candles c USING (symbol, timeframe, open_time)
WHERE r.symbol = %s AND r.timeframe = %s AND r.open_time >= %s AND r.open_time < %s ORDER BY 1"""
IN_2024 = {"start": "2024-01-01T00:00:00Z", "end": "2025-01-01T00:00:00Z"}
ASKED: dict[str, Any] = {"symbol": "BTC-USDT", "timeframe": "1h", **IN_2024}


class Bar(NamedTuple):
    """A row of the tables; time in seconds."""

    time: int
    regime: str
    confidence: float
    close: float


@pytest.fixture(scope="module")
def bars(library: Workspace) -> list[Bar]:
    """The hours of 2024."""
    return bars_of(library, BTC)


def bars_of(library: Workspace, market: Market) -> list[Bar]:
    """A market's candles of 2024, nearly all of them."""
    with psycopg.connect(library.warehouse.url) as connection:
        rows = connection.execute(_BARS, (market.symbol, market.timeframe, *IN_2024.values())).fetchall()
    assert len(rows) > 0.99 * 366 * 24 * 3_600_000 // market.step_ms
    return [Bar(*row) for row in rows]


def runs(bars: list[Bar], step: int = HOUR_S) -> Iterator[list[Bar]]:
    """Unbroken runs of one regime."""
    numbered = enumerate(bars)
    for _, run in groupby(numbered, key=lambda pair: (pair[1].regime, pair[1].time // step - pair[0])):
        yield [bar for _, bar in run]


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_show_me_all_trend_up_periods_for_btc_1h_in_2024(agent: Agent, bars: list[Bar]) -> None:
    expected = [
        (iso(run[0].time), iso(run[-1].time + HOUR_S), len(run), statistics.fmean(bar.confidence for bar in run))
        for run in runs(bars)
        if run[0].regime == "TREND_UP"
    ]

    found = agent.every_row("find_periods", **ASKED, regime="TREND_UP")

    assert len(expected) > 60
    assert [(row["start"], row["end"], row["candles"]) for row in found] == [row[:3] for row in expected]
    assert [row["mean_confidence"] for row in found] == pytest.approx([row[3] for row in expected])
    assert {row["regime"] for row in found} == {"TREND_UP"}
    assert all(row["hours"] == row["candles"] for row in found)


def test_compare_range_and_trend_performance(agent: Agent, bars: list[Bar]) -> None:
    returns: dict[str, list[float]] = {}
    for bar, after in pairwise(bars):
        if after.time - bar.time == HOUR_S:
            returns.setdefault(bar.regime, []).append(math.log(after.close / bar.close))
    lengths = {name: [len(run) for run in runs(bars) if run[0].regime == name] for name in returns}

    found = agent.ask("regime_performance", **ASKED)["regimes"]

    for name in ("RANGE", "TREND_UP", "TREND_DOWN"):
        values, after = returns[name], found[name]["bar_after"]
        assert after["bars"] == len(values)
        assert after["mean_return_bps"] == pytest.approx(statistics.fmean(values) * 1e4)
        assert after["volatility_bps"] == pytest.approx(statistics.stdev(values) * 1e4)
        assert after["share_up"] == pytest.approx(sum(value > 0 for value in values) / len(values))
        assert after["total_return_pct"] == pytest.approx((math.exp(math.fsum(values)) - 1) * 100)
        assert found[name]["periods"] == len(lengths[name])
        assert found[name]["mean_hours"] == pytest.approx(statistics.fmean(lengths[name]))
        assert found[name]["share"] == pytest.approx(sum(lengths[name]) / len(bars))


def test_find_the_transitions_from_choppy_to_trend_up(agent: Agent, library: Workspace) -> None:
    step = HOUR_S // 4
    changes = [
        (before, after)
        for before, after in pairwise(runs(bars_of(library, QUARTERS), step))
        if after[0].time - before[-1].time == step
    ]
    expected = [
        {
            "time": iso(after[0].time),
            "from": "CHOPPY",
            "to": "TREND_UP",
            "candles_before": len(before),
            "candles_after": len(after),
        }
        for before, after in changes
        if (before[0].regime, after[0].regime) == ("CHOPPY", "TREND_UP")
    ]
    out_of_choppy = Counter(after[0].regime for before, after in changes if before[0].regime == "CHOPPY")

    asked = {**ASKED, "timeframe": "15m"}
    answer = agent.ask("transition_stats", **asked, from_regime="CHOPPY", to_regime="TREND_UP")

    assert len(expected) > 1
    assert answer["rows"] == expected
    assert answer["counts"] == [
        {
            "from": "CHOPPY",
            "to": "TREND_UP",
            "count": len(expected),
            "share": pytest.approx(len(expected) / out_of_choppy.total()),
        }
    ]


def test_analyse_the_distribution_of_confidence(agent: Agent, bars: list[Bar]) -> None:
    answer = agent.ask("confidence_stats", **ASKED)

    assert set(answer["regimes"]) == {"TREND_UP", "TREND_DOWN", "RANGE", "CHOPPY", "NEUTRAL"}
    for name, found in {**answer["regimes"], "all": answer["all"]}.items():
        values = [bar.confidence for bar in bars if bar.regime == name or (name == "all" and bar.regime != "UNDEFINED")]
        bins = Counter(min(int(value * 10), 9) for value in values)
        assert found["candles"] == len(values)
        assert found["mean"] == pytest.approx(statistics.fmean(values))
        assert found["quartiles"] == pytest.approx(statistics.quantiles(values, n=4, method="inclusive"))
        assert found["histogram"] == [bins[place] for place in range(10)]


def test_why_a_grid_was_stopped_and_what_happened_in_the_last_days(agent: Agent, library: Workspace) -> None:
    """The stop in force with who, when and why; and the events that led to it, oldest first."""
    (stop,) = library.warehouse.grids.stops("BTC-USDT")

    why = agent.ask("compare_grid", symbol="BTC-USDT")["stop"]
    events = agent.every_row("grid_events", symbol="BTC-USDT", start="2025-01-01T00:00:00Z", end="2025-01-10T00:00:00Z")

    assert (why["stop"]["who"], why["stop"]["why"], why["stop"]["cause"]) == (stop.who, stop.why, stop.cause)
    assert "restart gates wait at gate" in why["sentence"]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    stops = [event for event in events if event["kind"] == "Stop"]
    assert [(event["who"], event["why"]) for event in stops] == [("ada", "news")]
    assert {"Grid", "Stop"} <= {event["kind"] for event in events}


def test_where_a_grid_can_be_started_now(agent: Agent) -> None:
    """Rows whose advice is to enable, and none that is stopped."""
    rows = agent.every_row("list_markets")

    assert {row["grid"] for row in rows} <= {"none", "enabled", "disabled", "stopped"}
    assert [row["symbol"] for row in rows if row["action"] == "ENABLE" and row["grid"] == "stopped"] == []
    stopped = [row for row in rows if row["grid"] == "stopped"]
    assert [row["stop_why"] for row in stopped] == ["news"] * len(stopped)
    assert stopped


def test_which_verdicts_a_market_had(agent: Agent, library: Workspace) -> None:
    runs_of_verdicts = agent.every_row(
        "verdict_history", symbol="BTC-USDT", start="2025-01-01T00:00:00Z", end="2025-01-10T00:00:00Z"
    )
    with psycopg.connect(library.warehouse.url) as connection:
        rows = connection.execute(
            "SELECT verdict, confidence FROM market_verdicts WHERE symbol = 'BTC-USDT' AND timeframe = '1h' "
            "AND hour_start >= '2025-01-01T00:00:00Z' ORDER BY hour_start"
        ).fetchall()
    expected = [(verdict, list(run)) for verdict, run in groupby(rows, key=lambda row: row[0])]

    assert [(run["verdict"], run["hours"]) for run in runs_of_verdicts] == [
        (verdict, len(run)) for verdict, run in expected
    ]
    for run, (_, hours) in zip(runs_of_verdicts, expected, strict=True):
        assert run["mean_confidence"] == pytest.approx(statistics.fmean(row[1] for row in hours), abs=5e-4)
