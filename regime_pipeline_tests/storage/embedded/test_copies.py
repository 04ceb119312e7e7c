"""Homes that are copied or moved: each has its own database, whichever server runs first."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.embedded.server import EmbeddedServer

pytestmark = pytest.mark.postgres


@contextmanager
def running(home: Path) -> Iterator[psycopg.Connection[tuple[str]]]:
    server = EmbeddedServer(home)
    try:
        with psycopg.connect(server.attach(), autocommit=True) as connection:
            yield connection
    finally:
        server.release()


def note(home: Path, text: str) -> None:
    with running(home) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS note (text text)")
        connection.execute("INSERT INTO note VALUES (%s)", (text,))


def notes(home: Path) -> list[str]:
    with running(home) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM note ORDER BY text").fetchall()]


def copied(home: Path, name: str) -> Path:
    copy = home.with_name(name)
    subprocess.run(["cp", "-a", home, copy], check=True)
    return copy


def test_a_copy_writes_to_itself_while_the_original_runs_and_while_it_does_not(home: Path) -> None:
    note(home, "before")
    copy = copied(home, "copy")
    try:
        with running(home):
            note(copy, "in the copy")
        with running(copy):
            note(home, "in the original")
        assert notes(home) == ["before", "in the original"]
        assert notes(copy) == ["before", "in the copy"]
    finally:
        shutil.rmtree(copy)


def test_a_copy_of_a_home_with_an_absolute_link_is_its_own_too(home: Path) -> None:
    """Homes of the first version have such a link."""
    note(home, "before")
    link = home / "postgres" / "socket"
    target = link.resolve()
    link.unlink()
    link.symlink_to(target)
    copy = copied(home, "copy")
    try:
        with running(copy):
            note(home, "in the original")
        assert notes(copy) == ["before"]
    finally:
        shutil.rmtree(copy)


def test_a_home_that_is_moved_under_its_running_server_stays_usable(home: Path) -> None:
    server = EmbeddedServer(home)
    note(home, "before")
    server.start_detached()
    moved = home.with_name("moved")
    home.rename(moved)
    try:
        note(moved, "after")
        assert notes(moved) == ["after", "before"]
        EmbeddedServer(moved).stop(force=True)
    finally:
        shutil.rmtree(moved)


@pytest.mark.skipif(os.geteuid() != 0, reason="root's server runs under another account")
def test_a_copied_link_to_a_database_elsewhere_is_refused(make_home: Callable[..., Path]) -> None:
    home = make_home("closed/home")
    home.parent.chmod(0o700)
    note(home, "before")
    copy = copied(home, "copy")

    with pytest.raises(StorageError, match=r"the database of another home: .*copy is a copy"):
        EmbeddedServer(copy).attach()
    moved = home.with_name("moved")
    home.rename(moved)
    assert notes(moved) == ["before"]
    moved.rename(home)
