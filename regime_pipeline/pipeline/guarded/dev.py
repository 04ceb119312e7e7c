"""`dagster dev` whose webserver has the guard: the same options, the same processes.

Dagster has no setting for it: its `dev` starts `dagster_webserver` by name, and here that name is replaced.
"""

from __future__ import annotations

from typing import Any, Final

from dagster._cli import dev
from dagster_shared.ipc import open_ipc_subprocess

WEBSERVER: Final = "regime_pipeline.pipeline.guarded.webserver"


def start_guarded(parts: list[str], **options: Any) -> Any:
    """Start one of Dagster's programs; the webserver is started with the guard."""
    return open_ipc_subprocess([WEBSERVER if part == "dagster_webserver" else part for part in parts], **options)


if __name__ == "__main__":
    setattr(dev, open_ipc_subprocess.__name__, start_guarded)
    dev.dev_command(auto_envvar_prefix="DAGSTER_DEV")
