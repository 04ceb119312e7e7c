"""`regime db`: start, stop, inspect, back up and move the database, upgrade its schema, print its URL.

See `storage.embedded` and `storage.admin` for the operations; this module handles options and exit codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from regime_pipeline.cli.console import DATA_MISSING, PARTLY_DONE, out
from regime_pipeline.domain.errors import MissingDataError, RegimeError, UsageError
from regime_pipeline.settings import Settings
from regime_pipeline.storage.databases import (
    DatabaseUrls,
    embedded_urls,
    ensure_databases,
    external_urls,
    resolve_database,
    server_version,
)
from regime_pipeline.storage.embedded.server import EmbeddedServer, ServerStatus
from regime_pipeline.storage.urls import redacted

_NOT_RUNNING = "The embedded PostgreSQL does not run."
_HOW_TO_START = "Start it with `regime db start`."

db_app = typer.Typer(name="db", help="The database: embedded server, schema, URL.", no_args_is_help=True)


@db_app.command()
def start() -> None:
    """Start the embedded PostgreSQL; it stays until `regime db stop`."""
    settings = Settings()
    server = _embedded(settings)
    urls = embedded_urls(server.start_detached(), settings.dagster_database_url)
    ensure_databases(urls.regimes, urls.dagster)
    _say(f"PostgreSQL {server_version(urls.regimes)} runs in {server.status().directory}.")
    _say("It stays until `regime db stop`; `regime db url` prints its URL.")


@db_app.command()
def stop(
    force: Annotated[bool, typer.Option("--force", help="Stop it even while processes use it.")] = False,
) -> None:
    """Stop the embedded PostgreSQL, or leave that to the last process that uses it."""
    if not _embedded(Settings()).stop(force=force):
        _say("Processes still use the database: the last of them will stop it. To stop it now, add --force.")
        raise typer.Exit(PARTLY_DONE)
    _say("The embedded PostgreSQL is stopped.")


@db_app.command()
def status() -> None:
    """Show which server is used, whether it runs and has the current schema; exit code 1 when it does not run."""
    settings = Settings()
    server = None if settings.database_url else _embedded(settings).status()
    urls = _urls(settings, server)
    table = Table.grid(padding=(0, 2))
    for name, value in _status_rows(server, urls):
        table.add_row(name, Text(value, overflow="fold"))
    out.print(table)
    if urls is None:
        raise typer.Exit(DATA_MISSING)


@db_app.command()
def upgrade() -> None:
    """Bring the schema of the database to this version of the package, creating the database if absent."""
    from regime_pipeline.storage.admin.migrate import upgrade as upgrade_schema  # alembic is slow to import

    urls = _open_urls()
    _say(f"The schema of {redacted(urls.regimes)} is at revision {upgrade_schema(urls.regimes)}.")


@db_app.command()
def backup(
    path: Annotated[Path, typer.Argument(help="The archive to write; must not exist yet.")],
) -> None:
    """Write both databases, ours and Dagster's, into one checked archive; work may go on meanwhile.

    Snapshot files are not part of it: copy them with any tool, they are never rewritten.

    Example: regime db backup /backups/2026-11-21.regime
    """
    from regime_pipeline.storage.admin.backup import write_backup  # alembic is slow to import

    written = write_backup(_open_urls(), path.expanduser().absolute())
    size = sum(entry.bytes for entry in written.dumps.values())
    _say(f"{path}: {size:,} bytes, schema revision {written.schema_revision}, PostgreSQL {written.server_version}.")


@db_app.command()
def restore(
    path: Annotated[Path, typer.Argument(help="What `regime db backup` wrote.")],
    replace: Annotated[bool, typer.Option("--replace", help="Delete the data in the databases.")] = False,
) -> None:
    """Make both databases what an archive holds, verified first; older schemas are brought up to date.

    Example: REGIME_HOME=~/regime-restored regime db restore /backups/2026-11-21.regime
    """
    from regime_pipeline.storage.admin.backup import restore_backup  # alembic is slow to import

    restored = restore_backup(_open_urls(), path.expanduser().absolute(), is_replacing=replace)
    _say(f"Restored what was backed up at {restored.created_at} (schema revision {restored.schema_revision}).")


@db_app.command()
def roles(
    prefix: Annotated[str, typer.Option(help="What the names of the roles begin with.")] = "regime",
    print_sql: Annotated[bool, typer.Option("--print", help="Print the SQL for an administrator instead.")] = False,
) -> None:
    """Create or correct the roles PREFIX_reader, PREFIX_viewer (views only) and PREFIX_writer; repeat after an upgrade.

    Example: regime db roles; then in psql: CREATE ROLE grafana LOGIN PASSWORD '...' IN ROLE regime_viewer
    """
    from regime_pipeline.storage.admin.roles import apply_roles, roles_sql

    if print_sql:
        typer.echo(roles_sql(prefix))
    else:
        _say(f"The roles {', '.join(apply_roles(_open_urls().regimes, prefix))} have least privileges.")


@db_app.command("adopt-snapshots")
def adopt_snapshots() -> None:
    """Make the snapshots under REGIME_SNAPSHOT_ROOT this database's, after they were moved or begun again.

    Example: REGIME_SNAPSHOT_ROOT=/mnt/regime/snapshots regime db adopt-snapshots
    """
    from regime_pipeline.bootstrap import open_workspace

    with open_workspace(Settings()) as workspace:
        workspace.warehouse.snapshot_claims.adopt(workspace.snapshots)
        _say(f"The snapshots in {workspace.snapshots.root} are this database's.")


@db_app.command("compact-snapshots")
def compact_snapshots(
    before: Annotated[
        str, typer.Option(help="Compact the days that had ended by this time: -7d, or 2026-01-01.")
    ] = "-2d",
) -> None:
    """Merge the hourly snapshot files of past days into one file per day and market: same content, faster to read.

    Corrected hours keep their own files. You may stop it at any moment: nothing is lost.

    Example: regime db compact-snapshots --before 2026-01-01
    """
    from regime_pipeline.bootstrap import read_universe
    from regime_pipeline.cli.names import named_moment
    from regime_pipeline.services.chain.workspace import system_clock
    from regime_pipeline.storage.snapshots.compaction import Compaction, compact
    from regime_pipeline.storage.snapshots.store import SnapshotStore

    settings, now_ms = Settings(), system_clock()
    universe, store = read_universe(settings), SnapshotStore(settings.snapshot_root)
    end_ms = min(named_moment(before, now_ms), now_ms)
    done = sum((compact(store, market, universe.start_ms, end_ms) for market in universe.markets), Compaction())
    if done == Compaction():
        _say(f"There is nothing to compact in {store.root}.")
    else:
        _say(f"Merged {done.files} hourly files into daily files, {done.days} of them new, in {store.root}.")


@db_app.command()
def move() -> None:
    """Move the embedded database to the installed major version of PostgreSQL; the old cluster is kept."""
    from regime_pipeline.storage.admin.upgrade import move_cluster  # alembic is slow to import

    settings = Settings()
    _embedded(settings)
    moved = move_cluster(settings.home, settings.postgres_account)
    _say(f"The database moved from PostgreSQL {moved.old} to {moved.new}.")
    _say(f"Remove {moved.kept} once you trust it.")


@db_app.command()
def url(
    dagster: Annotated[bool, typer.Option("--dagster", help="The URL of Dagster's instance instead.")] = False,
) -> None:
    """Print the URL of the database with its password, as in `psql "$(regime db url)"`."""
    settings = Settings()
    urls = _urls(settings, None if settings.database_url else _embedded(settings).status())
    if urls is None:
        raise MissingDataError(_NOT_RUNNING, _HOW_TO_START)
    typer.echo(urls.dagster if dagster else urls.regimes)


def _open_urls() -> DatabaseUrls:
    """Return the databases that the settings name, reachable and existing."""
    settings = Settings()
    return resolve_database(
        settings.home, settings.database_url, settings.dagster_database_url, settings.postgres_account
    )


def _embedded(settings: Settings) -> EmbeddedServer:
    """Return the home's server, unless the settings name another."""
    if settings.database_url:
        raise UsageError(
            f"REGIME_DATABASE_URL names a server of yours ({redacted(settings.database_url)}), not the embedded one.",
            "Use that server's own tools, or unset REGIME_DATABASE_URL.",
        )
    return EmbeddedServer(settings.home, settings.postgres_account)


