"""`regime mcp`: the read-only tools for AI agents, over stdio or HTTP.

What they answer stands in `regime_pipeline.mcp`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from regime_pipeline.cli.console import err
from regime_pipeline.composition import open_workspace
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.settings import Settings

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


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
    with open_workspace(Settings()) as workspace:
        if transport == "stdio":
            serve_stdio(workspace)
            return
        if host not in _LOOPBACK:
            err.print(f"Everybody who reaches {host} can read: there is no password.", style="yellow", highlight=False)
        serve_http(workspace, host, port, _announce)


def _announce(url: str) -> None:
    err.print(f"MCP server: {url}   stop: Ctrl-C", highlight=False, soft_wrap=True)
