"""Dagster's code server, ending when the process that holds the code has died, so that whoever runs it starts another.

`dagster code-server start` passes every question on to its child, `dagster api grpc`. Dagster's own outlives a child
that was killed, answers nobody from then on, and runs wait until somebody restarts it.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Final

from dagster._cli.code_server import code_server_cli
from dagster._grpc import proxy_server
from dagster._grpc.proxy_server import DagsterProxyApiServicer

POLL_S: Final = 1.0
_KILLED: Final = f"exited with return code -{signal.SIGKILL} "
"""How Dagster's error names a child that was killed while it loaded the code; there is no other record of that."""


class EndingServicer(DagsterProxyApiServicer):
    """Dagster's servicer, which ends its process when no child is left that could answer."""

    def _cleanup_thread(self) -> None:
        """Watch the child beside Dagster's own thread, which this replaces the start of."""
        threading.Thread(target=self._end_without_child, name="code-server-child", daemon=True).start()
        super()._cleanup_thread()

    def _end_without_child(self) -> None:
        was_orphaned = False
        while not self._server_termination_event.wait(POLL_S):
            is_orphaned = self.is_orphaned()
            if is_orphaned and was_orphaned:  # after a Ctrl-C, which both receive, the second look finds an end begun
                self._logger.error("The process that holds the code has died: the code server ends to be started again")
                os._exit(1)  # an orderly end would wait for the child
            was_orphaned = is_orphaned

    def is_orphaned(self) -> bool:
        """Say whether the child has died; where the code could not be loaded, its error is to be read in the UI."""
        with self._reload_lock:  # a reload has no child on record while the new one starts
            children = list(self._grpc_server_registry._all_processes)  # noqa: SLF001 - Dagster has no public list
            is_ending = self._shutdown_once_executions_finish_event.is_set()
            return (
                not is_ending
                and (self._load_error is None or _KILLED in self._load_error.to_string())
                and all(child.server_process.poll() is not None for child in children)
            )


if __name__ == "__main__":
    setattr(proxy_server, DagsterProxyApiServicer.__name__, EndingServicer)  # `start` imports it from there
    code_server_cli(auto_envvar_prefix="DAGSTER_CODE_SERVER")
