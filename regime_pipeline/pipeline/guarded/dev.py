"""`dagster dev` with our webserver, daemon and code server: the same options, the same processes.

Dagster has no setting for it: its `dev` starts its programs by name, and here the names are replaced. The advice to use
another command, which Dagster prints here, is for its own developers.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any, Final

from dagster import SupersessionWarning
from dagster._cli import dev
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._grpc import server
from dagster_shared.ipc import open_ipc_subprocess

PROGRAMS: Final = {
    "dagster_webserver": "regime_pipeline.pipeline.guarded.webserver",
    "dagster._daemon": "regime_pipeline.pipeline.guarded.daemon",
    "dagster code-server": "regime_pipeline.pipeline.guarded.code_server",
}
"""Dagster's programs, as they stand after `-m` in a command, and ours."""

MONITOR: Final = "_process_monitoring_thread"
"""What `ProxyServerManager` runs in a thread for each code server, until it is shut down."""
_LOG: Final = logging.getLogger(__name__)


def guarded(parts: list[str]) -> list[str]:
    """Return the command that starts ours in the place of Dagster's program; any other as it is."""
    for theirs, ours in PROGRAMS.items():
        names = theirs.split()
        for at in range(len(parts) - len(names) + 1):
            if parts[at : at + len(names)] == names:
                return [*parts[:at], ours, *parts[at + len(names) :]]
    return parts


def start_guarded(parts: list[str], **options: Any) -> Any:
    """Start one of Dagster's programs, or ours in its place."""
    return open_ipc_subprocess(guarded(parts), **options)


def watched_after_errors(monitor: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Return the same watch over a code server, which goes on where that could not be started again.

    Dagster's is a thread that dies then: UI and daemon would stay up without a code server.
    """

    def monitored(manager: Any, process: Any) -> None:
        while True:
            try:
                return monitor(manager, process)
            except Exception as error:
                _LOG.warning(
                    "The code server could not be started and is started again: %s",
                    str(error).split(" with the command")[0],
                )

    return monitored


if __name__ == "__main__":
    for module in (dev, server):
        setattr(module, open_ipc_subprocess.__name__, start_guarded)
    setattr(ProxyServerManager, MONITOR, watched_after_errors(getattr(ProxyServerManager, MONITOR)))
    warnings.simplefilter("ignore", SupersessionWarning)
    dev.dev_command(auto_envvar_prefix="DAGSTER_DEV")
