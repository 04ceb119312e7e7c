"""Tests of `regime serve` and `regime keys`: a running server, a key made, used, listed and revoked."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from regime_pipeline.cli.serve import _is_loopback
from regime_pipeline.storage.admin import migrate
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.e2e.regime_up import free_port

MARKETS = """
[partitions]
start = 2026-09-01T00:00:00Z

[[markets]]
symbol = "ALFA-USDT"
timeframes = ["1h"]
source = "simulated"
"""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path) -> dict[str, str]:
    migrate.upgrade(database_url)
    (tmp_path / "markets.toml").write_text(MARKETS, "utf-8")
    monkeypatch.setenv("REGIME_HOME", str(tmp_path))
    monkeypatch.setenv("REGIME_DATABASE_URL", database_url)
    monkeypatch.setenv("REGIME_MARKETS", str(tmp_path / "markets.toml"))
    return dict(os.environ)


def test_a_key_is_made_used_listed_and_revoked(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert regime(monkeypatch, "keys", "create", "my-bot", "--scope", "write") == 0
    key = capsys.readouterr().out.strip()
    port = free_port()
    code = "from regime_pipeline.cli.app import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", str(port), "--require-key"]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                httpx.get(f"{url}/healthz")
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        statuses = [httpx.get(f"{url}/api/markets", headers=h).status_code for h in ({}, {"X-API-Key": key})]
        assert regime(monkeypatch, "keys", "list") == 0
        listed = capsys.readouterr().out
        key_id = re.findall(r"[0-9a-f]{12}", listed)[0]
        assert regime(monkeypatch, "keys", "revoke", key_id) == 0
        after = httpx.get(f"{url}/api/markets", headers={"X-API-Key": key}).status_code
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)

    assert statuses == [401, 200]
    assert after == 401
    assert "my-bot" in listed
    assert key not in listed
    assert regime(monkeypatch, "keys", "revoke", key_id) == 2
    assert regime(monkeypatch, "keys", "list") == 0
    assert re.search(r"my-bot │ write │ \S+ \S+ │ 20", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("me", False)]
)
def test_only_the_loopback_is_open_without_keys(host: str, expected: bool) -> None:
    assert _is_loopback(host) is expected
