"""`regime serve` and `regime keys`: the HTTP API, and its keys.

See `api` for the routes.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Thread
from typing import Annotated, Final

import typer
import uvicorn
from rich.table import Table

from regime_pipeline.api.app import create_app
from regime_pipeline.api.auth import Scope, create_key, revoke_key
from regime_pipeline.api.bounded_connections import bounded_config
from regime_pipeline.api.context import ApiOptions
from regime_pipeline.api.kept_memory import keep_memory
from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.cli.console import err, out
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.importing import import_place
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.settings import Settings

API_PORT: Final = 8000
_ORIGIN: Final = re.compile(r"https?://(\[[0-9a-f:]+\]|[^\s/:*?#@]+)(:\d{1,5})?")
keys_app = typer.Typer(name="keys", help="Keys of the HTTP API.", no_args_is_help=True)


def serve_command(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = API_PORT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    require_key: Annotated[
        bool, typer.Option("--require-key", help="Reading needs a key too; so it is beyond the loopback anyway.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Host name answered without a key, as of a proxy in front; repeat for more."),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(help="Origin whose web pages may use the API, as https://my.site; repeat for more."),
    ] = None,
    rate: Annotated[int, typer.Option(min=1, help="Requests a minute per key or address.")] = 6_000,
) -> None:
    """Serve the HTTP API; its documentation is at /docs.

    Example: regime serve --port 8000
    """
    is_key_required = require_key or not _is_loopback(host)
    settings = Settings()
    kept_for = timedelta(hours=settings.hook_request_hours)
    options = ApiOptions(
        is_key_required,
        rate,
        hook_kept_for=kept_for,
        allowed_hosts=tuple(allow_host or ()),
        cors_origins=_origins([*settings.api_cors.split(","), *(cors or ())]),
    )
    with open_workspace(settings) as workspace:
        keys = "keys needed to read" if options.is_key_required else "reading needs no key"
        err.print(f"API: http://{host}:{port}/docs   {keys}   stop: Ctrl-C", highlight=False)
        app = create_app(workspace, options, import_place(settings, workspace))
        keep_memory()
        uvicorn.Server(bounded_config(app, host=host, port=port)).run()


def _origins(given: list[str]) -> tuple[str, ...]:
    """The origins as browsers write them; raises `UsageError` for what is none."""
    named = tuple(text.strip().lower().rstrip("/") for text in given if text.strip())
    wrong = [text for text in named if not _ORIGIN.fullmatch(text)]
    if wrong:
        raise UsageError(
            f"'{wrong[0]}' is not an origin.", "Name scheme and host of the page, and its port: http://localhost:3000."
        )
    return named


@contextmanager
def api_served(workspace: Workspace, host: str, port: int, settings: Settings | None = None) -> Iterator[str]:
    """Serve the API in the background of `regime up`; gives its address. Beyond the loopback reading needs a key.

    Without an installation's settings the API has their defaults, and nowhere to import files to.

    Raises
    ------
    UsageError
        The port is taken.
    """
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise UsageError(f"Port {port} cannot be used: {error.strerror}.", "Name another with --api-port.") from error
    options = ApiOptions(is_key_required=not _is_loopback(host))
    if settings is not None:
        kept_for = timedelta(hours=settings.hook_request_hours)
        options = replace(options, hook_kept_for=kept_for, cors_origins=_origins(settings.api_cors.split(",")))
    app = create_app(workspace, options, import_place(settings, workspace) if settings is not None else None)
    server = uvicorn.Server(bounded_config(app))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    with listener:
        thread.start()
        try:
            yield f"http://{host}:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(10)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@keys_app.command("create")
def create_command(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[Scope, typer.Option(help="What it permits; writing includes reading.")] = "read",
) -> None:
    """Make a key and show it, once: only its hash is kept.

    Example: regime keys create my-bot --scope write
    """
    with open_workspace(Settings()) as workspace:
        key = create_key(workspace.warehouse.access, name, scope)
    err.print("Keep it now: it cannot be shown again.")
    typer.echo(key)


@keys_app.command("list")
def list_command() -> None:
    """List the keys, without their secrets.

    Example: regime keys list
    """
    with open_workspace(Settings()) as workspace:
        found = workspace.warehouse.access.keys()
    table = Table(pad_edge=False)
    for header in ("id", "name", "scope", "created", "revoked"):
        table.add_column(header)
    for key in found:
        revoked = f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else ""
        table.add_row(key.key_id, key.name, key.scope, f"{key.created_at:%Y-%m-%d %H:%M}", revoked)
    out.print(table)


@keys_app.command("revoke")
def revoke_command(key_id: Annotated[str, typer.Argument(help="Its id, as `regime keys list` shows it.")]) -> None:
    """Revoke a key at once.

    Example: regime keys revoke 5f0c9b6e1d2a
    """
    with open_workspace(Settings()) as workspace:
        revoke_key(workspace.warehouse.access, key_id)
    out.print(f"Revoked {key_id}.")
