"""`regime up`: database, Dagster's UI and daemon, dashboard and API, in one command that leaves nothing behind.

See `pipeline` for what runs inside Dagster.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import psutil
import typer

from regime_pipeline.bootstrap import open_databases, open_workspace
from regime_pipeline.cli.console import err
from regime_pipeline.cli.dashboard import LOOPBACK, PORT, served
from regime_pipeline.cli.sensors import sensors_line
from regime_pipeline.cli.serve import API_PORT, api_served
from regime_pipeline.dashboard.build import FOLDER, build_site
from regime_pipeline.domain.errors import RegimeError, UsageError
from regime_pipeline.pipeline.instance import dagster_environment, prepare_home
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.settings import Settings
from regime_pipeline.storage.databases import DatabaseUrls
from regime_pipeline.storage.embedded.server import embedded_server
from regime_pipeline.storage.file_locks import FileLock

QUIET: Final = ("--log-level", "warning")
"""By default the daemon prints the key of every partition of a backfill at every tick: 30 MB for a year of a dozen."""
_POLL_S: Final = 0.2
_REVIVE_S: Final = 2.0
_LIVED_S: Final = 60.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
_GONE_S: Final = 10.0
UP_MARK: Final = "REGIME_UP_HOME"
"""Variable in the environment of everything that a `regime up` starts: its home."""


def up_command(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address that all of them listen on.")] = LOOPBACK,
    dashboard_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the dashboard; 0 takes a free one.")
    ] = PORT,
    api_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the HTTP API; 0 takes a free one.")
    ] = API_PORT,
) -> None:
    """Start the database, Dagster's UI and its daemon, and serve dashboard and API; stop all of them with Ctrl-C."""
    settings = Settings()
    urls = open_databases(settings)
    prepare_home(settings.dagster_home)
    with (
        contextlib.closing(only_one(settings.home)),
        open_workspace(settings) as workspace,
        served(_site(workspace, settings), dashboard_port, host, "--dashboard-port") as site,
        api_served(workspace, host, api_port, settings) as api,
    ):
        end_leftovers(str(settings.home))
        require_free(host, port)
        err.print(f"Dagster UI: http://{host}:{port}/lineage   dashboard: {site}   API: {api}docs", highlight=False)
        err.print(sensors_line(settings), highlight=False)
        err.print(f"home: {settings.home}   stop: Ctrl-C", highlight=False)
        command = [sys.executable, "-P", "-m", "regime_pipeline.pipeline.guarded.dev", *QUIET]
        command += ["-w", str(settings.dagster_home / "workspace.yaml")]
        environment = child_environment(settings, urls, site)
        keep = reviver(settings) if urls.is_embedded else _nothing
        raise typer.Exit(serve([*command, "-h", host, "-p", str(port)], environment, keep))


def _site(workspace: Workspace, settings: Settings) -> Path:
    """Build the dashboard from what is stored; return its folder."""
    return build_site(workspace, settings.home / FOLDER).index.parent


def only_one(home: Path) -> FileLock:
    """Hold the home's lock while this process lives, however it ends: two daemons would launch every run twice.

    Raises
    ------
    UsageError
        Another `regime up` serves the home.
    """
    lock = FileLock(home / "up.lock")
    if not lock.try_lock():
        raise UsageError(f"Another `regime up` serves {home}.", "Stop it first, or set another REGIME_HOME.")
    return lock


def require_free(host: str, port: int) -> None:
    """Raise `UsageError` where another program listens on the UI's port: Dagster would end at once, again and again."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise UsageError(f"Port {port} cannot be used: {error.strerror}.", "Name another with --port.") from error


def reviver(settings: Settings) -> Callable[[], None]:
    """Return a function that starts the embedded server again if it died; Dagster's processes then find it again."""
    server = embedded_server(settings.home, settings.postgres_account)

    def revive() -> None:
        try:
            server.attach()
        except RegimeError as error:
            err.print(f"The embedded server is down: {error}", highlight=False)

    return revive


