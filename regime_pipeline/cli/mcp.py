"""`regime mcp`: the read-only tools for AI agents, over stdio or HTTP.

See `regime_pipeline.mcp` for what they answer.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Final, Literal

import typer

from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.cli.console import OK, err
from regime_pipeline.domain.errors import StorageError, UsageError
from regime_pipeline.settings import Settings
from regime_pipeline.storage.embedded.server import embedded_server

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_STOPS: Final = (signal.SIGINT, signal.SIGTERM)


def mcp_command(
    transport: Annotated[
        Literal["stdio", "http"], typer.Option(help="stdio for a host that starts the server itself, or http.")
    ] = "stdio",
    host: Annotated[str, typer.Option(help="Address to listen on (http).")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on (http); 0 for a free one.")] = 8900,
) -> None:
    """Serve read-only tools to AI agents by the Model Context Protocol.

    Example: regime mcp --transport http --port 8900
    """
    try:
        from regime_pipeline.mcp.server import serve_http, serve_stdio
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise UsageError("`regime mcp` needs the package mcp.", "pip install 'regime-pipeline[mcp]'") from error
    settings = Settings()
    with open_workspace(settings) as workspace:
        if transport == "stdio":
            with _stopped_by(lambda: _leave_at_once(settings)):
                serve_stdio(workspace)
            return
        if host not in _LOOPBACK:
            err.print(f"Anyone who can reach {host} can read: there is no password.", style="yellow", highlight=False)
        with _stopped_by(_leave):
            serve_http(workspace, host, port, _announce)


def _announce(url: str) -> None:
    err.print(f"MCP server: {url}   stop: Ctrl-C", highlight=False, soft_wrap=True)


@contextmanager
def _stopped_by(leave: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the server; while it ends they change nothing, so that nothing is left behind."""
    for number in _STOPS:
        signal.signal(number, lambda *_: leave())
    try:
        yield
    finally:
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)


def _leave() -> None:
    raise SystemExit(OK)


def _leave_at_once(settings: Settings) -> None:
    """End the process, and the embedded server with it; the thread that waits for stdin cannot be ended otherwise."""
    with suppress(StorageError):
        embedded_server(settings.home, settings.postgres_account).release()
    os._exit(OK)
