"""Workers on further machines: compose projects with networks of their own, which share a folder and two ports."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from regime_pipeline_tests.e2e.containers import Stack, build, main_settings, require_engine, running_stack
from regime_pipeline_tests.e2e.regime_up import free_port, until

pytestmark = pytest.mark.faults

DAYS, MARKETS = 3, 9
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
IMAGES_USER = 10_001
REFUSED = (
    "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'PIPELINE_FAILURE' AND event LIKE '%adopt-snapshots%'"
)


def engine_address() -> str:
    """The machine's address on the engine's own bridge, which every container reaches."""
    (bridge,) = (address for address in psutil.net_if_addrs()["docker0"] if address.family == socket.AF_INET)
    return bridge.address


def shared(folder: Path) -> Path:
    """A folder that the image's user may write to."""
    folder.mkdir(parents=True)
    os.chown(folder, IMAGES_USER, IMAGES_USER)
    return folder


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Stack]:
    """The machine of all roles but the workers, with PostgreSQL and Redis on one address."""
    require_engine()
    build()
    tmp_path.chmod(0o755)  # the image's user is to reach the folder
    settings = main_settings(START.isoformat()) | {
        "REGIME_DATA": str(shared(tmp_path / "shared")),
        "REGIME_LISTEN": engine_address(),
        "REGIME_POSTGRES_PORT": str(free_port()),
        "REGIME_REDIS_PORT": str(free_port()),
    }
    found = Stack(settings, "regime-test-1", ("compose.yaml", "compose.network.yaml"))
    with running_stack(found, "--scale", "worker=0") as up:
        yield up


def workers(machine: Stack, number: int, folder: str) -> Stack:
    """A further machine with that folder as the shared one."""
    settings = machine.environment | {"REGIME_HOST": machine.environment["REGIME_LISTEN"], "REGIME_DATA": folder}
    return Stack(settings, f"regime-test-{number}", ("compose.worker.yaml",))


def test_workers_of_further_machines_do_the_backfill_and_one_without_the_folder_refuses(
    machine: Stack, tmp_path: Path
) -> None:
    settings, own = machine.environment, shared(tmp_path / "own")
    with ExitStack() as machines:
        second = machines.enter_context(
            running_stack(workers(machine, 2, settings["REGIME_DATA"]), "--scale", "worker=1")
        )
        machine.begin_backfill("--end", (START + timedelta(days=1)).isoformat())
        machine.await_whole(24, MARKETS)

        with running_stack(workers(machine, 4, str(own)), "--scale", "worker=1"):
            (own / "markets.toml").write_bytes((Path(settings["REGIME_DATA"]) / "markets.toml").read_bytes())
            second.compose("stop")
            machine.begin_backfill("--start", (START + timedelta(days=1)).isoformat())
            until(300, lambda: int(machine.ask("regime_dagster", REFUSED)) or None, "the refusal", every_s=2)
        assert not list(own.glob("snapshots/*/*"))
        assert machine.rows() == (24 * MARKETS, MARKETS)

        second.compose("start")
        third = machines.enter_context(
            running_stack(workers(machine, 3, settings["REGIME_DATA"]), "--scale", "worker=2")
        )
        until(300, lambda: "completed_" in machine.doctor() or None, "the end of the refused backfill", every_s=3)
        machine.begin_backfill("--start", (START + timedelta(days=1)).isoformat())
        machine.await_whole(DAYS * 24, MARKETS)
        did = [stack.compose("logs", "worker").count(" dashboard_hours - ") for stack in (second, third)]
        assert min(did) > 0, f"runs of each machine: {did}"
