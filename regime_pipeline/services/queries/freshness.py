"""Whether stored rows still hold: the policy that wrote them, and corrections that came after them.

See `storage.bulk.stale_ranges` for the marks that corrections leave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.services.chain.stages import config_hashes
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.storage.bulk.stale_ranges import StaleRange

_REMEDY: Final = "bring it up to date with `regime backfill`."


class Freshness:
    """What makes stored rows stale, read once for as many rows as are asked about.

    Parameters
    ----------
    ws : Workspace
        Its policy and marks, as of now.
    market : Market, optional
        Only rows of this market will be asked about; any without it.
    """

    def __init__(self, ws: Workspace, market: Market | None = None) -> None:
        self._hashes: Mapping[str, str] = config_hashes(ws.policy, ws.nulls)
        marks: dict[tuple[Market, str], list[StaleRange]] = defaultdict(list)
        for mark in ws.warehouse.dirty(market):
            marks[mark.market, mark.asset].append(mark)
        self._marks: Mapping[tuple[Market, str], Sequence[StaleRange]] = marks

    def stale_reason(self, market: Market, table: str, hour_ms: int, policy_hash: str) -> str | None:
        """Return why a row no longer holds and what to do, None while it does.

        Parameters
        ----------
        market, table, hour_ms, policy_hash
            Which row, by the start of its hour in epoch milliseconds UTC, and the policy that wrote it.
        """
        if policy_hash != self._hashes[table]:
            return f"Another policy wrote this row; {_REMEDY}"
        for mark in self._marks.get((market, table), ()):
            if mark.window.start_ms <= hour_ms < mark.window.end_ms:
                return f"Older than a change ({mark.reason}); {_REMEDY}"
        return None
