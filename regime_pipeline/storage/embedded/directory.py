"""Where an embedded server keeps its files and which account runs it.

See `cluster` for starting and stopping.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from regime_pipeline.domain.errors import StorageError, UsageError

DEFAULT_ACCOUNT: Final = "nobody"
WAYS_OUT: Final = "Run as an ordinary user, or set REGIME_DATABASE_URL to a PostgreSQL server of your own."
_SHELTERS: Final = (Path("/var/lib/regime_pipeline"), Path("/tmp"))  # noqa: S108 - only for a directory of random name
_MARK: Final = "belongs-to"
"""File in a directory that is kept elsewhere: the device and inode of the directory it belongs to."""
_SHELL_SIGNS: Final = frozenset('"$`\\')
SOCKET_NAME: Final = ".s.PGSQL.5432"
_SOCKET_PATH_BYTES: Final = 103  # the smaller limit of the supported systems; the longest path that fits in sun_path


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's account that runs the server."""

    name: str
    uid: int
    gid: int

    @property
    def is_self(self) -> bool:
        """Whether it is the account of this process."""
        return self.uid == os.geteuid()

    @property
    def process_options(self) -> dict[str, Any]:
        """Arguments of `subprocess` that run a program under the account."""
        return {} if self.is_self else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_reach(self, directory: Path) -> bool:
        """Whether the account may pass through a directory and all its parents, by their mode bits."""
        return self.is_self or all(self._may_pass(each.stat()) for each in (directory, *directory.parents))

    def _may_pass(self, status: os.stat_result) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def server_account(name: str) -> Account:
    """Return the account to run the server under: one's own, or for root the unprivileged account `name`.

    Raises
    ------
    UsageError
        As root: there is no such account, or it is root itself (PostgreSQL refuses to run as root).
    """
    uid = os.geteuid()
    if uid != 0:
        return Account(account_name(uid), uid, os.getegid())
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise UsageError(
            f"There is no account {name!r} to run the embedded PostgreSQL under.",
            "Set REGIME_POSTGRES_ACCOUNT to an existing unprivileged account.",
        ) from None
    if entry.pw_uid == 0:
        raise UsageError(
            f"PostgreSQL does not run as root, and the account {name!r} is root.",
            "Set REGIME_POSTGRES_ACCOUNT to an existing unprivileged account.",
        )
    return Account(name, entry.pw_uid, entry.pw_gid)


@dataclass(frozen=True, slots=True)
class ServerDirectory:
    """The directory of one server.

    Attributes
    ----------
    base : Path
        Real path of the directory; owned by the user who calls.
    account : Account
        Owner of the subdirectories `data` and `socket`, both of mode 0700.
    """

    base: Path
    account: Account

    @property
    def data(self) -> Path:
        """The cluster; it exists only once complete."""
        return self.base / "data"

    @property
    def log(self) -> Path:
        """What the server had to say."""
        return self.base / "server.log"

    @property
    def keep_marker(self) -> Path:
        """Present while the server shall outlive its clients (`regime db start`)."""
        return self.base / "keep"

    def lock_file(self, name: str) -> Path:
        """Return the path of one of the lock files."""
        return self.base / f"{name}.lock"

    @property
    def socket(self) -> Path:
        """Real path of the socket directory; a link leads elsewhere where the path would be too long for a socket."""
        return Path(os.path.realpath(self.base / "socket"))

    @property
    def has_socket_directory(self) -> bool:
        """Whether the socket directory is there, safely the account's, and this place's rather than its original's.

        A cleaner of /tmp may have taken it, and in a copied home the link leads to the directory of the original.
        """
        socket = self.socket
        try:
            status = socket.lstat()
            is_ours = socket.parent == self.base or _has_mark(socket, self.base)
        except OSError:
            return False
        return stat.S_ISDIR(status.st_mode) and status.st_uid == self.account.uid and is_ours

    def make_socket_directory(self) -> None:
        """Create a socket directory and link to it: here or, where the path is unfit for a socket, elsewhere.

        Its name is new each time: a server of a removed home removes its socket file when it notices, minutes later.
        """
        link = self.base / "socket"
        link.unlink(missing_ok=True)
        shelters = (self.base, Path(tempfile.gettempdir()), *_SHELTERS)
        _link_elsewhere(link, shelters, self.account, owner=self.base, is_private=True)


def existing_place(home: Path, account: Account) -> ServerDirectory | None:
    """Return the place that belongs to a home, or None when it has none yet.

    Raises
    ------
    StorageError
        It was kept outside the home and is gone from there.
    UsageError
        It belongs to another user, or (as root) its data belong to another account than the one set.
    """
    link = home / "postgres"
    if not os.path.lexists(link):
        return None
    if not link.is_dir():
        raise StorageError(
            f"The database of {home} was kept in {os.path.realpath(link)}, which no longer exists.",
            f"Restore it, or remove {link} to start with an empty database.",
        )
    place = ServerDirectory(Path(os.path.realpath(link)), account)
    if link.is_symlink():
        _check_mark(link, place.base, home)
    _check_owner(place.base, os.geteuid(), "Run as that account, or set REGIME_HOME to a directory of your own.")
    if place.data.exists():
        _check_owner(place.data, account.uid, _way_to_own(place.data, account))
    return place


