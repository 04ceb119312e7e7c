"""`regime dashboard`: build the static site, and serve a built one on this machine.

The site opens from its folder too; see `dashboard` for its content.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Annotated, Any, Final

import typer

from regime_pipeline.bootstrap import open_workspace
from regime_pipeline.cli.console import err, out
from regime_pipeline.dashboard.build import DEFAULT_DAYS, FOLDER, build_site
from regime_pipeline.dashboard.site.writer import SiteReport
from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.settings import Settings

LOOPBACK: Final = "127.0.0.1"
PORT: Final = 8090
Folder = Annotated[Path | None, typer.Option("--output", help="Folder of the site; `site` in the home by default.")]

dashboard_app = typer.Typer(
    name="dashboard", help="A static web site of every market: no server needed.", no_args_is_help=True
)


@dashboard_app.command("build")
def build_command(
    output: Folder = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="Days up to each market's newest hour.")] = DEFAULT_DAYS,
) -> None:
    """Write the site from what is stored; files that would not change are left alone.

    Example: regime dashboard build --output site --days 30
    """
    settings = Settings()
    with open_workspace(settings) as workspace:
        report = build_site(workspace, output or settings.home / FOLDER, days)
    out.print(site_line(report), highlight=False)
    out.print(f"Open {report.index}", highlight=False, soft_wrap=True)


def site_line(report: SiteReport) -> str:
    """Say what a build did."""
    counts = f"{report.written} files written, {report.unchanged} unchanged, {report.removed} removed"
    return f"Dashboard of {report.markets} markets: {counts}."


@dashboard_app.command("serve")
def serve_command(
    output: Folder = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = PORT,
) -> None:
    """Serve a built site to this machine alone, until Ctrl-C.

    Example: regime dashboard serve --port 8090
    """
    folder = output or Settings().home / FOLDER
    with make_server(folder, port) as server:
        err.print(f"http://{LOOPBACK}:{server.server_address[1]}/   site: {folder}   stop: Ctrl-C", highlight=False)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            err.print("Stopped.")


def make_server(folder: Path, port: int, host: str = LOOPBACK, option: str = "--port") -> ThreadingHTTPServer:
    """Return a server of a built site, bound to an address; `option` is the one that names the port.

    Raises
    ------
    MissingDataError
        There is no site in the folder.
    UsageError
        The port is taken.
    """
    if not (folder / "index.html").is_file():
        raise MissingDataError(f"There is no dashboard in {folder}.", "Build one with `regime dashboard build`.")
    try:
        return ThreadingHTTPServer((host, port), partial(_Quiet, directory=str(folder)))
    except OSError as error:
        raise UsageError(f"Port {port} cannot be used: {error.strerror}.", f"Name another with {option}.") from error


@contextmanager
def served(folder: Path, port: int, host: str, option: str) -> Iterator[str]:
    """Serve a built site in the background; gives its address. Errors as `make_server`."""
    with make_server(folder, port, host, option) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{host}:{server.server_address[1]}/"
        finally:
            server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line per request."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
