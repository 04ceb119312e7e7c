"""`regime up` without Dagster: one for each home, the embedded server kept alive, a dead child started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from regime_pipeline.cli.up import UP_MARK, end_leftovers, only_one, require_free, reviver
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.settings import Settings
from regime_pipeline.storage.embedded.server import embedded_server

pytestmark = pytest.mark.slow

SERVE = """
import sys
from regime_pipeline.cli import up
up._LIVED_S, up._FIRST_PAUSE_S = float(sys.argv[1]), 0.01
sys.exit(up.serve([sys.executable, "-c", sys.argv[2]], {}, lambda: None))
"""
COUNTED = """
import os, pathlib, signal
starts = pathlib.Path({file!r})
starts.write_text(starts.read_text() + "x")
if len(starts.read_text()) == 3:
    os.kill(os.getppid(), signal.SIGTERM)
    signal.pause()
"""


def serve(lived_s: float, program: str) -> int:
    done = subprocess.run([sys.executable, "-c", SERVE, str(lived_s), program], timeout=120, check=False)
    return done.returncode


def test_a_home_has_one_regime_up(tmp_path: Path) -> None:
    first = only_one(tmp_path)
    with pytest.raises(UsageError, match="Another `regime up` serves"):
        only_one(tmp_path)
    first.close()
    only_one(tmp_path).close()


def test_a_taken_port_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"Port {port} cannot be used"):
            require_free("127.0.0.1", port)
    require_free("127.0.0.1", port)


def test_a_killed_embedded_server_is_started_again(home: Path) -> None:
    server = embedded_server(home)
    server.attach()
    revive = reviver(Settings(home=home))
    revive()
    killed = server.status().postmaster_pid or 0
    os.kill(killed, signal.SIGKILL)
    revive()
    status = server.status()
    assert status.is_running
    assert status.postmaster_pid != killed
    server.release()


def test_a_child_that_dies_is_started_again_until_we_are_asked_to_stop(tmp_path: Path) -> None:
    file = tmp_path / "starts"
    file.write_text("")

    assert serve(0.0, COUNTED.format(file=str(file))) == 0
    assert file.read_text() == "xxx"


def test_a_child_that_ends_at_once_is_started_again_too_and_only_a_stop_is_a_success(tmp_path: Path) -> None:
    file = tmp_path / "starts"
    file.write_text("")

    assert serve(60.0, COUNTED.format(file=str(file))) == 0
    assert file.read_text() == "xxx"


def test_what_a_killed_dagster_left_behind_is_ended_and_nothing_else(tmp_path: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    mine, others = (
        subprocess.Popen(sleeper, env={**os.environ, UP_MARK: str(tmp_path / name)}) for name in ("mine", "other")
    )
    try:
        end_leftovers("")
        end_leftovers(str(tmp_path / "mine"))

        assert mine.poll() is not None
        assert others.poll() is None
    finally:
        others.kill()
        others.wait()
