"""What the server offers, what it leaves alone, and how the command starts and ends it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from regime_pipeline import __version__
from regime_pipeline.cli import mcp as command
from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.mcp import arguments, server
from regime_pipeline.mcp.tools import TOOLS
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.storage.embedded.server import EmbeddedServer
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.mcp.fixtures import COMMAND, Agent, Desk

pytestmark = pytest.mark.postgres
NAMES = [
    *("list_markets", "current_regime", "find_periods", "transition_stats", "confidence_stats", "regime_performance"),
    *("explain_verdict", "compare_grid", "grid_events", "verdict_history", "hold_probability"),
]
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def test_exactly_these_tools_that_only_read(agent: Agent) -> None:
    tools = agent.tools()

    assert list(tools) == NAMES
    for tool in tools.values():
        hints = tool.annotations
        assert hints is not None
        assert (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint) == (True, False, True)
        assert hints.open_world_hint is False
        assert tool.title == hints.title
        assert tool.input_schema["additionalProperties"] is False
        assert all(field["description"] for field in tool.input_schema["properties"].values())


def test_the_server_introduces_itself(agent: Agent) -> None:
    info, said = agent.client.server_info, agent.client.instructions

    assert (info.name, info.version) == ("regime_pipeline", __version__)
    assert said is not None
    assert all(name in said for name in (*SIMPLIFIED, "RANGE_OK", "next_cursor", "list_markets"))


@pytest.mark.parametrize("name", NAMES)
def test_the_example_in_a_description_can_be_asked(name: str) -> None:
    tool = TOOLS[name]
    (example,) = re.findall(r"Example: (\{.*\})\.$", tool.description)

    asked = arguments.read_arguments(tool.arguments, name, json.loads(example))

    assert json.loads(example).items() <= asked.model_dump().items()


def test_the_documentation_names_every_tool_and_argument_and_its_json_is_json() -> None:
    text = (REPOSITORY / "docs" / "mcp.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\|([^|]*)\|$", text, re.MULTILINE))
    documents = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]

    assert list(rows) == NAMES
    for name, words in rows.items():
        known = set(TOOLS[name].arguments.model_fields) - {"symbol", "timeframe"}
        assert set(re.findall(r"`(\w+)`", words)) == known
    assert documents[0]["mcpServers"]["regimes"]["args"] == ["mcp"]
    assert len(documents) == 5


def test_every_argument_and_its_bounds_are_in_the_schema(agent: Agent) -> None:
    schema = agent.tools()["find_periods"].input_schema

    assert list(schema["properties"]) == ["symbol", "timeframe", "start", "end", "limit", "cursor", "regime"]
    assert schema["required"] == ["symbol"]
    limit = schema["properties"]["limit"]
    assert (limit["default"], limit["minimum"], limit["maximum"]) == (50, 1, 200)
    assert "15m" in schema["properties"]["timeframe"]["description"]
    assert all(name in schema["properties"]["regime"]["description"] for name in SIMPLIFIED)


def test_questions_write_nothing(desk: Desk, library: Workspace) -> None:
    before = rows_of_every_table(library.warehouse.url)

    for name in NAMES:
        given: dict[str, Any] = {} if name == "list_markets" else {"symbol": "BTC-USDT"}
        desk.ask(name, **given | ({"time": "2025-01-09T12:00:00Z"} if name == "explain_verdict" else {}))

    assert rows_of_every_table(library.warehouse.url) == before
    assert before["runs"] > 5


def rows_of_every_table(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        names = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        counted = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone() for name in names}
    return {name: row[0] for name, row in counted.items() if row is not None}


def test_many_questions_at_once_get_the_answers_of_one(programs: dict[str, Agent]) -> None:
    for agent in programs.values():
        asked = [{"symbol": "BTC-USDT", "regime": name, "limit": 7} for name in SIMPLIFIED] * 3
        alone = [agent.text("find_periods", **given) for given in asked[: len(SIMPLIFIED)]]

        waiting = [agent.portal.start_task_soon(agent.client.call_tool, "find_periods", given) for given in asked]

        assert [future.result(60).content[0].text for future in waiting] == alone * 3


def test_a_web_page_of_somebody_else_cannot_ask(programs: dict[str, Agent]) -> None:
    """A name that an attacker points at the loopback address is refused by its Host header."""
    url = str(programs["http"].client.server)
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def status(**more: str) -> int:
        request = urllib.request.Request(url, json.dumps(HELLO).encode(), {**headers, **more})
        try:
            with opener.open(request, timeout=60) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            with error:
                return int(error.code)

    assert status() == 200
    assert status(Host="rebound.example") == 421
    assert status(Origin="http://rebound.example") == 403


def test_a_port_in_use_is_a_sentence(library: Workspace) -> None:
    announced: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1 port {port} cannot be used: .* Choose others"):
            server.serve_http(library, "127.0.0.1", port, announced.append)
    assert announced == []


def test_without_the_package_mcp_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mcp", "mcp_types")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "regime_pipeline.mcp.server")

    assert regime(monkeypatch, "mcp") == 2

    said = " ".join(capsys.readouterr().err.split())
    assert said == "Error: `regime mcp` needs the package mcp. pip install 'regime-pipeline[mcp]'"


@pytest.fixture
def signals() -> Iterator[None]:
    """Handlers as they were."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("words", "called", "is_warned"),
    [
        ([], ("127.0.0.1", 8900), False),
        (["--port", "0"], ("127.0.0.1", 0), False),
        (["--host", "0.0.0.0", "--port", "9000"], ("0.0.0.0", 9000), True),
    ],
)
@pytest.mark.usefixtures("signals")
def test_the_address_is_the_loopback_unless_another_is_given(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    called: tuple[str, int],
    is_warned: bool,
) -> None:
    calls: list[tuple[object, ...]] = []

    def serve(workspace: object, host: str, port: int, announce: Callable[[str], None]) -> None:
        announce(f"http://{host}:{port}/mcp")
        calls.append((workspace, host, port))
        signal.raise_signal(signal.SIGTERM)

    @contextmanager
    def opened(_: object) -> Iterator[str]:
        yield "workspace"
        calls.append(("not reached",))

    monkeypatch.setattr(server, "serve_http", serve)
    monkeypatch.setattr(command, "open_workspace", opened)

    assert regime(monkeypatch, "mcp", "--transport", "http", *words) == 0

    said = capsys.readouterr().err
    assert calls == [("workspace", *called)]
    assert f"MCP server: http://{called[0]}:{called[1]}/mcp" in said
    assert ("there is no password" in said) == is_warned


def test_the_embedded_server_ends_with_the_last_command_that_uses_it(home: Path) -> None:
    (home / "markets.toml").write_text("[partitions]\nstart = 2026-09-01T00:00:00Z\n", "utf-8")
    unset = {"REGIME_DATABASE_URL", "REGIME_MARKETS"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment["REGIME_HOME"] = str(home)
    with started(environment) as told, started(environment) as closed:
        assert name_of(told) == name_of(closed) == "regime_pipeline"

        told.terminate()
        assert told.wait(60) == 0
        assert EmbeddedServer(home).status().is_running

        rest = closed.communicate(timeout=60)
        assert (closed.returncode, rest) == (0, ("", ""))
        assert not EmbeddedServer(home).status().is_running


def started(environment: dict[str, str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(COMMAND, env=environment, cwd=REPOSITORY, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def name_of(process: subprocess.Popen[str]) -> str:
    """Greet a server and return its name."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(HELLO) + "\n")
    process.stdin.flush()
    return str(json.loads(process.stdout.readline())["result"]["serverInfo"]["name"])
