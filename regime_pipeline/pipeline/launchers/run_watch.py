"""A code server's watch over its runs goes on when the database is away for a moment.

Dagster's is a thread that dies with its first error. From then on the run that had just been lost, and every later one,
would count as started until the code server is restarted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from regime_pipeline.pipeline.launchers.forked import is_code_server

LOOK: Final = "_check_for_orphaned_runs"
"""What `DagsterApiServer`'s thread calls every second."""
_LOG: Final = logging.getLogger(__name__)


def keep_watching() -> None:
    """Have this code server look for lost runs again after a look that failed; in other processes do nothing."""
    if not is_code_server():
        return
    from dagster._grpc.server import DagsterApiServer  # a code server has it; what only reads definitions need not

    setattr(DagsterApiServer, LOOK, again_after_errors(getattr(DagsterApiServer, LOOK)))


def again_after_errors(look: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return the same look, whose errors are logged: a run is forgotten only once its loss is on record."""

    def logged(server: Any) -> None:
        try:
            look(server)
        except Exception as error:
            _LOG.warning("Runs could not be looked after just now (%r); the next look is in a second.", error)

    return logged
