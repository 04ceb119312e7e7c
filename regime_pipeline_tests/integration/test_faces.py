"""Every face says the same of the same rows: table, Python, HTTP, command line and MCP tools."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

import regime_pipeline as rp
from regime_pipeline.api.app import create_app
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.domain.verdicts.explanation import competing
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.explanations import verdict_factors
from regime_pipeline.services.queries.json_records import records
from regime_pipeline.services.queries.rounding import UNIT_DECIMALS, rounded
from regime_pipeline.storage.snapshots.reader import SnapshotReader
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.mcp.fixtures import Desk
from regime_pipeline_tests.served_home import END, ETH, WINDOW, hour

HOURS = (5, 318, 333, 371, 419)
"""One with too little data, and the last."""
VERDICT = ("known_at", "verdict", "confidence", "competing", "factors", "policy_hash")
BASE = "/api/data/regime/ETH-USDT/1h"


@pytest.mark.parametrize("number", HOURS)
def test_the_verdict_of_an_hour(
    served: Workspace, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    time = to_iso(hour(number))
    window = Window.hour(hour(number))
    (table,) = records(served.warehouse.read_frame("regime_verdicts", ETH, window))
    (factors,) = verdict_factors(served, ETH, window)
    rows = served.warehouse.read_range("regime_verdicts", ETH, window)
    table |= {"competing": competing(rows)[0], "factors": [factor.document() for factor in factors]}
    snapshots = SnapshotReader(served.snapshots)
    python = rp.RegimeAnalysisService(snapshots).analyze_timestamp("ETH-USDT", time)
    with TestClient(create_app(served), base_url="http://localhost") as client:
        http = client.get(f"/api/verdicts/ETH-USDT/1h/{time}/explain").json()
    options = ("--snapshots", served.snapshots.root, "--format", "json")
    assert regime(monkeypatch, "analyze", "ETH-USDT", time, *options) == 0
    command_line = json.loads(capsys.readouterr().out)
    mcp = Desk(served).ask("explain_verdict", symbol="ETH-USDT", timeframe="1h", time=time)

    (from_python,) = records(python.to_frame().T.infer_objects())
    sent = {name: rounded(name, value).item() if isinstance(value, float) else value for name, value in table.items()}
    for face, said in ((from_python, table), (http, sent), (command_line, table), (mcp, table)):
        assert {name: face[name] for name in VERDICT} == {name: said[name] for name in VERDICT}
        assert {name: face[name] for name in said if name in face} == {
            name: value for name, value in said.items() if name in face
        }


def test_the_regime_of_every_candle(served: Workspace) -> None:
    table = served.warehouse.read_frame("candle_regime", ETH, WINDOW)
    candles = served.warehouse.read_frame("candles", ETH, WINDOW)
    with rp.RegimeStorage(served.warehouse.url) as storage:
        stored = storage.get_regimes("ETH-USDT", "1h", end_date=to_iso(END))
    python = rp.classify_candles(candles, "1h")
    with TestClient(create_app(served), base_url="http://localhost") as client:
        http = pd.DataFrame(client.get(BASE, params={"limit": 20_000}).json())
        stats = client.get(f"{BASE}/stats").json()
    periods = list(Desk(served).every_row("find_periods", symbol="ETH-USDT", timeframe="1h"))

    assert len(table) == len(candles) == len(http)
    for name in ("full_regime", "trend_state", "volatility_state", "momentum_state"):
        expected = table[name].astype(str).tolist()
        assert [frame[name].astype(str).tolist() for frame in (stored, python, http)] == [expected] * 3
    for frame in (stored, python):
        np.testing.assert_array_equal(frame["confidence"].astype(np.float32), table["confidence"].astype(np.float32))
    assert http["confidence"].tolist() == table["confidence"].astype(float).round(UNIT_DECIMALS).tolist()
    times = table["open_time"].astype("datetime64[s, UTC]")
    assert http["time"].tolist() == times.astype(np.int64).tolist()
    assert _spread(periods) == stored["simplified_regime"].astype(str).tolist()
    assert {name: row["candles"] for name, row in stats["regimes"].items() if row["candles"]} == (
        stored["simplified_regime"].astype(str).value_counts().to_dict()
    )


def _spread(periods: list[dict[str, Any]]) -> list[str]:
    """The regime of each candle of periods in a row."""
    return [period["regime"] for period in periods for _ in range(period["candles"])]