def make_place(home: Path, account: Account) -> ServerDirectory:
    """Return the place that belongs to a home, making it if necessary; no existing directory's mode is touched.

    It lies below the home where the account can reach that, else in a directory that `home/postgres` links to; there
    too where the programs may have to be copied beside it and the path has a sign that the shell of `initdb` reads.
    A new home is for its owner's eyes; as root, the server's account may pass through it. Errors as `existing_place`.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    home.mkdir(mode=0o700 if account.is_self else 0o711, exist_ok=True)
    link = home / "postgres"
    if not os.path.lexists(link):
        if account.can_reach(home.resolve()) and (account.is_self or not _SHELL_SIGNS & set(str(home.resolve()))):
            with contextlib.suppress(FileExistsError):
                link.mkdir()
                link.chmod(0o700 if account.is_self else 0o755)
        else:
            _link_elsewhere(link, _SHELTERS, account, owner=home, is_private=False)
    place = existing_place(home, account)
    if place is None:
        raise StorageError(f"{link} was removed while it was being made.", "Try again.")
    return place


def make_private_directory(path: Path, account: Account) -> None:
    """Create a directory of mode 0700 that belongs to the account."""
    path.mkdir(mode=0o700)
    _give_to(account, path)


def _give_to(account: Account, directory: Path) -> None:
    directory.chmod(0o700)
    if not account.is_self:
        os.chown(directory, account.uid, account.gid, follow_symlinks=False)


def _link_elsewhere(link: Path, shelters: Iterable[Path], account: Account, *, owner: Path, is_private: bool) -> None:
    """Make a directory of random name in the first fitting shelter and link to it; a racing maker's link is kept.

    A private one belongs to the account, mode 0700, else it is one's own that the account may pass through. Beside the
    link it is linked by name alone, so that a copy of both is whole; elsewhere it is marked as the directory `owner`'s.
    """
    for shelter in shelters:
        if made := _make_sheltered(shelter, account):
            break
    else:
        raise StorageError(f"No directory was found that the account {account.name!r} could use.", WAYS_OUT)
    is_beside = made.parent == link.parent.resolve()
    if not is_beside:
        (made / _MARK).write_text(_identity(owner), "utf-8")
    if is_private:
        _give_to(account, made)
    else:
        made.chmod(0o755)
    try:
        link.symlink_to(made.name if is_beside else made)
    except FileExistsError:
        shutil.rmtree(made)


def _make_sheltered(shelter: Path, account: Account) -> Path | None:
    """Make a directory below a shelter, or return None where that cannot be or is out of the account's reach."""
    try:
        if not shelter.exists():
            shelter.mkdir(mode=0o755)
            shelter.chmod(0o755)
        shelter = shelter.resolve()
        if not account.can_reach(shelter) or not _is_fit_for_socket(shelter / "regime-12345678"):
            return None
        return Path(tempfile.mkdtemp(prefix="regime-", dir=shelter))
    except OSError:
        return None


def _identity(directory: Path) -> str:
    """What stays when a directory is moved and differs in a copy: its device and inode."""
    status = directory.stat()
    return f"{status.st_dev}:{status.st_ino}"


def _has_mark(made: Path, owner: Path) -> bool:
    """Whether a directory that is kept elsewhere belongs to `owner`; raises OSError where nothing says so."""
    return (made / _MARK).read_text("utf-8") == _identity(owner)


def _check_mark(link: Path, base: Path, home: Path) -> None:
    """Refuse the database of another home, which the link of a copied home leads to."""
    try:
        is_ours = _has_mark(base, home)
    except FileNotFoundError:  # of a version that did not mark
        (base / _MARK).write_text(_identity(home), "utf-8")
        return
    if not is_ours:
        raise StorageError(
            f"{link} leads to {base}, the database of another home: {home} is a copy.",
            f"Remove {link} to start with an empty database, then restore a backup with `regime db restore`.",
        )


def _way_to_own(data: Path, account: Account) -> str:
    """What helps where the data belong to another account: root, after a copy that kept no owners, can never run it."""
    if data.stat().st_uid == 0:
        return f"Give it to the server's account: chown -R {account.name} {data}"
    return "Set REGIME_POSTGRES_ACCOUNT to that account."


def _is_fit_for_socket(directory: Path) -> bool:
    """Whether the path is short enough, and free of what separates or quotes hosts and directories in lists."""
    is_short = len(os.fsencode(directory / SOCKET_NAME)) <= _SOCKET_PATH_BYTES
    return is_short and not set(str(directory)) & set(",\"'\\")


def _check_owner(path: Path, uid: int, todo: str) -> None:
    owner = path.stat().st_uid
    if owner != uid:
        raise UsageError(f"{path} belongs to the account {account_name(owner)!r}, not to {account_name(uid)!r}.", todo)


def account_name(uid: int) -> str:
    """Return the name of an account, its number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
