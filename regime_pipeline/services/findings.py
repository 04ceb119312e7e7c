"""What a check finds, and where: the vocabulary that every check of the data shares.

A check itself does not belong here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from regime_pipeline.domain.market import Market
from regime_pipeline.domain.window import Int64, Window, to_iso
from regime_pipeline.services.workspace import Workspace

MAX_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found in one market's window.

    Parameters
    ----------
    offending : tuple of str
        Where it fails, `ETH-USDT_1h 2020-03-12T10:00:00Z` or a sentence; empty where it holds.
    checked : int
        Rows, hours or files looked at.
    """

    offending: tuple[str, ...]
    checked: int


@dataclass(frozen=True, slots=True)
class Check:
    """One named check of one stage.

    Parameters
    ----------
    asset, name, description : str
        What is checked, and the sentence that says what holds.
    is_blocking : bool
        Later stages must not run where it fails.
    is_warning : bool
        It reports dirt in the data (a gap), not a broken contract.
    find : callable
        `(workspace, market, window) -> Finding`.
    """

    asset: str
    name: str
    description: str
    find: Callable[[Workspace, Market, Window], Finding]
    is_blocking: bool = False
    is_warning: bool = False


def at(market: Market, times_ms: Int64) -> tuple[str, ...]:
    """Return each place as text."""
    return tuple(f"{market} {to_iso(int(moment))}" for moment in times_ms)
