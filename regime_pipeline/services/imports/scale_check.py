"""Whether stored prices fit the price scales that the list of markets gives them.

See `sources.files.scale` for inferring a scale from files.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Window, hour_of_close
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.universe import MarketSpec
from regime_pipeline.sources.files.scale import check_scale

_LOOKBACK_HOURS: Final = 200


def scale_faults(workspace: Workspace) -> list[str]:
    """Return one sentence for each market whose price scale cannot work; markets without candles are fine.

    Parameters
    ----------
    workspace : Workspace
        Its markets and its warehouse; the newest 200 hours of each market are looked at.
    """
    return [fault for spec in workspace.universe.specs if (fault := _fault(workspace, spec))]


def _fault(workspace: Workspace, spec: MarketSpec) -> str:
    store = workspace.warehouse
    newest = store.latest(spec.market)
    if newest is None:
        return ""
    try:
        stored = store.price_scale(spec.market)
    except MissingDataError:
        return ""
    if stored != spec.price_scale:
        return (
            f"{spec.market} is stored at {stored} ticks per unit and listed with {spec.price_scale}. "
            f"Write price_scale = {stored} in its entry."
        )
    end = int(hour_of_close(spec.market, np.array([newest]))[0]) + HOUR_MS
    window = Window(end - _LOOKBACK_HOURS * HOUR_MS, end)
    rows = store.read_range("candles", spec.market, window, ["open", "high", "low", "close"])
    prices = np.array(list(rows.values()))
    try:
        check_scale(prices, stored)
    except UsageError as error:
        return f"{spec.market}: {error.what} Import its candles again with --price-scale, or change its entry."
    return ""