def _nothing() -> None:
    """Another's server is another's to keep."""


def child_environment(settings: Settings, urls: DatabaseUrls, dashboard_url: str) -> dict[str, str]:
    """Return the environment of Dagster's processes: the instance's URL, home, dashboard, what makes backfills fast.

    Ours is not among them: each process resolves it from the home, so each is a client that keeps the embedded server
    alive, and can start it again should it die. Python takes no module from the current directory, which may be a
    folder of downloads.
    """
    return {
        **os.environ,
        **dagster_environment(settings.dagster_home, urls.dagster),
        UP_MARK: str(settings.home),
        "PYTHONSAFEPATH": "1",
        "REGIME_HOME": str(settings.home),
        "REGIME_MARKETS": str(settings.markets),
        "REGIME_DASHBOARD_URL": settings.dashboard_url or dashboard_url,
    }


def serve(command: list[str], environment: dict[str, str], keep: Callable[[], None]) -> int:
    """Run a command until we are asked to stop, and again whenever it ends; return 0, for only a stop ends it.

    The first pause is a second, doubled each time it ends within a minute, at most `_LONGEST_PAUSE_S`. What a killed
    child leaves behind, a second daemon above all, is ended before the next start. The handlers stand before the child
    starts, so that it does not inherit an ignored SIGINT from a background job.

    Parameters
    ----------
    command : list of str
        What to run.
    environment : dict of str
        All of its environment; `UP_MARK` in it tells which processes are its offspring.
    keep : callable
        Called every two seconds, while it runs and in pauses.
    """
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _: received.append(caught))
    pause_s = _FIRST_PAUSE_S
    while not received:
        end_leftovers(environment.get(UP_MARK, ""))
        began = time.monotonic()
        child = subprocess.Popen(command, env=environment)  # noqa: S603
        code = _wait(child, received, keep)
        if received:
            break
        pause_s = _FIRST_PAUSE_S if time.monotonic() - began > _LIVED_S else pause_s
        err.print(f"Dagster ended with code {code}; it is started again in {pause_s:.0f} s.", highlight=False)
        _rest(pause_s, received, keep)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    end_leftovers(environment.get(UP_MARK, ""))
    return 0


def end_leftovers(mark: str) -> None:
    """Kill the processes of a Dagster that was killed: daemon, webserver, code server and runs that outlived it.

    Parameters
    ----------
    mark : str
        Value of `UP_MARK` in their environment, which names the home; processes without it are left alone.
    """
    leftovers = [process for process in psutil.process_iter() if mark and _mark_of(process) == mark]
    for process in leftovers:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(leftovers, timeout=_GONE_S)


def _mark_of(process: psutil.Process) -> str:
    """Whose offspring a process is; empty for ourselves and for processes that are none of ours."""
    if process.pid == os.getpid():
        return ""
    try:
        return str(process.environ().get(UP_MARK, ""))
    except psutil.Error:
        return ""


def _rest(seconds: float, received: list[int], keep: Callable[[], None]) -> None:
    """Wait, unless we are asked to stop."""
    until = time.monotonic() + seconds
    while not received and time.monotonic() < until:
        keep()
        time.sleep(min(_POLL_S, seconds))


def _wait(child: subprocess.Popen[bytes], received: list[int], keep: Callable[[], None]) -> int:
    """Wait for the child, pass signals on to it, and call `keep` every two seconds; return its exit code."""
    passed_on, kept = 0, time.monotonic()
    while True:
        try:
            return child.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            if len(received) > passed_on and not _reaches_the_child(received[-1]):
                child.send_signal(signal.SIGINT)
            passed_on = len(received)
            if time.monotonic() - kept > _REVIVE_S:
                keep()
                kept = time.monotonic()


def _reaches_the_child(number: int) -> bool:
    """A terminal sends its Ctrl-C to the whole group; any other signal is for us alone."""
    return number == signal.SIGINT and sys.stdin.isatty()
