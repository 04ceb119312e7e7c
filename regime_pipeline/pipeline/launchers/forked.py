"""Runs of this machine start as forks of a process that has loaded everything; see `preloaded` for that process.

Dagster's code server starts a new Python for each run, which imports for seconds. In its place comes the fork server of
Python's own `multiprocessing`: it opens no connection, has one thread, and ends with the code server and its runs. How
runs are watched, cancelled and logged stays Dagster's part.
"""

from __future__ import annotations

import logging
import os
import sys
from multiprocessing import forkserver, parent_process
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.popen_fork import Popen
from multiprocessing.popen_forkserver import Popen as Forked
from multiprocessing.popen_spawn_posix import Popen as Spawned
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import dagster as dg

from regime_pipeline.pipeline.instance import is_launching_here

PRELOADED: Final = "regime_pipeline.pipeline.launchers.preloaded"
CONTEXT: Final = "_mp_ctx"
"""Where `DagsterApiServer` has the `multiprocessing` context with which `StartRun` starts a run's process."""
_CODE_SERVER: Final = ["api", "grpc"]
"""Dagster's command for a code server, which `dagster dev` and `dagster code-server start` run as well."""
_CODE: Final = Path(__file__).parents[2]
_LIBRARIES: Final = Path(dg.__file__).parents[1]
_LOG: Final = logging.getLogger(__name__)


class RunProcess(ForkServerProcess):
    """The process of a run: a fork of the preloaded one, or a new Python where that one is stale or cannot be had."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Popen:  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        if code_stamp() != _loaded:
            _LOG.warning("The code has changed since the code server started: the run starts a Python of its own.")
            return Spawned(process_obj)
        try:
            return Forked(process_obj)
        except (OSError, EOFError) as error:
            _LOG.warning("The preloaded process could not be forked (%r): the run starts a Python of its own.", error)
            return Spawned(process_obj)


class RunContext(ForkServerContext):
    """What the code server makes a run's queue, event and process with."""

    Process = RunProcess


def fork_runs(start: str) -> None:
    """Have this code server fork its runs of a process that is preloaded from now on; in other processes do nothing.

    Parameters
    ----------
    start : {"fork", "stock"}
        The setting `REGIME_RUN_START`.
    """
    home = os.environ.get("DAGSTER_HOME")
    if start == "stock" or not is_code_server() or not (home and is_launching_here(Path(home))):
        return
    from dagster._grpc.server import DagsterApiServer  # a code server has it; what only reads definitions need not

    if CONTEXT not in DagsterApiServer.StartRun.__code__.co_names:
        _LOG.warning("This Dagster starts runs in a way that is not known here. They start slower, as Dagster does it.")
        return
    global _loaded  # noqa: PLW0603 - the code server's, as its fork server is
    _loaded = code_stamp()
    context = RunContext()
    # a property, for the server that is importing this has its own context already
    setattr(DagsterApiServer, CONTEXT, property(lambda _: context, lambda *_: None))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # which would otherwise start threads when it is imported
    forkserver.set_forkserver_preload([PRELOADED])
    forkserver.ensure_running()


def is_code_server() -> bool:
    """Whether this is a code server rather than one of its runs, or a command that reads the definitions."""
    return sys.platform == "linux" and sys.argv[1:3] == _CODE_SERVER and parent_process() is None


def code_stamp() -> tuple[tuple[str, int], ...]:
    """Return when each file of the package was last written, and when anything was last installed beside Dagster."""
    files = [path for path in _CODE.rglob("*") if "__pycache__" not in path.parts]
    return tuple((str(path), path.stat().st_mtime_ns) for path in sorted([*files, _LIBRARIES]))


_loaded: tuple[tuple[str, int], ...] = ()
"""The code as it was when the code server loaded it."""
