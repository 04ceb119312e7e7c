"""Compose projects for tests: the containers of docker/ on free ports, what they hold, and their end.

Need a Docker engine with compose, and root. Base images come from a registry unless REGIME_PYTHON_IMAGE and its sisters
name others; `docker/debian/images.sh` makes them without one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.e2e.regime_up import free_port, until

IMAGE = "regime-pipeline"
PACKAGE = "/opt/regime/lib/python3*/site-packages/regime_pipeline/__init__.py"
COUNT = "SELECT count(*), count(DISTINCT (symbol, timeframe)) FROM market_dashboard_hours"
BEGUN = "SELECT count(*) FROM runs WHERE status NOT IN ('NOT_STARTED', 'QUEUED')"


@dataclass(frozen=True)
class Stack:
    """A compose project of its own: the settings it reads, its name, and its files in docker/."""

    environment: dict[str, str]
    name: str = "regime-test"
    files: tuple[str, ...] = ("compose.yaml",)

    @property
    def _command(self) -> list[str]:
        files = [word for file in self.files for word in ("-f", str(REPOSITORY / "docker" / file))]
        return ["docker", "compose", "-p", self.name, *files]

    def compose(self, *words: str, timeout: float = 600) -> str:
        """Run docker compose and return what it prints; fails with its errors."""
        done = subprocess.run(
            [*self._command, *words],
            check=False, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def run(self, *words: str) -> str:
        """Run a command in the code server's container."""
        return self.compose("exec", "-T", "code", *words)

    def ask(self, database: str, question: str) -> str:
        """What PostgreSQL answers, columns with bars between them."""
        return self.compose(
            "exec", "-T", "postgres", "psql", "-At", "-U", "regime", "-d", database, "-c", question
        ).strip()

    def rows(self) -> tuple[int, int]:
        """Hours on the dashboard, and markets that have some."""
        hours, markets = self.ask("regime", COUNT).split("|")
        return int(hours), int(markets)

    def begun_runs(self) -> int:
        """Runs that have ever started."""
        return int(self.ask("regime_dagster", BEGUN))

    def begin_backfill(self, *words: str) -> None:
        """Start a backfill in the background, and wait until its first run goes on."""
        before = self.begun_runs()
        self.compose("exec", "-d", "code", "regime", "backfill", *words)
        until(180, lambda: self.begun_runs() > before or None, "the first run")

    def await_whole(self, hours: float, markets: int, seconds: float = 1_500) -> None:
        """Wait until every market has its rows, and the daemon is content.

        A run that is lost on its way to a worker is run again after a quarter of an hour, whether rows are missing or
        not: it may have been at its last step.
        """
        until(seconds, lambda: self.rows() >= (markets * hours, markets) or None, "the backfill's end", every_s=3)
        until(seconds, lambda: "completed_success" in self.doctor() or None, "the backfill's success", every_s=5)

    def doctor(self) -> str:
        """What `regime doctor` says; its exit code does not matter here."""
        return self.run("sh", "-c", "COLUMNS=200 regime doctor || true")

    def address(self, service: str) -> str:
        """Where a published service listens."""
        return f"http://127.0.0.1:{self.environment[f'REGIME_{service}_PORT']}"

    def kill(self, service: str) -> None:
        """Kill the first process of one of a service's containers from outside, as the kernel does when memory ends."""
        container = self.compose("ps", "-q", service).split()[0]
        shown = subprocess.run(
            ["docker", "inspect", "-f", "{{.State.Pid}}", container], capture_output=True, text=True, check=True
        )
        os.kill(int(shown.stdout), signal.SIGKILL)

    def kill_within(self, service: str, word: str) -> None:
        """Kill the processes of a container whose command has this word, and no other."""
        look = f"import psutil; print([each.kill() for each in psutil.process_iter() if {word!r} in each.cmdline()])"
        assert "None" in self.compose("exec", "-T", service, "python", "-c", look), f"{service} has no {word}"

    def end(self) -> None:
        """Remove its containers, network and volumes, however it stands."""
        subprocess.run(
            [*self._command, "down", "--volumes", "--timeout", "5"],
            check=False, env={**os.environ, **self.environment}, capture_output=True,
        )  # fmt: skip


def build() -> None:
    """Build the image from what is checked out."""
    Stack({"POSTGRES_PASSWORD": "unused"}).compose("build", timeout=1_200)


@contextmanager
def newer_version(version: str) -> Iterator[None]:
    """The same image with the package under another version, as after an upgrade and a build; the former at the end."""
    change = f"""sed -i 's/^__version__ = .*/__version__ = "{version}"/' {PACKAGE}"""
    file = f"FROM {IMAGE}\nUSER root\nRUN {change}\nUSER regime\n"
    subprocess.run(["docker", "tag", IMAGE, f"{IMAGE}:before"], check=True)
    subprocess.run(["docker", "build", "--quiet", "--tag", IMAGE, "-"], input=file, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "tag", f"{IMAGE}:before", IMAGE], check=True)
        subprocess.run(["docker", "rmi", f"{IMAGE}:before"], check=True, capture_output=True)


def require_engine() -> None:
    """Skip where containers cannot be had."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], check=False, capture_output=True).returncode
    ):
        pytest.skip("there is no Docker engine")
    if subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode:
        pytest.skip("docker compose is missing: docker/debian/images.sh brings it")
    if os.getuid():
        pytest.skip("killing the processes of containers needs root")


@contextmanager
def running_stack(stack: Stack, *words: str) -> Iterator[Stack]:
    """A project that is up, with further words for `up`; removed at the end."""
    try:
        stack.compose("up", "--detach", "--wait", *words)
        yield stack
    finally:
        stack.end()


def main_settings(start: str) -> dict[str, str]:
    """Settings of compose.yaml for a test: a password, sensors off, partitions from a time on, free ports."""
    ports = {f"REGIME_{service}_PORT": str(free_port()) for service in ("UI", "API", "SITE")}
    return {"POSTGRES_PASSWORD": "secret", "REGIME_SENSORS": "off", "REGIME_PARTITION_START": start, **ports}
