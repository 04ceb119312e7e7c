"""The tools as an MCP server, over stdio or streamable HTTP; the only module that needs the package `mcp`.

See `tools` for what is served.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any, Final

import anyio
import mcp_types as types
import uvicorn
from anyio.to_thread import run_sync
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from regime_pipeline import __version__
from regime_pipeline.domain.errors import RegimeError, UsageError
from regime_pipeline.mcp.tools import INSTRUCTIONS, TOOLS, RegimeTool, call_tool
from regime_pipeline.services.chain.workspace import Workspace

PATH: Final = "/mcp"
_AT_ONCE: Final = 4
"""Questions answered at the same time; more wait."""
_READ_ONLY: Final = {"read_only_hint": True, "destructive_hint": False, "idempotent_hint": True}
_log = logging.getLogger(__name__)


def build_server(ws: Workspace) -> Server[Any]:
    """Return the server on a workspace, ready for any transport."""
    tools = [_described(name, tool) for name, tool in TOOLS.items()]
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def listed(_: ServerRequestContext[Any], __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    async def called(_: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
        return await run_sync(answer, ws, params.name, params.arguments or {}, limiter=limiter)

    return Server(
        "regime_pipeline",
        title="Market regimes",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=listed,
        on_call_tool=called,
    )


def serve_stdio(ws: Workspace) -> None:
    """Serve the one client at the other end of stdin and stdout, until it closes them."""
    server = build_server(ws)

    async def serve() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(serve)


def serve_http(ws: Workspace, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve clients over HTTP until interrupted.

    Parameters
    ----------
    ws : Workspace
        What the tools read.
    host : str
        Address to listen on.
    port : int
        0 for any that is free.
    announce : callable
        Called with the URL once the server is listening.

    Raises
    ------
    UsageError
        The server cannot listen on this address.
    """
    app = build_server(ws).streamable_http_app(
        streamable_http_path=PATH, json_response=True, stateless_http=True, host=host
    )
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    with _listener(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        announce(f"http://{shown}:{listener.getsockname()[1]}{PATH}")
        uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(
            f"{host} port {port} cannot be used: {error.strerror}.", "Choose others with --host and --port."
        ) from error


def _described(name: str, tool: RegimeTool[Any]) -> types.Tool:
    return types.Tool(
        name=name,
        title=tool.title,
        description=tool.description,
        input_schema=_lean(tool.arguments.model_json_schema()),
        annotations=types.ToolAnnotations(title=tool.title, open_world_hint=False, **_READ_ONLY),
    )


def _lean(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema without what tells an agent nothing."""
    fields = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in schema["properties"].items()
    }
    kept = {key: value for key, value in schema.items() if key not in ("title", "description")}
    return {**kept, "properties": fields}


def answer(ws: Workspace, name: str, given: dict[str, Any]) -> types.CallToolResult:
    """Return an answer, or an error in a sentence; what was not foreseen is logged and not shown."""
    try:
        return _text(call_tool(ws, name, given))
    except RegimeError as error:
        return _text(str(error), is_error=True)
    except Exception:
        _log.exception("The tool %s failed", name)
        return _text(f"{name} failed inside the server; its log says why.", is_error=True)


def _text(text: str, *, is_error: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=is_error)
