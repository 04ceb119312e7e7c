"""One after the other, in a drawn order, whatever `regime up` runs is killed while a backfill goes on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from regime_pipeline.bootstrap import open_databases
from regime_pipeline.domain.market_data.market import DAY_MS, HOUR_MS
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.storage.embedded.server import embedded_server
from regime_pipeline.storage.urls import libpq_url
from regime_pipeline_tests.e2e.regime_up import Up, quarter_of, running_up, until

pytestmark = [pytest.mark.faults, pytest.mark.slow]

SYMBOLS = tuple(f"M{number}" for number in range(12))
SPAN = Window(to_ms("2026-01-01T00:00:00Z"), to_ms("2026-01-01T00:00:00Z") + 90 * DAY_MS)
MARKETS = quarter_of(SYMBOLS, '["1m", "1h"]')
ROWS = "SELECT symbol, timeframe, count(*) FROM market_dashboard_hours GROUP BY symbol, timeframe"


def run_of(up: Up) -> int | None:
    """The process of a run."""
    for process in up.processes("forkserver"):
        with contextlib.suppress(psutil.Error):  # it or its parent may end meanwhile
            if "forkserver" in " ".join(psutil.Process(process.ppid()).cmdline()):
                return process.pid
    return None


def first(up: Up, words: str) -> int | None:
    found = up.processes(words)
    return found[0].pid if found else None


def fork_server(up: Up) -> int | None:
    """What runs are forks of."""
    with contextlib.suppress(psutil.Error):
        run = run_of(up)
        return psutil.Process(run).ppid() if run else None
    return None


LOST = """
SELECT r.run_id, (SELECT jsonb_object_agg(key, value) FROM run_tags t WHERE t.run_id = r.run_id AND key LIKE '%retr%'),
  (SELECT string_agg(left(event, 3000), E'\\n') FROM event_logs e WHERE e.run_id = r.run_id
   AND dagster_event_type IN ('RUN_FAILURE', 'STEP_FAILURE'))
FROM runs r WHERE status = 'FAILURE' AND NOT EXISTS
  (SELECT FROM run_tags t WHERE t.run_id = r.run_id AND t.key = 'dagster/auto_retry_run_id')
"""

VICTIMS: dict[str, tuple[int, Callable[[Up], int | None]]] = {
    "a run": (6, run_of),
    "what runs are forks of": (3, fork_server),
    "the code server": (3, lambda up: first(up, "api grpc")),
    "PostgreSQL": (3, lambda up: embedded_server(up.settings.home).status().postmaster_pid),
    "the daemon": (2, lambda up: first(up, "guarded.daemon")),
    "the webserver": (2, lambda up: first(up, "guarded.webserver")),
    "Dagster's parent": (1, lambda up: first(up, "guarded.dev")),
}
"""How often each is killed, and its process, None while it is away."""


class Work:
    """Backfills of the same hours, one after the other, so that one is under way whatever the machine's speed."""

    def __init__(self, up: Up) -> None:
        self.backfills = [up.launch_hours(SPAN)]

    def go_on(self, up: Up) -> None:
        """Launch the next one where the last has ended, as it should."""
        end = up.end_of_backfill_if_known(self.backfills[-1])
        if end is not None:
            assert end == "COMPLETED_SUCCESS", lost(up)
            self.backfills.append(up.launch_hours(SPAN))

    def victim(self, up: Up, name: str) -> int:
        """Wait until something of this name is there, and return its process."""
        deadline = time.monotonic() + 400  # a run lost at its start is missed after a minute
        while time.monotonic() < deadline:
            self.go_on(up)
            with contextlib.suppress(AssertionError):
                return until(5, lambda: VICTIMS[name][1](up), name, 0.05)
        raise AssertionError(f"{name} was not there within 400 s: {up.statuses()}")

    def kill(self, up: Up, name: str, pause_s: float) -> None:
        """Kill one of them while a backfill goes on, and wait."""
        os.kill(self.victim(up, name), signal.SIGKILL)
        print(time.strftime("%H:%M:%S"), "killed", name, flush=True)
        time.sleep(pause_s)


def lost(up: Up) -> list[str]:
    """Runs that failed and were not run again, with what Dagster knows of each."""
    with psycopg.connect(libpq_url(open_databases(up.settings).dagster)) as connection:
        return [f"{run_id}: {tags}; {events}" for run_id, tags, events in connection.execute(LOST)]


def test_backfills_complete_through_21_kills_in_any_order(home: Path) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    drawn = random.Random(seed)
    order = [name for name, (times, _) in VICTIMS.items() for _ in range(times)]
    drawn.shuffle(order)
    half = drawn.randrange(5, 15)
    with running_up(home, MARKETS) as up:
        work = Work(up)
        until(180, lambda: True if "STARTED" in up.statuses() else None, "the first run's start", 0.1)
        for name in order[:half]:
            work.kill(up, name, drawn.uniform(1, 8))
        up.process.kill()
        assert up.process.wait(30) == -signal.SIGKILL
    with running_up(home, MARKETS) as up:
        for name in order[half:]:
            work.kill(up, name, drawn.uniform(1, 8))
        last = work.backfills[-1]
        end = until(1_200, lambda: up.end_of_backfill_if_known(last), "the last one's end", 2)
        assert end == "COMPLETED_SUCCESS", lost(up)
        with psycopg.connect(open_databases(up.settings).regimes) as database:
            rows = {(symbol, timeframe): hours for symbol, timeframe, hours in database.execute(ROWS)}
        hours = (SPAN.end_ms - SPAN.start_ms) // HOUR_MS
        assert rows == {(f"{symbol}-USDT", timeframe): hours for symbol in SYMBOLS for timeframe in ("1m", "1h")}
        assert len(up.processes("guarded.daemon")) == 1

        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(90) == 0
        assert up.processes("") == []
