"""`pg_dump`, `pg_restore` and `psql` from the wheel: one database out as a stream, and back in as one transaction.

See `backup` for what a backup consists of.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage.embedded.binaries import CLIENT_ENVIRONMENT, client_directory
from regime_pipeline.storage.urls import libpq_url, redacted

_CHUNK: Final = 1 << 20
_HEADER_LINES: Final = 60
_ONLY_NEWER_SERVERS: Final = b"SET transaction_timeout = 0;\n"
"""PostgreSQL 17 and later know it; pg_restore writes it for every server."""
_CLEAR: Final = b"""BEGIN;
SET LOCAL lock_timeout = '30s';
SET LOCAL client_min_messages = warning;
DO $$
DECLARE one record;
BEGIN
  FOR one IN SELECT c.oid, c.oid::regclass::text AS name, CASE c.relkind WHEN 'v' THEN 'VIEW'
      WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('v', 'm', 'r', 'p', 'S') AND NOT c.relispartition
    ORDER BY array_position(ARRAY['v', 'm', 'r', 'p', 'S'], c.relkind::text)
  LOOP
    IF EXISTS (SELECT FROM pg_class WHERE oid = one.oid) THEN
      EXECUTE format('DROP %s %s CASCADE', one.kind, one.name);
    END IF;
  END LOOP;
END $$;
"""
_COMMIT: Final = b"\nCOMMIT;\n"


def dump(url: str, sink: IO[bytes]) -> None:
    """Write a database in pg_dump's custom format, compressed, as of one moment; writers are not held up.

    Parameters
    ----------
    url : str
        PostgreSQL URL in any spelling.
    sink : binary file
        Receives the dump.

    Raises
    ------
    StorageError
        The server refused, or is newer than the programs.
    """
    with _program("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", stdout=subprocess.PIPE) as run:
        while chunk := run.stdout.read(_CHUNK):
            sink.write(chunk)


def load(url: str, dumped: Path) -> None:
    """Replace everything in a database by a dump, in one transaction: all of it or nothing.

    Parameters
    ----------
    url : str
        PostgreSQL URL in any spelling; its schema `public` is emptied first.
    dumped : Path
        What `dump` wrote.

    Raises
    ------
    StorageError
        The dump is damaged, or the server refused; the database is as it was.
    """
    arguments = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-")
    with _program("psql", url, *arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as psql:
        try:
            psql.stdin.write(_CLEAR)
            restoring = ("--no-owner", "--no-privileges", "--file=-", str(dumped))
            with _program("pg_restore", None, *restoring, stdout=subprocess.PIPE) as script:
                _copy_script(script.stdout, psql.stdin)
            psql.stdin.write(_COMMIT)  # not reached when pg_restore failed: without it psql's end rolls back
            psql.stdin.close()
        except BrokenPipeError:  # psql ended early, and its own words say why
            with contextlib.suppress(BrokenPipeError):
                psql.stdin.close()


def _copy_script(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy a script, leaving out of its header what servers older than 17 do not know."""
    for _ in range(_HEADER_LINES):
        line = source.readline()
        if line != _ONLY_NEWER_SERVERS:
            target.write(line)
    while chunk := source.read(_CHUNK):
        target.write(chunk)


@contextlib.contextmanager
def _program(name: str, url: str | None, *arguments: str, **streams: Any) -> Iterator[Any]:
    """Run a program beside the block; its failure is an error, and a failing block ends it."""
    environment, target = dict(CLIENT_ENVIRONMENT), "a dump"
    if url is not None:
        options: dict[str, Any] = conninfo_to_dict(libpq_url(url))
        # the password is not an argument, which lists of processes would show
        environment["PGPASSWORD"] = str(options.pop("password", ""))
        arguments, target = (*arguments, f"--dbname={make_conninfo(**options)}"), redacted(url)
    with tempfile.TemporaryFile() as said:
        try:
            run = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
                [client_directory() / name, *arguments], env=environment, stderr=said, **streams
            )
        except OSError as error:
            raise StorageError(f"{name} cannot run: {error}.", "Use the server's own programs.") from error
        with run:
            try:
                yield run
            except BaseException:
                run.kill()
                raise
            code = run.wait()
        if code != 0:
            said.seek(0)
            raise _refusal(name, target, said.read().decode("utf-8", "replace"))


def _refusal(name: str, target: str, said: str) -> StorageError:
    lines = [line.strip() for line in said.splitlines() if "error" in line.lower()] or said.splitlines() or ["nothing"]
    todo = "The wheel's programs speak no TLS and no newer server's language: use the server's own pg_dump there."
    return StorageError(f"{name} of {target} failed: {lines[0].rstrip('.')}.", todo)
