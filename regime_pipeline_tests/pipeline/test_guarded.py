"""Tests of `pipeline.guarded`: the programs that replace Dagster's own, and the way to the open graph."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import psutil
import pytest
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.origin import get_python_environment_entry_point
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.constants import GrpcServerCommand
from dagster._serdes import deserialize_value
from dagster._utils.error import SerializableErrorInfo
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from regime_pipeline.bootstrap import build_definitions
from regime_pipeline.pipeline.guarded.dev import MONITOR, PROGRAMS, guarded, watched_after_errors
from regime_pipeline.pipeline.guarded.retries import is_news
from regime_pipeline.pipeline.guarded.webserver import LINEAGE, GuardedWebserver, lineage
from regime_pipeline.settings import Settings
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.e2e.regime_up import until


def test_the_lineage_opens_with_every_group_of_the_chain(tmp_path: Path) -> None:
    definitions = build_definitions(Settings(home=tmp_path, markets=REPOSITORY / "markets.toml"))
    specs = definitions.resolve_all_asset_specs()
    client = TestClient(Starlette(routes=[Route(LINEAGE, lineage)]), follow_redirects=False)

    led = urlsplit(client.get(LINEAGE).headers["location"])

    assert len(specs) == 10, "eight of the chain, the site, and the source of candles"
    assert led.path == "/asset-groups"
    opened = parse_qs(led.query)["expanded"][0].split(",")
    assert sorted(opened) == sorted({f"global@global:{spec.group_name}" for spec in specs})


@pytest.mark.parametrize(("host", "status"), [("ui.example", 307), ("localhost:3000", 307), ("evil.example", 403)])
def test_the_ui_answers_by_the_names_that_are_set(monkeypatch: pytest.MonkeyPatch, host: str, status: int) -> None:
    monkeypatch.setenv("REGIME_UI_HOSTS", "UI.example, ui.other.example")
    layers = object.__new__(GuardedWebserver).build_middleware()
    app = Starlette(routes=[Route(LINEAGE, lineage)], middleware=layers)

    answer = TestClient(app, follow_redirects=False).head(LINEAGE, headers={"Host": host})

    assert answer.status_code == status


def test_every_asset_links_to_the_dashboard_and_names_its_page_of_the_documentation(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, markets=REPOSITORY / "markets.toml", dashboard_url="http://127.0.0.1:8090/")
    for spec in build_definitions(settings).resolve_all_asset_specs():
        assert spec.metadata["dashboard"] == dg.MetadataValue.url("http://127.0.0.1:8090/")
        assert (REPOSITORY / spec.metadata["documented_in"]).is_file()
    without = build_definitions(Settings(home=tmp_path, markets=REPOSITORY / "markets.toml"))
    assert all("dashboard" not in spec.metadata for spec in without.resolve_all_asset_specs())


def test_a_range_of_partitions_may_be_asked_of_every_asset_at_once(tmp_path: Path) -> None:
    definitions = build_definitions(Settings(home=tmp_path, markets=REPOSITORY / "markets.toml"))
    graph = definitions.resolve_asset_graph()
    policies = {graph.get(key).backfill_policy for key in graph.materializable_asset_keys}
    assert policies == {dg.BackfillPolicy.single_run()}, "Dagster's command line refuses the range otherwise"


def test_each_of_dagster_s_programs_and_its_replacement_is_there() -> None:
    assert all(find_spec(name.split()[0]) for pair in PROGRAMS.items() for name in pair)


def test_commands_of_dagster_s_programs_start_ours_with_the_same_options() -> None:
    start = [*get_python_environment_entry_point("python"), *GrpcServerCommand.CODE_SERVER_START.server_command]
    ours = ["python", "-m", PROGRAMS["dagster code-server"], "start", "--socket", "here"]
    assert guarded([*start, "--socket", "here"]) == ours
    assert guarded(["python", "-m", "dagster._daemon", "run"]) == ["python", "-m", PROGRAMS["dagster._daemon"], "run"]
    assert guarded(["python", "-m", "dagster", "api", "grpc"]) == ["python", "-m", "dagster", "api", "grpc"]


def test_a_code_server_that_could_not_be_started_is_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Dagster's own watch ends with the first error, and with `dagster dev` as it should."""
    monkeypatch.setenv("DAGSTER_CODE_SERVER_AUTO_RESTART_INTERVAL", "0")
    manager, ended = object.__new__(ProxyServerManager), threading.Event()
    manager._ProxyServerManager__shutdown_event = ended  # type: ignore[attr-defined]
    starts = []

    def start() -> None:
        starts.append(1)
        if len(starts) < 3:
            raise RuntimeError('gRPC server exited with return code 1 while starting up with the command: "python"')
        ended.set()

    dead = SimpleNamespace(server_process=SimpleNamespace(poll=lambda: 1), start_server_process=start)
    with pytest.raises(RuntimeError, match="while starting up"):
        getattr(manager, MONITOR)(dead)
    watched_after_errors(getattr(ProxyServerManager, MONITOR))(manager, dead)

    assert len(starts) == 3
    said = [text for text in caplog.messages if text.startswith("The code server could not be started")]
    assert len(said) == 1
    assert said[0].endswith("is started again: gRPC server exited with return code 1 while starting up")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], tuple[subprocess.Popen[bytes], DagsterGrpcClient]]]:
    """Start our code server on code of one line; return its process, and a client once it answers."""
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str) -> tuple[subprocess.Popen[bytes], DagsterGrpcClient]:
        (tmp_path / "code.py").write_text(code, "utf-8")
        command = [sys.executable, "-m", PROGRAMS["dagster code-server"], "start", "-f", str(tmp_path / "code.py")]
        environment = {**os.environ, "DAGSTER_HOME": str(tmp_path)}
        process = subprocess.Popen([*command, "--socket", str(tmp_path / "socket")], env=environment)
        started.append(process)
        until(60, lambda: True if (tmp_path / "socket").exists() else None, "the code server's start", 0.1)
        return process, DagsterGrpcClient(socket=str(tmp_path / "socket"))

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def children_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [each for each in psutil.Process(process.pid).children() if each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_a_code_server_whose_child_is_killed_ends_and_one_that_reloads_goes_on(
    serve: Callable[[str], tuple[subprocess.Popen[bytes], DagsterGrpcClient]],
) -> None:
    process, client = serve("import dagster as dg; defs = dg.Definitions()")
    (first,) = children_of(process)
    client.reload_code(timeout=60)
    first.wait(30)
    (second,) = children_of(process)
    assert second.pid != first.pid
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)

    second.kill()

    assert process.wait(15) == 1


@pytest.mark.slow
def test_a_code_server_whose_child_is_killed_while_it_loads_ends(
    serve: Callable[[str], tuple[subprocess.Popen[bytes], DagsterGrpcClient]],
) -> None:
    process, _ = serve("import os; os.kill(os.getpid(), 9)")

    assert process.wait(15) == 1


@pytest.mark.slow
def test_code_that_ends_its_process_leaves_a_code_server_that_says_so(
    serve: Callable[[str], tuple[subprocess.Popen[bytes], DagsterGrpcClient]],
) -> None:
    process, client = serve("import os; os._exit(3)")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    answer = deserialize_value(client.list_repositories(), SerializableErrorInfo)
    assert "return code 3" in answer.to_string()


def test_a_new_home_s_first_start_is_not_news() -> None:
    def says(text: str) -> bool:
        return is_news(logging.LogRecord("daemon", logging.WARNING, "", 0, text, None, None))

    assert not says("No cursor for event type DagsterEventType.RUN_FAILURE, ignoring older events")
    assert says("Run monitoring found a run that was lost")
