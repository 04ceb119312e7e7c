"""Writing an import: bars of the files join the stored ones in one transaction; what would be lost is refused.

See `plan` for reading the files, `run` for what is decided, `storage` for SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.errors import MissingDataError, UsageError
from regime_pipeline.domain.market_data.candles import COLUMNS, Candles, concatenate
from regime_pipeline.domain.market_data.completeness import confirmed_spans, hour_statuses, is_covered, merge_spans
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.no_trade import NO_TRADE, fill_no_trade, is_no_trade
from regime_pipeline.domain.market_data.sorted_times import is_in, union
from regime_pipeline.domain.market_data.window import Window, bars_closing_in, hour_of_close, to_iso
from regime_pipeline.services.imports.plan import ImportPlan
from regime_pipeline.services.universe import MarketSpec
from regime_pipeline.storage.bulk.diff import WriteReport

Rows = Mapping[str, NDArray[Any]]
VENUE: Final = "files"
_PRICES: Final = ("open", "high", "low", "close")
_VOLUME_NOISE: Final = 1e-7
"""Relative difference of volumes that conversions of floats leave."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What an import may do to stored bars; nothing unless the user says so.

    Parameters
    ----------
    is_restating : bool
        Stored bars may take other values, where the files give them.
    is_whole : bool
        The files are the whole truth about the span they cover: stored bars that they lack may be removed.
    """

    is_restating: bool = False
    is_whole: bool = False


@dataclass(frozen=True, eq=False)
class Joined:
    """Stored bars and those of the files together.

    Parameters
    ----------
    candles : Candles
        What is to be stored, at the market's scale.
    changed, removed, kept : int
        Stored bars that take other values, that are removed, and that stay though the files lack them.
    no_trade : int
        Bars that the files lack and that stand for time without a trade.
    """

    candles: Candles
    changed: int = 0
    removed: int = 0
    kept: int = 0
    no_trade: int = 0


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
    plan: ImportPlan,
    price_scale: int,
    store: CandleStore,
    run_id: int,
    reach: Mapping[str, int],
    consent: Consent = Consent(),
) -> tuple[WriteReport, WriteReport]:
    """Write a plan in one transaction: its bars join the stored ones, within what the user consents to.

    Parameters
    ----------
    plan : ImportPlan
        From `plan.read_files`.
    price_scale : int
        The market's ticks per unit; a market that is not stored yet is created with it.
    store : CandleStore
        The warehouse.
    run_id : int
        The run recorded in every row.
    reach : mapping of str to int
        How long after a changed bar each stage's rows may change, milliseconds, by asset.
    consent : Consent
        What may happen to stored bars.

    Returns
    -------
    tuple of WriteReport
        Of `candles` and of `candle_hours`. A stored candle that was changed or removed became a revision.

    Raises
    ------
    UsageError
        Stored bars differ, and the user has not consented.
    """
    store.series_id(plan.market, venue=VENUE, price_scale=price_scale)
    window = _window(plan)
    bars = bars_closing_in(plan.market, window)
    hours = store.read_range("candle_hours", plan.market, window)
    candles = join_stored(plan, price_scale, store, consent).candles
    known = confirmed_spans(plan.market, hours["hour_start"], hours["status"])
    fresh = hour_statuses(plan.market, window, candles, merge_spans((*known, *plan.covered)))
    covered_hours = hour_of_close(plan.market, bars[is_covered(bars, plan.covered)])
    is_kept = is_in(fresh["hour_start"], union(hours["hour_start"], covered_hours))
    rows = {name: column[is_kept] for name, column in fresh.items()}
    return store.replace_candles(plan.market, window, candles, rows, run_id, reach)


def join_stored(plan: ImportPlan, price_scale: int, store: CandleStore | None, consent: Consent) -> Joined:
    """Return what would be stored, and what would happen to the bars that are; nothing is written.

    Parameters
    ----------
    plan, price_scale, consent
        As for `import_candles`.
    store : CandleStore or None
        The warehouse; None where nothing was ever stored.

    Raises
    ------
    UsageError
        Stored bars differ, and the user has not consented; names the first one with both values.
    """
    fresh = _at_scale(plan.candles, price_scale)
    window = _window(plan)
    bars = bars_closing_in(plan.market, window)
    first = int(bars[0])
    read = _stored(plan.market, price_scale, store, first - plan.market.step_ms, int(bars[-1]) + plan.market.step_ms)
    before, stored = read.closed_by(first), read.between(first, int(bars[-1]) + 1)
    place = np.searchsorted(fresh.open_time_ms, stored.open_time_ms)
    is_given = place < len(fresh)
    is_given[is_given] = fresh.open_time_ms[place[is_given]] == stored.open_time_ms[is_given]
    is_same = is_given.copy()
    is_same[is_given] = _are_same(stored[is_given], fresh[place[is_given]])
    is_changed = is_given & ~is_same
    if is_changed.any() and not consent.is_restating:
        at = int(np.argmax(is_changed))
        raise _unasked(stored[at : at + 1], fresh[place[at] : place[at] + 1], int(is_changed.sum()))
    is_quiet = plan.absent_bars == NO_TRADE
    is_lacking = ~is_given & is_covered(stored.open_time_ms, plan.covered)
    is_remade = is_lacking & is_no_trade(stored) & is_quiet  # from the close before it, which may be another one now
    is_lacking &= ~is_remade
    is_removed = is_lacking & consent.is_whole
    is_new = np.ones(len(fresh), dtype=np.bool_)
    is_new[place[is_same]] = False  # what is stored stays, to the last bit of its volume
    candles = concatenate([stored[~is_changed & ~is_removed & ~is_remade], fresh[is_new]])
    filled = fill_no_trade(candles, plan.covered, before) if is_quiet else candles
    changed, removed, kept = (int(kind.sum()) for kind in (is_changed, is_removed, is_lacking & ~is_removed))
    return Joined(filled, changed, removed, kept, len(filled) - len(candles))


def _stored(market: Market, price_scale: int, store: CandleStore | None, start_ms: int, end_ms: int) -> Candles:
    """Return the stored candles at a scale."""
    if store is None:
        return Candles.empty(market, price_scale)
    try:
        return _at_scale(store.read_candles(market, start_ms, end_ms), price_scale)
    except MissingDataError:
        return Candles.empty(market, price_scale)


def _at_scale(candles: Candles, price_scale: int) -> Candles:
    """Return the same prices in other ticks."""
    if candles.price_scale == price_scale:
        return candles
    if price_scale % candles.price_scale:
        prices = [candles.prices(name) for name in _PRICES]
        return Candles.from_prices(candles.market, price_scale, candles.open_time_ms, prices, candles.volume)
    factor = price_scale // candles.price_scale
    columns = {name: getattr(candles, name) * (factor if name in _PRICES else 1) for name in COLUMNS}
    return Candles(candles.market, price_scale, **columns)


def _are_same(stored: Candles, fresh: Candles) -> NDArray[np.bool_]:
    prices = np.array([getattr(stored, name) == getattr(fresh, name) for name in _PRICES]).all(axis=0)
    noise = _VOLUME_NOISE * np.maximum(stored.volume, fresh.volume)
    return np.asarray(prices & (np.abs(stored.volume - fresh.volume) <= noise))


def _unasked(stored: Candles, fresh: Candles, count: int) -> UsageError:
    def values(candles: Candles) -> str:
        prices = ", ".join(f"{name} {candles.prices(name)[0]:.15g}" for name in _PRICES)
        return f"{prices}, volume {candles.volume[0]:.15g}"

    return UsageError(
        f"{count:,} stored bars of {stored.market} have other values in the files; the first is "
        f"{to_iso(int(stored.open_time_ms[0]))}: stored {values(stored)}; in the file {values(fresh)}.",
        "Say --restate to take the files' values; the stored ones are kept in candle_revisions.",
    )


def _window(plan: ImportPlan) -> Window:
    """Whole hours in which the covered bars close."""
    edges = np.array([plan.covered[0][0], plan.covered[-1][1] - plan.market.step_ms], dtype=np.int64)
    first, last = hour_of_close(plan.market, edges).tolist()
    return Window(first, last + HOUR_MS)
