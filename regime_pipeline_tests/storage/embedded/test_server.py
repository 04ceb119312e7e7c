"""The embedded server as one process sees it: attach, release, keep, stop, status."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.embedded.server import EmbeddedServer, _release_at_exit, embedded_server

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.fixture
def server(used_home: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(used_home)
    yield server
    server.stop(force=True)


def setting(url: str, name: str) -> str:
    with psycopg.connect(url) as connection:
        return str(connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0])  # type: ignore[index]


def test_attach_twice_and_release(server: EmbeddedServer, used_home: Path) -> None:
    url = server.attach()
    assert server.attach() == url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (a int)")
    status = server.status()
    assert (status.is_running, status.is_kept, status.has_clients) == (True, False, True)
    assert (status.url, status.directory) == (url, (used_home / "postgres").resolve())
    server.release()
    status = server.status()
    assert (status.is_running, status.has_clients, status.url, status.postmaster_pid) == (False, False, None, None)
    server.release()  # nothing to leave
    with psycopg.connect(server.attach()) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_server_is_private_durable_and_in_utc(server: EmbeddedServer, used_home: Path) -> None:
    url = server.attach()
    expected = {
        "listen_addresses": "",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "jit": "off",
        "TimeZone": "UTC",
        "shared_buffers": "256MB",
        "max_connections": "200",
        "server_encoding": "UTF8",
        "data_checksums": "on",
        "port": "5432",
    }
    assert {name: setting(url, name) for name in expected} == expected
    for name in ("data", "socket"):
        assert (used_home / "postgres" / name).stat().st_mode & 0o777 == 0o700
    assert (used_home / "postgres" / "server.log").stat().st_mode & 0o777 == 0o600


def test_two_instances_are_two_clients(server: EmbeddedServer, used_home: Path) -> None:
    other = EmbeddedServer(used_home)
    assert server.attach() == other.attach()
    server.release()
    assert other.status().is_running
    other.release()
    assert not other.status().is_running


def test_kept_server_stays_until_stop(server: EmbeddedServer, used_home: Path) -> None:
    server.start_detached()
    client = EmbeddedServer(used_home)
    client.attach()
    client.release()
    status = server.status()
    assert (status.is_running, status.is_kept, status.has_clients) == (True, True, False)
    assert server.stop()
    assert (server.status().is_running, server.status().is_kept) == (False, False)


def test_stop_leaves_a_used_server_to_its_last_client(server: EmbeddedServer, used_home: Path) -> None:
    server.start_detached()
    client = EmbeddedServer(used_home)
    client.attach()
    assert not server.stop()
    assert server.status().is_running
    client.release()
    assert not server.status().is_running


def test_stop_by_force_and_attach_again(server: EmbeddedServer, used_home: Path) -> None:
    client = EmbeddedServer(used_home)
    url = client.attach()
    assert server.stop(force=True)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    assert setting(client.attach(), "fsync") == "on"
    client.release()
    assert not server.status().is_running


def test_own_use_does_not_prevent_a_stop(server: EmbeddedServer) -> None:
    server.attach()
    assert server.stop()
    assert not server.status().is_running


def test_status_and_stop_make_nothing(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "none")
    status = server.status()
    assert (status.is_running, status.is_kept, status.has_clients, status.url) == (False, False, False, None)
    assert server.stop()
    assert list(tmp_path.iterdir()) == []


def test_home_removed_and_made_again(home: Path) -> None:
    server = EmbeddedServer(home)
    old = server.attach()
    pid = server.status().postmaster_pid
    shutil.rmtree(home)
    assert server.attach() != old
    status = server.status()
    assert (status.is_running, status.has_clients) == (True, True)
    assert status.postmaster_pid != pid
    server.release()
    assert not server.status().is_running
    assert pid is not None
    os.kill(pid, 9)


def test_release_does_not_make_a_removed_home(home: Path) -> None:
    server = EmbeddedServer(home)
    server.attach()
    pid = server.status().postmaster_pid
    shutil.rmtree(home)
    server.release()
    assert not home.exists()
    assert pid is not None
    os.kill(pid, 9)


@pytest.mark.parametrize("name", ["a b$HOME`id` größe+100%", "quoted'\",\\"])
def test_homes_of_any_name(make_home: Callable[..., Path], name: str) -> None:
    home = make_home(name)
    server = EmbeddedServer(home)
    assert setting(server.attach(), "data_directory") == str((home / "postgres" / "data").resolve())
    server.release()
    assert not server.status().is_running


def test_deep_home_and_a_socket_elsewhere(make_home: Callable[..., Path]) -> None:
    home = make_home("/".join(["deep" * 20] * 6))
    server = EmbeddedServer(home)
    url = server.attach()
    socket = (home / "postgres" / "socket").resolve()
    assert len(str(socket)) < 80 < len(str(home))
    assert socket.stat().st_mode & 0o777 == 0o700
    assert setting(url, "unix_socket_directories") == f'"{socket}"'
    assert EmbeddedServer(home).attach() == url


def test_lost_socket_directory_is_replaced(server: EmbeddedServer, used_home: Path) -> None:
    url = server.attach()
    shutil.rmtree((used_home / "postgres" / "socket").resolve())
    other = EmbeddedServer(used_home)
    assert other.attach() != url
    assert setting(server.attach(), "fsync") == "on"
    other.release()
    server.release()
    assert not server.status().is_running


def test_unusable_home_is_one_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(
        StorageError,
        match=r"file cannot be used: .* \(.*\)\. Set REGIME_HOME to a folder that can be written to, or REGIME_",
    ):
        EmbeddedServer(blocked).attach()


def test_one_instance_per_home_and_process(used_home: Path) -> None:
    server = embedded_server(used_home)
    assert embedded_server(used_home) is server
    server.attach()
    _release_at_exit(server)
    assert not server.status().is_running


def test_exit_without_a_traceback(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = EmbeddedServer(home)

    def refuse() -> None:
        raise StorageError("It did not stop.")

    monkeypatch.setattr(server, "release", refuse)
    _release_at_exit(server)
