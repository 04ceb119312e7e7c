"""An agent as the tests need it: the official client behind plain calls, and the programs it talks to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters
from mcp_types import Tool

from regime_pipeline.domain.errors import RegimeError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.mcp.responses import MAX_BYTES
from regime_pipeline.mcp.tools import call_tool
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline_tests.conftest import REPOSITORY

COMMAND = [sys.executable, "-W", "error", "-c", "from regime_pipeline.cli.app import main; main()", "mcp"]
BTC = Market("BTC-USDT", "1h")
"""Regimes of 2024 and a few days around it, verdicts and advice of the last `CHAIN`."""
QUARTERS = BTC.on("15m")
"""Regimes of the same span."""
ETH = Market("ETH-USDT", "15m")
"""Candles alone: no regime is stored, no verdict."""
YEAR = Window(to_ms("2023-12-10T00:00:00Z"), to_ms("2025-01-10T00:00:00Z"))
CHAIN = Window(YEAR.end_ms - 360 * HOUR_MS, YEAR.end_ms)
MOMENTS = {
    "made": YEAR.end_ms - 200 * HOUR_MS,
    "stopped": YEAR.end_ms - 20 * HOUR_MS,
    "moved": YEAR.end_ms - 2 * HOUR_MS,
}
"""Of the grid of BTC-USDT: version 1, the stop that makes version 2, and version 3, made after the advice."""


class RefusalError(Exception):
    """A tool's error, in its own words."""


class Asker:
    """Whoever can ask a tool."""

    def text(self, tool: str, **arguments: Any) -> str:
        """The JSON text of an answer."""
        raise NotImplementedError

    def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """An answer, whose size and frame are checked on the way."""
        text = self.text(tool, **arguments)
        assert len(text.encode()) <= MAX_BYTES
        answer = dict(orjson.loads(text))
        assert answer["returned"] == len(answer.get("rows", [0]))
        assert answer["truncated"] == (answer["next_cursor"] is not None)
        return answer

    def pages(self, tool: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Every page, the last of which has no cursor."""
        cursor = None
        while True:
            answer = self.ask(tool, **arguments, cursor=cursor)
            yield answer
            cursor = answer["next_cursor"]
            if cursor is None:
                return

    def every_row(self, tool: str, **arguments: Any) -> list[dict[str, Any]]:
        """The rows of every page."""
        return [row for answer in self.pages(tool, **arguments) for row in answer["rows"]]


@dataclass(frozen=True)
class Desk(Asker):
    """The tools in this process, on a workspace."""

    workspace: Workspace

    def text(self, tool: str, **arguments: Any) -> str:
        try:
            return call_tool(self.workspace, tool, arguments)
        except RegimeError as error:
            raise RefusalError(str(error)) from error


@dataclass(frozen=True)
class Agent(Asker):
    """The official client at a running server."""

    client: Client
    portal: BlockingPortal

    def text(self, tool: str, **arguments: Any) -> str:
        result = self.portal.call(self.client.call_tool, tool, arguments)
        (content,) = result.content
        if result.is_error:
            raise RefusalError(content.text)
        return str(content.text)

    def tools(self) -> dict[str, Tool]:
        """What the server offers, by name."""
        return {tool.name: tool for tool in self.portal.call(self.client.list_tools).tools}


@contextmanager
def connected(server: StdioServerParameters | str, mode: str = "auto") -> Iterator[Agent]:
    """Connect the official client to a program or a URL."""
    with start_blocking_portal() as portal:
        client = Client(server, mode=mode, read_timeout_seconds=120)
        with portal.wrap_async_context_manager(client):
            yield Agent(client, portal)


def over_stdio(environment: dict[str, str]) -> StdioServerParameters:
    """How the client starts `regime mcp`."""
    return StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=environment, cwd=REPOSITORY)


@contextmanager
def served_over_http(environment: dict[str, str]) -> Iterator[Callable[[], str]]:
    """Run `regime mcp --transport http` on a free port; yield what waits for its URL."""
    with subprocess.Popen(
        [*COMMAND, "--transport", "http", "--port", "0"],
        env=environment,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield partial(_url, process)
        finally:
            process.terminate()
            _, rest = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "Traceback" not in rest


def _url(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said = process.stderr.readline()
    assert said.startswith("MCP server: http://127.0.0.1:"), said + process.stderr.read()
    return said.split()[2]


def environment(database_url: str, folder: Path) -> dict[str, str]:
    """The surroundings of the programs: the tests' database, and a home in a folder."""
    (folder / "markets.toml").write_text("[partitions]\nstart = 2023-12-10T00:00:00Z\n", "utf-8")
    settings = {"REGIME_HOME": str(folder), "REGIME_DATABASE_URL": database_url, "COLUMNS": "200"}
    return {**os.environ, "NO_PROXY": "127.0.0.1", **settings}
