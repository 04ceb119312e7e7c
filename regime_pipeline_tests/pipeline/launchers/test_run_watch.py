"""Tests of `launchers.run_watch`: a code server looks for lost runs again after a look that failed."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from dagster._grpc.server import DagsterApiServer

from regime_pipeline.pipeline.launchers.run_watch import LOOK, keep_watching


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a server saw at each of its looks; the first fails as one does while PostgreSQL is away."""
    seen: list[str] = []

    def look(server: DagsterApiServer) -> None:
        seen.append("lost runs")
        if len(seen) == 1:
            raise ConnectionError("the server is starting up")

    monkeypatch.setattr(DagsterApiServer, LOOK, look)
    return seen


def look_of_a_server() -> Callable[[], None]:
    """What its thread calls."""
    look: Callable[[], None] = getattr(object.__new__(DagsterApiServer), LOOK)
    return look


def test_a_look_that_fails_is_in_the_log_and_not_the_last(
    looks: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["dagster", "api", "grpc", "--socket", "somewhere"])
    keep_watching()
    look = look_of_a_server()

    look()
    look()

    assert looks == ["lost runs"] * 2
    assert "the server is starting up" in caplog.text
    assert len(caplog.records) == 1


def test_other_processes_keep_dagster_s_own(looks: list[str]) -> None:
    keep_watching()

    with pytest.raises(ConnectionError):
        look_of_a_server()()


def test_this_dagster_s_thread_makes_the_look_that_is_mended() -> None:
    assert LOOK in DagsterApiServer._cleanup_thread.__code__.co_names
