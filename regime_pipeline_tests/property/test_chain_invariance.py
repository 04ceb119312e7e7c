"""The chain gives the same bytes however its hours are cut into runs, and however early its history starts."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline_tests.conftest import fresh_database
from regime_pipeline_tests.factories import assert_same_bytes, dump, hours_from_start, run_stages, simulated_workspace

pytestmark = pytest.mark.slow

TIMEFRAMES = ("1m", "3m", "15m", "30m", "1h", "2h", "4h")
HOURS = 400


@pytest.fixture(scope="module")
def whole(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Every timeframe's tables, made in one run each."""
    made = {}
    for timeframe in TIMEFRAMES:
        market = Market("ALFA-USDT", timeframe)
        with (
            fresh_database(postgres_url) as url,
            simulated_workspace(url, tmp_path_factory.mktemp(timeframe), [market]) as ws,
        ):
            run_stages(ws, market, [hours_from_start(0, HOURS)])
            made[timeframe] = dump(ws, market, hours_from_start(0, HOURS))
    return made


def cut(points: list[int]) -> list[Window]:
    """Windows between the cuts, in order, from hour 0 to the last."""
    edges = sorted({0, *points, HOURS})
    return [hours_from_start(first, last) for first, last in pairwise(edges)]


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_the_whole_range_reaches_real_verdicts(timeframe: str, whole: dict) -> None:
    """Otherwise the comparisons below would compare nothing but warm-up."""
    verdicts = whole[timeframe]["regime_verdicts"]["verdict"]
    is_too_short = timeframe in ("2h", "4h")  # 317 bars are 27 and 53 days

    assert (verdicts != 0).any() != is_too_short
    assert (whole[timeframe]["candle_regime"]["state"] != 0).any() == (timeframe != "4h")


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=st.lists(st.integers(1, HOURS - 1), max_size=8), singles=st.integers(0, HOURS - 12))
def test_a_range_run_equals_any_cut_into_runs(
    timeframe: str, points: list[int], singles: int, whole: dict, postgres_url: str, tmp_path_factory
) -> None:
    """Ten single hours somewhere, any other cuts elsewhere: byte for byte the tables of one range run."""
    market = Market("ALFA-USDT", timeframe)
    folder: Path = tmp_path_factory.mktemp("cut")

    with fresh_database(postgres_url) as url, simulated_workspace(url, folder, [market]) as ws:
        run_stages(ws, market, cut([*points, *range(singles, singles + 11)]))

        assert_same_bytes(dump(ws, market, hours_from_start(0, HOURS)), whole[timeframe])


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_a_second_run_writes_nothing(timeframe: str, postgres_url: str, tmp_path: Path) -> None:
    market, window = Market("BRAVO-USDT", timeframe), hours_from_start(0, 200)
    with fresh_database(postgres_url) as url, simulated_workspace(url, tmp_path, [market]) as ws:
        first = run_stages(ws, market, [window])
        files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
        runs = {table: ws.warehouse.ledger(table, market, window).runs.tolist() for table in ("features", "scores")}

        second = run_stages(ws, market, [window])

        assert all(report.written == 200 for report in first)
        assert all((report.written, report.unchanged) == (0, 200) for report in second)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == files
        for table, before in runs.items():
            assert ws.warehouse.ledger(table, market, window).runs.tolist() == before


@pytest.mark.parametrize(("timeframe", "later"), [("15m", 40), ("1h", 48)])
def test_history_that_starts_later_gives_the_same_rows(
    timeframe: str, later: int, postgres_url: str, tmp_path_factory
) -> None:
    """Once the longest memory is filled (1,024 bars; 168 bars and 720 hours), the start no longer shows."""
    market = Market("CHARLIE-USDT", timeframe)
    memory = max(1024 * market.step_ms, 169 * market.step_ms + 721 * HOUR_MS + 48 * HOUR_MS) // HOUR_MS + 1
    compared = hours_from_start(later + memory, later + memory + 24)
    dumps = []
    for first in (0, later):
        folder = tmp_path_factory.mktemp(f"start{first}")
        with fresh_database(postgres_url) as url, simulated_workspace(url, folder, [market]) as ws:
            run_stages(ws, market, [Window(hours_from_start(first, first).start_ms, compared.end_ms)])
            dumps.append(dump(ws, market, compared))

    assert (dumps[0]["regime_verdicts"]["verdict"] != 0).any()
    assert_same_bytes(*dumps)
