"""Where the server's files go: below the home, or elsewhere without touching anyone's permissions; whose they are."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from regime_pipeline.domain.errors import StorageError, UsageError
from regime_pipeline.storage.embedded import directory as embedded_place
from regime_pipeline.storage.embedded.binaries import Programs
from regime_pipeline.storage.embedded.directory import Account, existing_place, make_place, server_account
from regime_pipeline.storage.embedded.server import EmbeddedServer

pytestmark = pytest.mark.postgres
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="root's server runs under another account")


def modes(directory: Path) -> dict[Path, tuple[int, int]]:
    """Mode and owner of a directory and all its parents."""
    found = {each: each.stat() for each in (directory, *directory.parents)}
    return {each: (stat.S_IMODE(status.st_mode), status.st_uid) for each, status in found.items()}


@needs_root
def test_home_out_of_reach_is_served_from_elsewhere(make_home: Callable[..., Path]) -> None:
    home = make_home("closed/home")
    home.parent.chmod(0o700)
    home.chmod(0o750)
    before = modes(home)
    server = EmbeddedServer(home)
    with psycopg.connect(server.attach()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    base = (home / "postgres").resolve()
    assert (home / "postgres").is_symlink()
    assert home not in base.parents
    assert base.stat().st_uid == 0
    assert stat.S_IMODE(base.stat().st_mode) == 0o755
    assert {stat.S_IMODE((base / name).stat().st_mode) for name in ("data", "socket")} == {0o700}
    server.release()
    assert modes(home) == before


@needs_root
@pytest.mark.parametrize("name", ["a $HOME", "a `id`", 'a "b"', "a\\b"])
def test_programs_are_never_copied_to_where_a_shell_would_read_the_path(
    make_home: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Programs, "are_runnable", property(lambda found: "programs-" in str(found.directory)))
    home = make_home(name)
    server = EmbeddedServer(home)
    with psycopg.connect(server.attach()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert list((home / "postgres").glob("programs-*"))
    assert home not in (home / "postgres").resolve().parents
    server.release()


@needs_root
def test_home_within_reach_keeps_its_data(home: Path) -> None:
    before = modes(home)
    server = EmbeddedServer(home)
    server.attach()
    assert not (home / "postgres").is_symlink()
    assert (home / "postgres" / "data").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    server.release()
    assert modes(home) == before


@needs_root
def test_data_that_were_elsewhere_and_are_gone(make_home: Callable[..., Path]) -> None:
    home = make_home("closed/home")
    home.parent.chmod(0o700)
    place = make_place(home, server_account("nobody"))
    shutil.rmtree(place.base)
    with pytest.raises(StorageError, match=r"was kept in .*, which no longer exists\. Restore it, or remove"):
        EmbeddedServer(home).status()


@needs_root
def test_home_of_another_user_is_left_alone(make_home: Callable[..., Path], nobody_uid: int) -> None:
    home = make_home("theirs", uid=nobody_uid)
    (home / "postgres").mkdir()
    os.chown(home / "postgres", nobody_uid, -1)
    with pytest.raises(UsageError, match=r"belongs to the account 'nobody', not to 'root'\. Run as that account"):
        EmbeddedServer(home).attach()
    assert list((home / "postgres").iterdir()) == []


@needs_root
def test_data_of_another_account_are_left_alone(home: Path) -> None:
    place = make_place(home, server_account("nobody"))
    place.data.mkdir()
    os.chown(place.data, 54321, -1)
    with pytest.raises(
        UsageError, match=r"belongs to the account '54321', not to 'nobody'\. Set REGIME_POSTGRES_ACCOUNT"
    ):
        EmbeddedServer(home).attach()


@needs_root
def test_no_shelter_at_all(make_home: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_home("closed/home")
    home.parent.chmod(0o700)
    monkeypatch.setattr(embedded_place, "_SHELTERS", (home / "inside", Path("/proc/nothing")))
    with pytest.raises(StorageError, match=r"No directory was found that the account 'nobody' could use\. Run as"):
        EmbeddedServer(home).attach()


@needs_root
def test_account_of_another_name(home: Path) -> None:
    account = server_account("daemon")
    assert (account.name, account.uid) == ("daemon", pwd.getpwnam("daemon").pw_uid)
    server = EmbeddedServer(home, "daemon")
    server.attach()
    assert (home / "postgres" / "data").stat().st_uid == account.uid
    assert server.status().account == "daemon"
    assert server.stop()


@pytest.mark.parametrize(
    ("name", "message"),
    [("no-such-account", "There is no account 'no-such-account'"), ("root", "the account 'root' is root")],
)
def test_unfit_accounts(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(UsageError, match=f"{message}.* Set REGIME_POSTGRES_ACCOUNT"):
        server_account(name)


def test_ordinary_user_is_its_own_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    account = server_account("nobody")
    assert (account.name, account.uid, account.is_self, account.process_options) == ("54321", 54321, True, {})
    assert account.can_reach(Path("/proc/1/cwd"))


@pytest.mark.parametrize(
    ("mode", "owner", "group", "can_pass"),
    [
        (0o700, 0, 0, False),
        (0o701, 0, 0, True),
        (0o710, 0, 777, True),
        (0o701, 0, 777, False),
        (0o100, 777, 0, True),
        (0o077, 777, 0, False),
    ],
)
@needs_root
def test_reach_by_mode_bits(make_home: Callable[..., Path], mode: int, owner: int, group: int, can_pass: bool) -> None:
    home = make_home()
    os.chown(home, owner, group)
    home.chmod(mode)
    assert Account("someone", 777, 777).can_reach(home.parent)
    assert Account("someone", 777, 777).can_reach(home) is can_pass


def test_racing_makers_agree(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    account = server_account("nobody")
    place = make_place(home, account)
    place.make_socket_directory()
    first = place.socket
    embedded_place._link_elsewhere(place.base / "socket", (place.base,), account, owner=place.base, is_private=True)
    assert place.socket == first
    assert [each for each in place.base.iterdir() if each.is_dir() and not each.is_symlink()] == [first]


def test_place_that_is_not_there(tmp_path: Path) -> None:
    assert existing_place(tmp_path, server_account("nobody")) is None


@needs_root
def test_socket_directory_of_someone_else_is_not_trusted(home: Path) -> None:
    place = make_place(home, server_account("nobody"))
    assert not place.has_socket_directory
    place.make_socket_directory()
    assert place.has_socket_directory
    os.chown(place.socket, 54321, -1)
    assert not place.has_socket_directory
