"""Tests of the control endpoint, the weights, real time, and the command that starts the exchange."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.e2e.regime_up import free_port
from regime_pipeline_tests.exchange_simulator.clock import Clock
from regime_pipeline_tests.exchange_simulator.exchange import BAN_S, BANNED_AFTER, Ledger
from regime_pipeline_tests.exchange_simulator.fixtures import NOW, exchange


def test_the_clock_stands_moves_and_runs() -> None:
    with exchange() as (_, url):
        assert httpx.get(f"{url}/control/clock").json() == {"now_ms": NOW}
        assert httpx.put(f"{url}/control/clock", json={"advance_ms": HOUR_MS}).json() == {"now_ms": NOW + HOUR_MS}
        assert httpx.get(f"{url}/api/v3/time").json() == {"serverTime": NOW + HOUR_MS}
        assert httpx.put(f"{url}/control/clock", json={"now_ms": 5}).json() == {"now_ms": 5}
        running = httpx.put(f"{url}/control/clock", json={}).json()["now_ms"]
    assert abs(running - time.time() * 1000) < 60_000
    real = Clock()
    assert abs(real.advance(HOUR_MS) - time.time() * 1000 - HOUR_MS) < 60_000


def test_faults_are_switched_on_listed_and_switched_off() -> None:
    with exchange() as (_, url):
        put = httpx.post(f"{url}/control/faults", json=[{"kind": "unavailable", "times": 2, "path": "klines"}])
        statuses = [httpx.get(f"{url}/api/v3/klines?symbol=ETHUSDT&interval=1h").status_code for _ in range(3)]
        httpx.post(f"{url}/control/faults", json=[{"kind": "slow"}])
        gone = httpx.delete(f"{url}/control/faults").json()
        asked = httpx.get(f"{url}/control/requests").json()

    assert [entry["kind"] for entry in put.json()] == ["unavailable"]
    assert statuses == [503, 503, 200]
    assert gone == []
    assert len(asked) == 3


@pytest.mark.parametrize("body", [b'[{"kind": "nonsense"}]', b"{", b'[{"kind": "slow", "often": 1}]'])
def test_orders_that_are_not_understood_are_refused(body: bytes) -> None:
    with exchange() as (_, url):
        assert httpx.post(f"{url}/control/faults", content=body).status_code == 422


def test_weights_are_reported_then_refused_then_banned() -> None:
    with exchange() as (one, url):
        httpx.put(f"{url}/control/limit", json={"weight_per_minute": 3})
        one.ledger._clock = lambda: 6_000.0  # the minute does not turn within the test
        answers = [httpx.get(f"{url}/api/v3/klines?symbol=ETHUSDT&interval=1h") for _ in range(13)]

    assert [answer.status_code for answer in answers] == [200, *[429] * BANNED_AFTER, 418, 418]
    assert [answers[i].headers.get("retry-after") for i in (0, 1, -2)] == [None, "60", str(BAN_S)]
    assert answers[0].headers["x-mbx-used-weight-1m"] == "2"
    assert answers[1].json()["code"] == -1003


def test_a_ban_ends_and_a_minute_forgives() -> None:
    now = [0.0]
    ledger = Ledger(1, lambda: now[0])
    statuses = [ledger.charge(1)[0] for _ in range(2)]
    now[0] = 60.0
    assert [*statuses, ledger.charge(1)[0]] == [200, 429, 200]
    for _ in range(BANNED_AFTER + 1):
        last = ledger.charge(1)[0]
    now[0] = 60.0 + BAN_S - 1
    assert (last, ledger.charge(1)[0]) == (418, 418)
    now[0] = 60.0 + BAN_S
    assert ledger.charge(1)[0] == 200


def test_the_command_serves_simulated_and_recorded_symbols_until_it_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "candles.csv"
    file.write_text("open_time,open,high,low,close,volume\n1700000040000,5,6,4,5,1\n1700000100000,5,7,5,6,2\n", "utf-8")
    port = free_port()
    options = ["--candles", f"XRP-USDT={file}", "--symbol", "ETH-USDT", "--now", "2023-11-14T22:16:00Z"]
    start = "from regime_pipeline.cli.app import main; main()"
    command = [sys.executable, "-c", start, "exchange-simulator", *options, "--port", str(port)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stderr is not None
        assert "ETH-USDT, XRP-USDT" in child.stderr.readline()
        answer = _patient_get(f"http://127.0.0.1:{port}/api/v3/klines?symbol=XRPUSDT&interval=1m")
    finally:
        child.terminate()
        child.communicate(timeout=20)

    assert [(row[0], row[4], row[5]) for row in answer.json()] == [
        (1_700_000_040_000, "5.00000000", "1.00000000"),
        (1_700_000_100_000, "6.00000000", "2.00000000"),
    ]


def _patient_get(url: str) -> httpx.Response:
    for _ in range(200):
        try:
            return httpx.get(url)
        except httpx.ConnectError:
            time.sleep(0.1)
    raise AssertionError("the exchange did not start")


def test_an_option_without_a_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert regime(monkeypatch, "exchange-simulator", "--candles", "XRP-USDT") == 2
    assert "'XRP-USDT' names no file" in capsys.readouterr().err
