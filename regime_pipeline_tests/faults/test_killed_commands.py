"""`regime backfill` is killed while it asks for candles, more often than the pool has places: the next one works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from regime_pipeline.bootstrap import open_databases
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.settings import Settings
from regime_pipeline.storage.urls import libpq_url
from regime_pipeline_tests.e2e.regime_up import quarter_of, until

pytestmark = [pytest.mark.faults, pytest.mark.slow]

COMMAND = [sys.executable, "-P", "-c", "from regime_pipeline.cli.app import main; main()", "backfill"]
SPAN = Window(to_ms("2026-01-01T00:00:00Z"), to_ms("2026-04-01T00:00:00Z"))
KILLS = 4
"""The pool has three places, and four runs may be under way at once."""
HOLDERS = "SELECT run_id FROM concurrency_slots WHERE run_id IS NOT NULL"
STATUSES = "SELECT status, count(*) FROM runs GROUP BY status"


def test_a_backfill_that_was_killed_four_times_completes(home: Path) -> None:
    markets = home / "markets.toml"
    home.mkdir(parents=True, exist_ok=True)
    markets.write_text(quarter_of(("ALFA",), '["1m"]'), "utf-8")
    environment = {**os.environ, "REGIME_HOME": str(home), "REGIME_MARKETS": str(markets)}
    urls = open_databases(Settings(home=home, markets=markets))
    killed = set[str]()
    for number in range(KILLS):
        with subprocess.Popen(COMMAND, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as command:
            until(120, lambda: newly_claimed(urls.dagster, killed), f"the ingest of backfill {number}", 0.02)
            assert command.poll() is None
            command.kill()

    last = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=240, check=False)

    assert last.returncode == 0, last.stderr
    with psycopg.connect(libpq_url(urls.dagster)) as dagster, psycopg.connect(urls.regimes) as regimes:
        assert dict(dagster.execute(STATUSES).fetchall()) == {"FAILURE": KILLS, "SUCCESS": 2}  # the chain, the site
        assert dagster.execute(HOLDERS).fetchall() == []
        hours = (SPAN.end_ms - SPAN.start_ms) // HOUR_MS
        assert regimes.execute("SELECT count(*) FROM market_dashboard_hours").fetchone() == (hours,)
    assert list((home / "dagster" / "local_runs").iterdir()) == []


def newly_claimed(url: str, known: set[str]) -> bool | None:
    """Note whose place in the pool is new; None where none is, or before Dagster's first start."""
    try:
        with psycopg.connect(libpq_url(url)) as connection:
            holders = {run_id for (run_id,) in connection.execute(HOLDERS)}
    except psycopg.Error:
        return None
    new = holders - known
    known |= holders
    return True if new else None
