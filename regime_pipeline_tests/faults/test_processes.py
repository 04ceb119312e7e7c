"""Processes of `regime up` are killed in the middle of a run: it runs again by itself, and the tables are whole."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from regime_pipeline.bootstrap import open_databases, open_workspace, read_universe
from regime_pipeline.domain.market_data.market import DAY_MS
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.pipeline.partitions import range_tags
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.storage.embedded.server import embedded_server
from regime_pipeline_tests.e2e.regime_up import Up, processes_of_session, quarter_of, running_up, until
from regime_pipeline_tests.factories import assert_same_bytes, dump, run_stages, simulated_workspace

DAEMON = "regime_pipeline.pipeline.guarded.daemon"
pytestmark = [pytest.mark.faults, pytest.mark.slow]

START_MS, DAYS = to_ms("2026-01-01T00:00:00Z"), 10
MARKETS = quarter_of(("ALFA",), '["1m", "1h"]')


def window(number: int) -> Window:
    return Window(START_MS + number * DAYS * DAY_MS, START_MS + (number + 1) * DAYS * DAY_MS)


def begun(up: Up, number: int, stages: int) -> str:
    """Launch a run over every market and a window, wait until it has begun so many stages, and return its id."""
    markets = read_universe(up.settings).markets
    run_id = up.launch_run(range_tags(markets[0], markets[-1], window(number)))
    with psycopg.connect(open_databases(up.settings).regimes, autocommit=True) as database:

        def is_there() -> bool | None:
            found = database.execute("SELECT count(*) FROM runs WHERE dagster_run_id = %s", (run_id,)).fetchone()
            return True if found and found[0] >= stages else None

        until(180, is_there, f"stage {stages}", 0.05)
    assert up.end_of(run_id) is None
    return run_id


def await_success(up: Up, run_id: str) -> int:
    """Wait until the run, or the one that Dagster has made of it, has succeeded; return how many tries that took."""

    def family() -> list[str] | None:
        found = [
            run["status"]
            for run in up.runs()
            if run["runId"] == run_id or {"key": "dagster/root_run_id", "value": run_id} in run["tags"]
        ]
        return found if "SUCCESS" in found else None

    return len(until(400, lambda: reachable(family), "the end of the run that was disturbed"))


def reachable(ask: Callable[[], list[str] | None]) -> list[str] | None:
    """No answer while the UI is down."""
    try:
        return ask()
    except (OSError, AssertionError):
        return None


def daemon_of(up: Up) -> int:
    """The daemon's process."""
    for process in psutil.process_iter(["cmdline"]):
        if DAEMON in (process.info["cmdline"] or []) and os.getpgid(process.pid) == up.process.pid:
            return int(process.pid)
    raise AssertionError("there is no daemon")


def kill_fork_server_of(up: Up, run_id: str) -> None:
    """Kill the process that the run is a fork of; the run goes with it."""
    run = psutil.Process(up.process_of(run_id))
    parent = psutil.Process(run.ppid())
    assert "multiprocessing.forkserver" in " ".join(parent.cmdline())
    parent.kill()
    run.wait(10)


def kill_database(up: Up) -> None:
    os.kill(embedded_server(up.settings.home).status().postmaster_pid or 0, signal.SIGKILL)


def assert_whole(ws: Workspace, database_url: str, folder: Path, windows: int) -> None:
    """Tables and files are those of a quiet build of the same windows."""
    done = [window(number) for number in range(windows)]
    with simulated_workspace(database_url, folder, ws.universe.markets) as quiet:
        for market in ws.universe.markets:
            run_stages(quiet, market, done)
            for part in done:
                assert_same_bytes(dump(ws, market, part), dump(quiet, market, part))
                stored, wanted = (w.snapshots.read_candles(market, part.start_ms, part.end_ms) for w in (ws, quiet))
                assert stored.open_time_ms.tobytes() == wanted.open_time_ms.tobytes()
                assert stored.close.tobytes() == wanted.close.tobytes()


def test_whatever_is_killed_the_run_succeeds_by_itself(home: Path, database_url: str, tmp_path: Path) -> None:
    """The run at three steps, what it is a fork of, the database, the daemon, then all at once, as a power cut does."""
    tries = []
    with running_up(home, MARKETS) as up:
        for number, stages in enumerate((1, 3, 5)):
            run_id = begun(up, number, stages)
            os.kill(up.process_of(run_id), signal.SIGKILL)
            tries.append(await_success(up, run_id))
        run_id = begun(up, 3, 2)
        kill_fork_server_of(up, run_id)
        tries.append(await_success(up, run_id))
        run_id = begun(up, 4, 4)
        kill_database(up)
        tries.append(await_success(up, run_id))
        run_id = begun(up, 5, 2)
        os.kill(daemon_of(up), signal.SIGKILL)
        tries.append(await_success(up, run_id))
        run_id = begun(up, 6, 3)
        os.killpg(up.process.pid, signal.SIGKILL)
        kill_database(up)
        until(20, lambda: True if not processes_of_session(up.process.pid) else None, "the end of every child")
    with running_up(home, MARKETS) as up:
        tries.append(await_success(up, run_id))
        with open_workspace(up.settings) as workspace:
            assert_whole(workspace, database_url, tmp_path, 7)
    assert tries[:4] == [2, 2, 2, 2]
    assert max(tries) <= 3
