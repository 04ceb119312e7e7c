"""Tests of `services.verdict_series`: stored where it holds, computed from stored candles where not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.verdicts.explanation import competing
from regime_pipeline.services.chain.stages import STAGES
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import verdict_factors
from regime_pipeline.services.queries.verdicts import newest_hour, verdict_of_hour, verdict_series
from regime_pipeline_tests.factories import hours_from_start, run_stages, simulated_workspace
from regime_pipeline_tests.served_home import BTC, ETH, HOURS, WINDOW, hour, other_policy, with_other_policy


@pytest.fixture(scope="module")
def ws(served: Workspace) -> Workspace:
    return served


@pytest.mark.parametrize("market", [ETH, BTC])
def test_stored_rows_are_the_tables(ws: Workspace, market: Market) -> None:
    found = verdict_series(ws, market, WINDOW)
    table = ws.warehouse.read_frame("regime_verdicts", market, WINDOW)
    scores = ws.warehouse.read_frame("scores", market, WINDOW)

    assert found.source == "stored"
    for name in ("hour_start", "as_of_bar", "verdict", "confidence"):
        assert found.frame[name].tolist() == table[name].tolist(), name
    factors = verdict_factors(ws, market, WINDOW)
    assert found.frame["factors"].tolist() == [[factor.document() for factor in hour] for hour in factors]
    rows = ws.warehouse.read_range("regime_verdicts", market, WINDOW)
    assert found.frame["competing"].tolist() == competing(rows)
    np.testing.assert_array_equal(found.frame["trend_score"], scores["trend_score"])


def test_another_policy_computes_what_a_build_with_it_would_store(
    ws: Workspace, database_url: str, tmp_path: Path
) -> None:
    part = Window(hour(350), hour(400))
    found = verdict_series(with_other_policy(ws), ETH, part)
    with simulated_workspace(database_url, tmp_path, [ETH], policy=other_policy()) as built:
        run_stages(built, ETH, [WINDOW])
        stored = verdict_series(built, ETH, part)

    assert (found.source, stored.source) == ("computed", "stored")
    pd.testing.assert_frame_equal(found.frame, stored.frame)
    assert set(found.frame["policy_hash"]).isdisjoint(verdict_series(ws, ETH, part).frame["policy_hash"])


def test_hours_without_a_verdict_are_computed_beside_the_stored_ones(database_url: str, tmp_path: Path) -> None:
    with simulated_workspace(database_url, tmp_path, [ETH]) as ws:
        run_stages(ws, ETH, [hours_from_start(0, 400)])
        whole = verdict_series(ws, ETH, hours_from_start(0, 403)).frame
        for stage in STAGES[:1]:
            stage.run(ws, ws.start_run(""), ETH, hours_from_start(400, 403))  # candles alone
        mixed = verdict_series(ws, ETH, hours_from_start(0, 403))
        run_stages(ws, ETH, [hours_from_start(400, 403)])
        after = verdict_series(ws, ETH, hours_from_start(0, 403))

    assert len(whole) == 400
    assert (mixed.source, after.source) == ("mixed", "stored")
    pd.testing.assert_frame_equal(mixed.frame, after.frame)


def test_the_newest_hour_and_one_hour(ws: Workspace) -> None:
    assert newest_hour(ws, ETH) == hour(HOURS - 1)
    row, source = verdict_of_hour(ws, ETH, hour(300))
    assert source == "stored"
    assert row["hour_start"] == pd.Timestamp(hour(300), unit="ms", tz="UTC")
    with pytest.raises(MissingDataError, match="no candles of ETH-USDT_1h for the hour"):
        verdict_of_hour(ws, ETH, hour(HOURS) + 5 * HOUR_MS)
    with pytest.raises(MissingDataError, match="has no hours yet"):
        newest_hour(ws, Market("DOGE-USDT", "1h"))
