"""Tests of `services.regime_storage`: what the seed asked for, on the pipeline's own table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import psycopg
import pytest
from fastapi.testclient import TestClient

import regime_pipeline as rp
from regime_pipeline.api.app import create_app
from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.mcp.tools import call_tool
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.queries.candle_regimes import regime_series
from regime_pipeline.storage.admin import migrate
from regime_pipeline_tests.factories import hours_from_start, run_stages, simulated_workspace
from regime_pipeline_tests.python_api.factories import candles, frame_of

COLUMNS = [
    "open_time", "known_at", "trend_state", "volatility_state", "momentum_state", "full_regime", "simplified_regime",
    "confidence",
]  # fmt: skip


@pytest.fixture
def regimes() -> pd.DataFrame:
    return rp.classify_candles(frame_of(candles(400)))


def test_rows_come_back_as_they_went_in(database_url: str, regimes: pd.DataFrame) -> None:
    migrate.upgrade(database_url)
    with rp.RegimeStorage(database_url) as storage:
        assert storage.insert_regimes(regimes.sample(frac=1, random_state=1), "ETHUSDT", "1h") == 400
        found = storage.get_regimes("ETH-USDT", "1h")
        some = storage.get_regimes("ETH-USDT", "1h", regimes["open_time"][10], regimes["open_time"][20].isoformat())
        stats = storage.get_regime_stats("ETH-USDT", "1h")
        periods = storage._warehouse._pool.query(lambda c: c.execute("SELECT sum(n) FROM regime_period").fetchone())

        assert list(found) == COLUMNS
        for name in COLUMNS[:-1]:
            assert found[name].tolist() == regimes[name].tolist(), name
        np.testing.assert_array_equal(found["confidence"], regimes["confidence"].astype(np.float32))
        assert some["open_time"].tolist() == regimes["open_time"][10:20].tolist()
        assert {name: row["candles"] for name, row in stats["regimes"].items() if row["candles"]} == dict(
            regimes["simplified_regime"].value_counts()[lambda counts: counts > 0]
        )
        assert periods == (400,)

        assert storage.delete_regimes("ETH-USDT", "1h") == 400
        periods = storage._warehouse._pool.query(lambda c: c.execute("SELECT count(*) FROM regime_period").fetchone())
        assert periods == (0,)
        assert len(storage.get_regimes("ETH-USDT", "1h")) == 0
        assert storage.delete_regimes("ETH-USDT", "1h") == 0
        with pytest.raises(MissingDataError, match="No regime of ETH-USDT_1h"):
            storage.get_regime_stats("ETH-USDT", "1h")
        assert storage.insert_regimes(regimes[:0], "ETH-USDT", "1h") == 0


def test_inserting_replaces_the_same_bars_and_keeps_the_others(database_url: str, regimes: pd.DataFrame) -> None:
    migrate.upgrade(database_url)
    changed = regimes[100:103].assign(full_regime="NEUTRAL_LOWVOL_WEAK", confidence=0.5)
    with rp.RegimeStorage(database_url) as storage:
        storage.insert_regimes(regimes[:200], "ETH-USDT", "1h")
        storage.insert_regimes(regimes[300:], "ETH-USDT", "1h")
        storage.insert_regimes(changed, "ETH-USDT", "1h")
        found = storage.get_regimes("ETH-USDT", "1h")

    assert len(found) == 300
    assert found["simplified_regime"][100:103].tolist() == ["RANGE"] * 3
    expected = pd.concat([regimes[:100], regimes[103:200], regimes[300:]])
    others = found.drop(index=[100, 101, 102])
    assert others["full_regime"].tolist() == expected["full_regime"].tolist()


def test_rows_of_the_current_policy_are_trusted_and_others_are_not(database_url: str, tmp_path: Path) -> None:
    market = Market("ALFA-USDT", "1h")
    with simulated_workspace(database_url, tmp_path, [market]) as ws, rp.RegimeStorage(database_url) as storage:
        run_stages(ws, market, [hours_from_start(0, 240)])
        mine = storage.get_regimes("ALFA-USDT", "1h")
        sources = []
        for policy_hash in ("", ws.policy.candle_regime.hash):
            storage.insert_regimes(mine.assign(confidence=0.25), "ALFA-USDT", "1h", policy_hash)
            found = regime_series(ws, market)
            sources.append((found.source, bool((found.regimes.confidence == 0.25).all())))

    assert sources == [("computed", False), ("stored", True)]


def test_the_plain_call_is_seen_by_every_face(database_url: str, tmp_path: Path, regimes: pd.DataFrame) -> None:
    """`insert_regimes(df, symbol, timeframe)` of a market without candles: storage, HTTP and MCP tell the same."""
    alfa = Market("ALFA-USDT", "1h")
    with simulated_workspace(database_url, tmp_path, [alfa]) as ws, rp.RegimeStorage(database_url) as storage:
        assert storage.insert_regimes(regimes, "DOGE-USDT", "1h") == 400
        frame = storage.get_regimes("DOGE-USDT", "1h")
        stats = storage.get_regime_stats("DOGE-USDT", "1h")
        with TestClient(create_app(ws), base_url="http://localhost") as client:
            served = client.get("/api/data/regime/DOGE-USDT/1h?limit=1000")
            newest = client.get("/api/data/regime/DOGE-USDT/1h?limit=7").json()
            http = client.get("/api/data/regime/DOGE-USDT/1h/stats").json()
        told = confidence_by_mcp(ws, "DOGE-USDT")

    assert served.headers["X-Regime-Source"] == "stored"
    assert [row["full_regime"] for row in served.json()] == frame["full_regime"].tolist()
    assert newest == served.json()[-7:]
    assert http["candles"] == stats["candles"] == told["candles"] == 400
    assert http["regimes"] == stats["regimes"]
    assert told["source"] == "stored"


def confidence_by_mcp(ws: Workspace, symbol: str) -> dict[str, Any]:
    return dict(orjson.loads(call_tool(ws, "confidence_stats", {"symbol": symbol, "timeframe": "1h"})))


def test_rows_of_another_policy_without_candles_are_seen_by_the_storage_alone(
    database_url: str, tmp_path: Path, regimes: pd.DataFrame
) -> None:
    doge = Market("DOGE-USDT", "1h")
    with simulated_workspace(database_url, tmp_path, [doge]) as ws, rp.RegimeStorage(database_url) as storage:
        storage.insert_regimes(regimes[:200], "DOGE-USDT", "1h", policy_hash="")
        storage.insert_regimes(regimes[300:], "DOGE-USDT", "1h")
        found = regime_series(ws, doge)
        assert len(storage.get_regimes("DOGE-USDT", "1h")) == 300
        assert (len(found.regimes), found.source) == (100, "stored")


def test_created_at_is_the_moment_of_each_write(database_url: str, regimes: pd.DataFrame) -> None:
    migrate.upgrade(database_url)
    asked = "SELECT count(*), count(DISTINCT created_at), bool_and(created_at <= now()) FROM market_regimes"
    with rp.RegimeStorage(database_url) as storage:
        warehouse = storage._warehouse
        warehouse.series_id(Market("ETH-USDT", "1h"), venue="inserted", price_scale=100)
        run_id = warehouse.start_run("x", "x")
        storage.insert_regimes(regimes[:100], "ETH-USDT", "1h")
        storage.insert_regimes(regimes[200:], "ETH-USDT", "1h")
        with psycopg.connect(database_url) as connection:
            assert connection.execute(asked).fetchone() == (300, 2, True)
            before = connection.execute("SELECT min(created_at) FROM market_regimes").fetchone()
            started = connection.execute("SELECT started_at FROM runs WHERE run_id = %s", (run_id,)).fetchone()
        storage.insert_regimes(regimes[:100], "ETH-USDT", "1h")
        with psycopg.connect(database_url) as connection:  # what is unchanged is not written again
            assert connection.execute("SELECT min(created_at) FROM market_regimes").fetchone() == before
            assert before is not None
            assert started is not None
            assert before[0] > started[0]
            connection.execute("UPDATE candle_regime SET written_at = NULL")
            whole = connection.execute("SELECT count(created_at) FROM market_regimes").fetchone()
    assert whole == (300,)  # rows of before the column: their run's start


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: f.drop(columns="confidence"), "no column confidence"),
        (lambda f: f.assign(open_time=f["open_time"].dt.tz_localize(None)), "naive"),
        (lambda f: f.assign(confidence=1.5), "not in 0..1"),
        (lambda f: f.assign(full_regime="SIDEWAYS"), "'SIDEWAYS' is not a regime"),
        (lambda f: pd.concat([f, f[:1]]), "twice"),
    ],
)
def test_unsound_frames_are_refused_whole(database_url: str, regimes: pd.DataFrame, change: object, match: str) -> None:
    migrate.upgrade(database_url)
    with rp.RegimeStorage(database_url) as storage:
        with pytest.raises(UsageError, match=match):
            storage.insert_regimes(change(regimes), "ETH-USDT", "1h")  # type: ignore[operator]
        assert len(storage.get_regimes("ETH-USDT", "1h")) == 0
