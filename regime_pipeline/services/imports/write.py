"""Writing an import: what the files vouch for replaces what is stored, everything else stays, in one transaction.

Reading the files stands in `import_plan`, SQL in `storage`, wording and options in `cli`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.market_data.candles import COLUMNS, Candles, concatenate
from regime_pipeline.domain.market_data.completeness import confirmed_spans, hour_statuses, is_covered, merge_spans
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, bars_closing_in, hour_of_close
from regime_pipeline.services.imports.plan import ImportPlan
from regime_pipeline.services.universe import MarketSpec
from regime_pipeline.storage.bulk.diff import WriteReport

Rows = Mapping[str, NDArray[Any]]
VENUE: Final = "files"
_PRICES: Final = ("open", "high", "low", "close")


class CandleStore(Protocol):
    """What of the warehouse an import needs; see `storage.warehouse.Warehouse`."""

    def series_id(self, market: Market, *, venue: str | None = None, price_scale: int | None = None) -> int:
        """Return the number of a market, creating it if need be."""
        ...

    def price_scale(self, market: Market) -> int:
        """Return the stored price scale of a market."""
        ...

    def rescale(self, market: Market, price_scale: int) -> None:
        """Change the stored price scale of a market."""
        ...

    def read_candles(self, market: Market, start_ms: int, end_ms: int) -> Candles:
        """Return the stored candles with their open time in the span."""
        ...

    def read_range(self, table: str, market: Market, window: Window) -> Rows:
        """Return the stored rows of a table over a window."""
        ...

    def replace_candles(
        self, market: Market, window: Window, candles: Candles, hours: Rows, run_id: int, reach: Mapping[str, int]
    ) -> tuple[WriteReport, WriteReport]:
        """Make candles and hours those given, in one transaction."""
        ...


def settle_price_scales(store: CandleStore, specs: Iterable[MarketSpec]) -> None:
    """Give stored markets the price scale that the markets file lists, after an import has refined it.

    Parameters
    ----------
    store : CandleStore
        The warehouse; stored prices stay as they are.
    specs : iterable of MarketSpec
        Markets of the imported symbol; those that are not stored yet are passed over.
    """
    for spec in specs:
        try:
            is_settled = store.price_scale(spec.market) == spec.price_scale
        except MissingDataError:
            continue
        if not is_settled:
            store.rescale(spec.market, spec.price_scale)


def import_candles(
    plan: ImportPlan, price_scale: int, store: CandleStore, run_id: int, reach: Mapping[str, int]
) -> tuple[WriteReport, WriteReport]:
    """Write a plan in one transaction: replace what is stored in its covered spans, keep everything else.

    Parameters
    ----------
    plan : ImportPlan
        From `import_plan.read_files`.
    price_scale : int
        The market's ticks per unit, a multiple of the plan's; a market that is not stored yet is created with it.
    store : CandleStore
        The warehouse.
    run_id : int
        The run recorded in every row.
    reach : mapping of str to int
        How long after a changed bar each stage's rows may change, milliseconds, by asset.

    Returns
    -------
    tuple of WriteReport
        Of `candles` and of `candle_hours`. A stored candle that differs became a revision.
    """
    store.series_id(plan.market, venue=VENUE, price_scale=price_scale)
    window = _window(plan)
    bars = bars_closing_in(plan.market, window)
    stored = store.read_candles(plan.market, int(bars[0]), int(bars[-1]) + plan.market.step_ms)
    hours = store.read_range("candle_hours", plan.market, window)
    candles = _overlay(stored, plan)
    known = confirmed_spans(plan.market, hours["hour_start"], hours["status"])
    fresh = hour_statuses(plan.market, window, candles, merge_spans((*known, *plan.covered)))
    covered_hours = hour_of_close(plan.market, bars[is_covered(bars, plan.covered)])
    is_kept = np.isin(fresh["hour_start"], np.union1d(hours["hour_start"], covered_hours))
    rows = {name: column[is_kept] for name, column in fresh.items()}
    return store.replace_candles(plan.market, window, candles, rows, run_id, reach)


def _window(plan: ImportPlan) -> Window:
    """Whole hours in which the covered bars close."""
    edges = np.array([plan.covered[0][0], plan.covered[-1][1] - plan.market.step_ms], dtype=np.int64)
    first, last = hour_of_close(plan.market, edges).tolist()
    return Window(first, last + HOUR_MS)


def _overlay(stored: Candles, plan: ImportPlan) -> Candles:
    """Return the plan's candles together with the stored ones outside the spans it covers, on the stored scale."""
    kept = stored[~is_covered(stored.open_time_ms, plan.covered)]
    factor = stored.price_scale // plan.candles.price_scale
    columns = {name: getattr(plan.candles, name) * (factor if name in _PRICES else 1) for name in COLUMNS}
    return concatenate([kept, Candles(plan.market, stored.price_scale, **columns)])