def _urls(settings: Settings, server: ServerStatus | None) -> DatabaseUrls | None:
    """Return the URLs that are in force now, or None while the embedded server does not run."""
    if settings.database_url:
        return external_urls(settings.database_url, settings.dagster_database_url)
    if server is None or server.url is None:
        return None
    return embedded_urls(server.url, settings.dagster_database_url)


def _status_rows(server: ServerStatus | None, urls: DatabaseUrls | None) -> Iterator[tuple[str, str]]:
    if server is None:
        yield "server", "external"
    else:
        yield "server", _embedded_state(server)
        yield "directory", str(server.directory)
        yield "account", server.account
    if urls is not None:
        yield "version", _or_fault(lambda: server_version(urls.regimes))
        yield "regimes", redacted(urls.regimes)
        yield "dagster", redacted(urls.dagster)
        yield "schema", _or_fault(lambda: _schema_state(urls.regimes))


def _embedded_state(server: ServerStatus) -> str:
    if not server.is_running:
        return f"embedded, stopped. {_HOW_TO_START}"
    until = "`regime db stop`" if server.is_kept else "its last client leaves"
    use = "in use" if server.has_clients else "idle"
    return f"embedded, {use}, running until {until} (process {server.postmaster_pid})"


def _schema_state(database: str) -> str:
    from regime_pipeline.storage.admin.migrate import check  # alembic is slow to import

    check(database)
    return "current"


def _or_fault(ask: Callable[[], str]) -> str:
    """Return an answer, or the sentence of the failure: a status shows what it can."""
    try:
        return ask()
    except RegimeError as error:
        return str(error)


def _say(sentence: str) -> None:
    out.print(sentence, markup=False, highlight=False, soft_wrap=True)
