"""A cluster found in bad order: half made, with stale files, with broken settings, of another version."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.pq import Ping

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.embedded import cluster as embedded_cluster
from regime_pipeline.storage.embedded.binaries import programs_for
from regime_pipeline.storage.embedded.cluster import Cluster
from regime_pipeline.storage.embedded.directory import make_place, server_account
from regime_pipeline.storage.embedded.server import EmbeddedServer

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.fixture
def server(used_home: Path) -> Iterator[EmbeddedServer]:
    """A server that ran once."""
    server = EmbeddedServer(used_home)
    server.attach()
    server.release()
    yield server
    server.stop(force=True)


@pytest.fixture
def cluster(server: EmbeddedServer, used_home: Path) -> Cluster:
    return Cluster(make_place(used_home, server_account("nobody")))


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the account that runs the server."""
    options: dict[str, Any] = server_account("nobody").process_options
    with subprocess.Popen(["/bin/sleep", "120"], **options) as process:
        yield process
        process.kill()


def answers(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def test_half_made_cluster_is_rebuilt(home: Path) -> None:
    draft = home / "postgres" / "data.init"
    draft.mkdir(parents=True)
    (home / "postgres").chmod(0o755)
    (draft / "PG_VERSION").write_text("18\n")
    assert answers(EmbeddedServer(home).attach())
    assert not draft.exists()


def test_pid_file_that_names_a_stranger(cluster: Cluster, server: EmbeddedServer, stranger: Any) -> None:
    stale = f"{stranger.pid}\n{cluster.place.data}\n1\n5432\n{cluster.place.socket}\n\n1 1\nready\n"
    (cluster.place.data / "postmaster.pid").write_text(stale)
    (cluster.place.socket / ".s.PGSQL.5432.lock").write_text(stale)
    cluster.stop(force=True)  # nothing runs: nobody is to be signalled
    assert stranger.poll() is None
    assert answers(server.attach())
    server.release()
    assert stranger.poll() is None


def test_damaged_pid_file(cluster: Cluster, server: EmbeddedServer) -> None:
    for content in ("", "rubbish\n", "-1\n"):
        (cluster.place.data / "postmaster.pid").write_text(content)
        assert answers(server.attach())
        server.release()


def test_pid_file_that_names_a_zombie(cluster: Cluster, server: EmbeddedServer) -> None:
    with subprocess.Popen(["/bin/true"], **server_account("nobody").process_options) as zombie:
        time.sleep(0.2)
        (cluster.place.data / "postmaster.pid").write_text(f"{zombie.pid}\n{cluster.place.data}\n")
        assert answers(server.attach())


def test_broken_settings_are_reported_with_the_log(cluster: Cluster, server: EmbeddedServer) -> None:
    settings = cluster.place.data / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(good + "shared_buffers = 'a lot'\n")
    with pytest.raises(StorageError, match=r"(?s)does not start\. Its log ends:.*shared_buffers") as caught:
        server.attach()
    assert str(cluster.place.base) in caught.value.what
    settings.write_text(good)
    assert answers(server.attach())


def test_cluster_of_another_version_is_left_alone(cluster: Cluster, server: EmbeddedServer) -> None:
    (cluster.place.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(StorageError, match=r"made by PostgreSQL 17, the installed programs are 18\. Move it"):
        server.attach()
    (cluster.place.data / "PG_VERSION").write_text("18\n")


def test_failure_to_make_a_cluster_is_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embedded_cluster._SETTINGS, "max_connections", "many")
    with pytest.raises(StorageError, match=r"(?s)No database cluster could be made in .*max_connections"):
        EmbeddedServer(home).attach()
    assert not (home / "postgres" / "data").exists()
    monkeypatch.undo()
    assert answers(EmbeddedServer(home).attach())


def test_server_without_an_answer_is_reported_and_stopped_by_force(
    cluster: Cluster, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_cluster, "_START_S", 0.5)
    server.attach()
    monkeypatch.setattr(Cluster, "ping", lambda _: Ping.NO_RESPONSE)
    with pytest.raises(StorageError, match=r"(?s)runs but does not answer\..* Stop it with `regime db stop --force`"):
        server.attach()
    monkeypatch.undo()
    assert server.stop(force=True)
    assert not cluster.has_processes()


def test_recovering_server_is_waited_for(
    cluster: Cluster, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start_detached()
    monkeypatch.setattr(embedded_cluster, "_START_S", 0.1)
    replies = iter([Ping.NO_RESPONSE, *[Ping.REJECT] * 20, Ping.OK, Ping.OK])
    monkeypatch.setattr(Cluster, "ping", lambda _: next(replies))
    server.attach()
    assert Ping.REJECT not in list(replies)
    monkeypatch.undo()
    assert server.stop()


def test_hung_server_is_stopped_by_force_only(
    cluster: Cluster, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_cluster, "_STOP_S", 1.0)
    monkeypatch.setattr(embedded_cluster, "_GONE_S", 0.2)
    server.attach()
    pid = cluster.postmaster_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(StorageError, match="did not stop"):
        server.release()
    os.kill(pid, signal.SIGCONT)
    assert server.stop()


def test_large_log_is_put_aside(cluster: Cluster, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_cluster, "_LOG_BYTES", 10)
    server.attach()
    assert cluster.place.log.with_suffix(".log.1").exists()
    assert 0 < cluster.place.log.stat().st_size < 2_000


@pytest.mark.skipif(os.geteuid() != 0, reason="root's server runs under another account")
def test_the_servers_own_account_is_not_let_in(cluster: Cluster, server: EmbeddedServer) -> None:
    """Root's server runs under `nobody`, which other services share: none of them is the database's superuser."""
    server.attach()
    programs = programs_for(cluster.place.account, cluster.place.base)
    found = programs.run("psql", cluster.url, "--command=SELECT 1", timeout_s=30)
    assert found.returncode != 0
    assert "Peer authentication failed" in found.stdout
    assert answers(cluster.url), "root is let in"
    for name in ("access.conf", "owners.conf"):
        status = (cluster.place.base / name).stat()
        assert (status.st_uid, status.st_mode & 0o777) == (0, 0o644)
    server.release()
