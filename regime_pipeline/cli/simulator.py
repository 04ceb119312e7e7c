"""`regime exchange-simulator`: test support that comes with the repository, not with the wheel.

See `regime_pipeline_tests.exchange_simulator` for the exchange itself.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

from regime_pipeline.domain.errors import UsageError

_COMMAND: Final = "regime_pipeline_tests.exchange_simulator.command"


def _without_repository() -> None:
    """Serve a local exchange; comes with the repository, not with the installed package."""
    raise UsageError("The exchange simulator is not part of the installed package.", "Run it from a git checkout.")


def _command() -> Callable[..., None]:
    try:
        found: Callable[..., None] = import_module(_COMMAND).exchange_simulator_command
    except ModuleNotFoundError:
        return _without_repository
    return found


exchange_simulator_command = _command()
