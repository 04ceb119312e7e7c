"""`regime dashboard`: build the static site, and serve a built one on this machine.

The site opens from its folder too; see `dashboard` for its content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore, Thread
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
_MOST_CONNECTIONS: Final = 64
_IDLE_S: Final = 15.0
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The pages hold their rows and calls as inline scripts, so that they open from a folder too."""
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
    report = _build(settings, output or settings.home / FOLDER, days)
    out.print(f"Open {report.index}", highlight=False, soft_wrap=True)


def _build(settings: Settings, folder: Path, days: int = DEFAULT_DAYS) -> SiteReport:
    with open_workspace(settings) as workspace:
        report = build_site(workspace, folder, days)
    out.print(site_line(report), highlight=False)
    return report


def site_line(report: SiteReport) -> str:
    """Say what a build did."""
    counts = f"{report.written} files written, {report.unchanged} unchanged, {report.removed} removed"
    return f"Dashboard of {report.markets} markets: {counts}."


@dashboard_app.command("serve")
def serve_command(
    output: Folder = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = PORT,
    host: Annotated[str, typer.Option(help="Address to listen on; this machine alone by default.")] = LOOPBACK,
) -> None:
    """Serve the site until Ctrl-C; the home's own is built first where there is none yet.

    Example: regime dashboard serve --port 8090
    """
    settings = Settings()
    folder = output or settings.home / FOLDER
    if output is None and not is_site(folder):
        _build(settings, folder)
    with make_server(folder, port, host) as server:
        err.print(f"http://{host}:{server.server_address[1]}/   site: {folder}   stop: Ctrl-C", highlight=False)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            err.print("Stopped.")


def is_site(folder: Path) -> bool:
    """Say whether a folder holds a built site."""
    return (folder / "index.html").is_file()


def make_server(folder: Path, port: int, host: str = LOOPBACK, option: str = "--port") -> ThreadingHTTPServer:
    """Return a server of a built site, bound to an address; `option` is the one that names the port.

    Raises
    ------
    MissingDataError
        There is no site in the folder.
    UsageError
        The port is taken.
    """
    if not is_site(folder):
        raise MissingDataError(f"There is no dashboard in {folder}.", "Build one with `regime dashboard build`.")
    try:
        return _SiteServer((host, port), partial(_SiteFiles, directory=str(folder)))
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


class _SiteServer(ThreadingHTTPServer):
    """Serves a bounded number of connections, each in a thread; one more waits in the kernel's queue."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: Callable[..., Any]) -> None:
        super().__init__(address, handler)
        self._free = BoundedSemaphore(_MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread once there is one to spare."""
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class _SiteFiles(SimpleHTTPRequestHandler):
    """Serves the files of a built site and nothing else: no listing, no hidden file, nothing behind a link."""

    timeout = _IDLE_S

    def send_head(self) -> Any:
        """Answer 404 for whatever is not a plain file of the site."""
        if not self._is_of_the_site():
            self.send_error(404)
            return None
        return super().send_head()

    def end_headers(self) -> None:
        """Add what keeps a page to itself."""
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _is_of_the_site(self) -> bool:
        root = Path(self.directory)
        try:
            path = Path(self.translate_path(self.path))
            path = path / "index.html" if path.is_dir() else path
            parts = path.relative_to(root).parts
            is_plain = path.is_file() and path.resolve() == root.resolve().joinpath(*parts)
        except (ValueError, OSError):  # a NUL, or a name that is too long
            return False
        return is_plain and not any(part.startswith(".") for part in parts)
