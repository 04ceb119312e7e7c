"""Fixtures of the storage tests: client processes of embedded servers."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline.storage.warehouse import Warehouse

CLIENT_PROGRAM = Path(__file__).parent / "embedded" / "embedded_client.py"


class ClientProcess:
    """A running client program."""

    def __init__(self, home: Path, uid: int | None) -> None:
        account = [] if uid is None else [str(uid), str(pwd.getpwuid(uid).pw_gid)]
        self.process = subprocess.Popen(
            [sys.executable, CLIENT_PROGRAM, home, *account],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=home.parent,
            env={**os.environ, "HOME": str(home.parent)},
        )

    def send(self, *command: str) -> None:
        """Give a command without waiting for its answer."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(" ".join(command) + "\n")
            self.process.stdin.flush()

    def answer(self) -> str:
        """Return the answer to the oldest command not answered yet; empty when the process has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, *command: str) -> str:
        """Give a command and return its answer."""
        self.send(*command)
        return self.answer()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self._reap()

    def leave(self) -> int:
        """Let the program come to its end; return its exit code."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        return self._reap()

    def _reap(self) -> int:
        code = self.process.wait(timeout=120)
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]
        return code


@pytest.fixture
def warehouse(database_url: str) -> Iterator[Warehouse]:
    """An empty warehouse on the embedded server."""
    upgrade(database_url)
    with Warehouse(database_url) as made:
        yield made


@pytest.fixture
def each_warehouse(each_postgres_url: str) -> Iterator[Warehouse]:
    """An empty warehouse on each server."""
    upgrade(each_postgres_url)
    with Warehouse(each_postgres_url) as made:
        yield made


@pytest.fixture
def start_client() -> Iterator[Callable[..., ClientProcess]]:
    """Start client processes of a home; those still there at the end are killed."""
    started: list[ClientProcess] = []

    def start(home: Path, uid: int | None = None) -> ClientProcess:
        started.append(ClientProcess(home, uid))
        return started[-1]

    yield start
    for client in started:
        if client.process.poll() is None:
            client.kill()
        else:
            client.leave()


@pytest.fixture
def nobody_uid() -> int:
    """An ordinary user to become; skips unless the tests run as root."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        pytest.skip("there is no account nobody")
