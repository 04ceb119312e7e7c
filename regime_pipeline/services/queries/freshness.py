"""Whether a stored row still holds: the policy that wrote it, and corrections that came after it.

See `storage.bulk.stale_ranges` for the marks that corrections leave.
"""

from __future__ import annotations

from collections.abc import Sequence

from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.services.chain.stages import config_hashes
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.storage.bulk.stale_ranges import StaleRange

_REMEDY = "bring it up to date with `regime backfill`."


def stale_reason(
    ws: Workspace, market: Market, table: str, hour: int, policy_hash: str, marks: Sequence[StaleRange] | None = None
) -> str | None:
    """Return why a stored row no longer holds and what to do, None while it does.

    Parameters
    ----------
    market, table, hour, policy_hash
        Which row, by the start of its hour in epoch milliseconds UTC, and the policy that wrote it.
    marks : sequence of StaleRange, optional
        Every mark of the warehouse, where several rows are asked for; read for this row where it is not given.
    """
    if policy_hash != config_hashes(ws.policy, ws.nulls)[table]:
        return f"Another policy wrote this row; {_REMEDY}"
    known = ws.warehouse.dirty(market, table) if marks is None else marks
    for mark in known:
        is_its = (mark.market, mark.asset) == (market, table)
        if is_its and mark.window.start_ms <= hour < mark.window.end_ms:
            return f"Older than a change ({mark.reason}); {_REMEDY}"
    return None
