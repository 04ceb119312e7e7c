"""The embedded server between processes: races, kills, ordinary users."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import psutil
import psycopg
import pytest

from regime_pipeline.storage.embedded.server import EmbeddedServer
from regime_pipeline_tests.conftest import SOAK

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


class ClientProcess(Protocol):
    """A client program as the fixture `start_client` starts it."""

    process: subprocess.Popen[str]

    def send(self, *command: str) -> None: ...

    def answer(self) -> str: ...

    def ask(self, *command: str) -> str: ...

    def kill(self) -> None: ...

    def leave(self) -> int: ...


Starter = Callable[..., ClientProcess]


def server_processes(home: Path) -> list[int]:
    """Postmasters whose data lie in a home, found without the code under test.

    A child of one has its command line too until it has set its own.
    """
    data = os.path.realpath(home / "postgres" / "data")
    parents = {}
    for process in psutil.process_iter(["name", "cmdline", "status", "ppid"]):
        info = process.info
        is_alive = info["status"] != psutil.STATUS_ZOMBIE
        if is_alive and info["name"] == "postgres" and data in (info["cmdline"] or []):
            parents[process.pid] = info["ppid"]
    return [server for server, parent in parents.items() if parent not in parents]


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_racing_starts_make_one_server_and_the_last_exit_stops_it(home: Path, start_client: Starter) -> None:
    clients = [start_client(home) for _ in range(4)]
    for client in clients:
        client.send("attach")
    assert len({client.answer() for client in clients}) == 1
    (pid,) = server_processes(home)
    assert {client.ask("postmaster") for client in clients} == {str(pid)}
    for client in clients[:-1]:
        assert client.leave() == 0
    assert server_processes(home) == [pid]
    assert clients[-1].ask("write", "still-serving") == "still-serving"
    assert clients[-1].leave() == 0
    assert server_processes(home) == []


def test_racing_composition_roots_share_the_databases(used_home: Path, start_client: Starter) -> None:
    clients = [start_client(used_home) for _ in range(4)]
    for client in clients:
        client.send("resolve")
    (url,) = {client.answer() for client in clients}
    assert "/regimes?" in url


def test_killed_client_does_not_keep_the_server(used_home: Path, start_client: Starter) -> None:
    killed, clean = start_client(used_home), start_client(used_home)
    killed.ask("attach")
    clean.ask("attach")
    killed.kill()
    assert len(server_processes(used_home)) == 1
    assert clean.leave() == 0
    assert server_processes(used_home) == []


def test_kept_server_survives_its_clients(used_home: Path, start_client: Starter) -> None:
    starter, client = start_client(used_home), start_client(used_home)
    assert starter.ask("start") == client.ask("attach")
    assert (starter.leave(), client.leave()) == (0, 0)
    assert len(server_processes(used_home)) == 1
    assert EmbeddedServer(used_home).stop()
    assert server_processes(used_home) == []


def test_killed_server_is_replaced_with_its_rows(home: Path, start_client: Starter) -> None:
    writer, reader = start_client(home), start_client(home)
    for row in range(20):
        writer.ask("write", f"row-{row}")
    (pid,) = server_processes(home)
    os.kill(pid, signal.SIGKILL)
    assert reader.ask("count") == "20"
    assert writer.ask("write", "after") == "after"  # the old client finds the new server by itself
    (replacement,) = server_processes(home)
    assert replacement != pid
    assert (writer.leave(), reader.leave()) == (0, 0)
    assert server_processes(home) == []


@pytest.mark.parametrize("leftover", ["fork", "spawn"])
def test_child_does_not_keep_the_server(used_home: Path, start_client: Starter, leftover: str) -> None:
    client = start_client(used_home)
    client.ask("attach")
    child = int(client.ask(leftover))
    try:
        assert client.leave() == 0
        os.kill(child, 0)
        assert server_processes(used_home) == []
    finally:
        os.kill(child, signal.SIGKILL)


def test_starter_killed_while_the_cluster_is_made(home: Path, start_client: Starter) -> None:
    client = start_client(home)
    client.send("attach")
    assert wait_until((home / "postgres" / "data.init" / "PG_VERSION").exists)
    client.kill()
    successor = start_client(home)
    assert successor.ask("write", "row") == "row"
    assert successor.leave() == 0
    assert server_processes(home) == []


def test_starters_killed_at_any_moment(used_home: Path, start_client: Starter) -> None:
    EmbeddedServer(used_home).start_detached()
    EmbeddedServer(used_home).stop()
    rng = random.Random(5)
    for _ in range(4):
        client = start_client(used_home)
        client.send("attach")
        wait_until(lambda: server_processes(used_home) != [], 2.0)
        time.sleep(rng.uniform(0.0, 0.08))
        client.kill()
        successor = start_client(used_home)
        assert successor.ask("attach")
        assert len(server_processes(used_home)) == 1
        assert successor.leave() == 0
        assert server_processes(used_home) == []


def test_ordinary_user(make_home: Callable[..., Path], start_client: Starter, nobody_uid: int) -> None:
    home = make_home("of-nobody", uid=nobody_uid)
    client = start_client(home, nobody_uid)
    if not client.ask("write", "row"):
        pytest.skip("the packages are out of an ordinary user's reach")
    (pid,) = server_processes(home)
    assert psutil.Process(pid).uids().real == nobody_uid
    assert {path.stat().st_uid for path in (home / "postgres").iterdir()} == {nobody_uid}
    assert (home / "postgres").stat().st_mode & 0o777 == 0o700
    os.kill(pid, signal.SIGKILL)
    assert client.ask("count") == "1"
    assert client.leave() == 0
    assert server_processes(home) == []


class Ledger:
    """What eight workers tried to commit and what was acknowledged."""

    def __init__(self, home: Path, start_client: Starter) -> None:
        self.home, self.start_client, self.is_over = home, start_client, threading.Event()
        self.tried: set[str] = set()
        self.acknowledged: set[str] = set()
        self.ends = {"killed": 0, "left": 0}

    def work(self, worker: int) -> None:
        """Start clients that write and then leave or are killed, one after another, until all is over."""
        rng = random.Random(worker)
        while not self.is_over.is_set():
            client = self.start_client(self.home)
            end = rng.choice(["killed", "left"])
            killer = threading.Timer(rng.uniform(0.2, 3.0), client.process.kill)
            if end == "killed":
                killer.start()
            self._write(client, f"{worker}-{client.process.pid}", rng.randrange(1, 60) if end == "left" else 10_000)
            killer.cancel()
            client.leave()
            self.ends[end] += 1

    def kill_servers(self, end: float) -> int:
        """Kill the server every three seconds until the end, and once at least: on a busy machine it takes its time."""
        kills, next_kill = 0, time.monotonic() + 3.0
        while time.monotonic() < end or (kills == 0 and time.monotonic() < end + 60.0):
            servers = server_processes(self.home)
            assert len(servers) <= 1
            if servers and time.monotonic() > next_kill:
                os.kill(servers[0], signal.SIGKILL)
                kills, next_kill = kills + 1, time.monotonic() + 3.0
            time.sleep(0.1)
        return kills

    def _write(self, client: ClientProcess, name: str, rows: int) -> None:
        for row in range(rows):
            entry = f"{name}-{row}"
            self.tried.add(entry)
            answer = client.ask("write", entry)
            if answer == entry:
                self.acknowledged.add(entry)
            elif not answer:
                return


@pytest.mark.soak
def test_starts_writes_exits_and_kills(home: Path, start_client: Starter) -> None:
    """Eight clients at a time, and the server, are killed at random: one server, then none, and no row lost."""
    ledger, end = Ledger(home, start_client), time.monotonic() + 6.0 * SOAK
    with ThreadPoolExecutor(8) as pool:
        workers = [pool.submit(ledger.work, worker) for worker in range(8)]
        try:
            server_kills = ledger.kill_servers(end)
        finally:
            ledger.is_over.set()
        for worker in workers:
            worker.result(timeout=60)
    last = start_client(home)
    url = last.ask("attach")
    assert len(server_processes(home)) == 1
    with psycopg.connect(url) as connection:
        stored = {row[0] for row in connection.execute("SELECT entry FROM ledger")}
    assert last.leave() == 0
    assert server_processes(home) == []
    assert ledger.acknowledged <= stored <= ledger.tried
    assert len(ledger.acknowledged) > 50
    assert min(ledger.ends.values()) > 0
    assert server_kills > 0
