"""`dagster dev` whose webserver has the guard: the same options, the same processes.

Dagster has no setting for it: its `dev` starts its programs by name, and here the names are replaced. The advice to use
another command, which Dagster prints here, is for its own developers.
"""

from __future__ import annotations

import warnings
from typing import Any, Final

from dagster import SupersessionWarning
from dagster._cli import dev
from dagster_shared.ipc import open_ipc_subprocess

PROGRAMS: Final = {
    "dagster_webserver": "regime_pipeline.pipeline.guarded.webserver",
    "dagster._daemon": "regime_pipeline.pipeline.guarded.daemon",
}


def start_guarded(parts: list[str], **options: Any) -> Any:
    """Start one of Dagster's programs, or ours in its place."""
    return open_ipc_subprocess([PROGRAMS.get(part, part) for part in parts], **options)


if __name__ == "__main__":
    setattr(dev, open_ipc_subprocess.__name__, start_guarded)
    warnings.simplefilter("ignore", SupersessionWarning)
    dev.dev_command(auto_envvar_prefix="DAGSTER_DEV")
