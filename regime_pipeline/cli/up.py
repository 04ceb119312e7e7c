"""`regime up`: embedded database, Dagster's UI and daemon and the dashboard, in one command that leaves nothing behind.

What runs inside Dagster does not belong here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Annotated, Final

import typer

from regime_pipeline.cli.console import err
from regime_pipeline.cli.dashboard import LOOPBACK, PORT, served
from regime_pipeline.composition import open_databases, open_workspace
from regime_pipeline.pipeline.instance import dagster_environment, prepare_home
from regime_pipeline.services.dashboard_site import FOLDER, build_site
from regime_pipeline.settings import Settings
from regime_pipeline.storage.databases import DatabaseUrls

_POLL_S: Final = 0.2


def up_command(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address the UI and the dashboard listen on.")] = LOOPBACK,
    dashboard_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the dashboard; 0 takes a free one.")
    ] = PORT,
) -> None:
    """Start the database, Dagster's UI and its daemon, and serve the dashboard; stop all of them with Ctrl-C."""
    settings = Settings()
    urls = open_databases(settings)
    prepare_home(settings.dagster_home)
    with open_workspace(settings) as workspace:
        report = build_site(workspace, settings.home / FOLDER)
    with served(report.index.parent, dashboard_port, host, "--dashboard-port") as address:
        err.print(f"Dagster UI: http://{host}:{port}   dashboard: {address}", highlight=False)
        err.print(f"home: {settings.home}   stop: Ctrl-C", highlight=False)
        code = _run_dagster(child_environment(settings, urls), host, port)
    raise typer.Exit(code)


def child_environment(settings: Settings, urls: DatabaseUrls) -> dict[str, str]:
    """Return the environment of Dagster's processes: the instance's URL, the home, and what makes backfills fast.

    Ours is not among them: each process resolves it from the home, so each is a client that keeps the embedded server
    alive, and can start it again should it die.
    """
    return {
        **os.environ,
        **dagster_environment(settings.dagster_home, urls.dagster),
        "REGIME_HOME": str(settings.home),
        "REGIME_MARKETS": str(settings.markets),
    }


def _run_dagster(environment: dict[str, str], host: str, port: int) -> int:
    """Run `dagster dev` until it ends or we are told to stop, and wait for it; a stop by signal is no failure.

    The handlers stand before the child starts, so that it does not inherit an ignored SIGINT from a background job.
    """
    command = [sys.executable, "-m", "dagster", "dev", "-m", "regime_pipeline.definitions"]
    told: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: told.append(received))
    child = subprocess.Popen([*command, "-h", host, "-p", str(port)], env=environment)  # noqa: S603
    passed_on = 0
    while True:
        try:
            code = child.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            if len(told) > passed_on and not _reaches_the_child(told[-1]):
                child.send_signal(signal.SIGINT)
            passed_on = len(told)
        else:
            return 0 if told else code


def _reaches_the_child(number: int) -> bool:
    """A terminal sends its Ctrl-C to the whole group; any other signal is for us alone."""
    return number == signal.SIGINT and sys.stdin.isatty()
