"""Snapshots for other programs: bundles that embed history, so that one file suffices for analysis, and YAML.

Stored snapshots never repeat history; see `store`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]

from regime_pipeline.domain.errors import BadCandlesError, BadSnapshotError, MissingDataError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.snapshot import HourSnapshot, join_candles
from regime_pipeline.domain.market_data.window import hour_of_close, to_iso
from regime_pipeline.storage.snapshots.codec import bar_rows, candles_of_columns, columns_of, hash_of, to_document
from regime_pipeline.storage.snapshots.schema import HISTORY, History, check_shape
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline.storage.snapshots.validation import REMEDY, from_document


def bundle(
    store: SnapshotStore, market: Market, hour_start_ms: int, history_hours: int, as_of_ms: int | None = None
) -> dict[str, Any]:
    """Return a snapshot's document with `historical_data`: the bars that closed in the hours before it.

    Parameters
    ----------
    store : SnapshotStore
        Where the snapshots are.
    market : Market
        Symbol and timeframe.
    hour_start_ms : int
        Start of the hour, epoch milliseconds UTC.
    history_hours : int
        How many hours before the hour to embed; absent ones give no bars.
    as_of_ms : int, optional
        Take what was known at this time.

    Raises
    ------
    MissingDataError
        The hour has no snapshot.
    BadSnapshotError
        A file is damaged.
    """
    snapshot = store.load(market, hour_start_ms, as_of_ms)
    if snapshot is None:
        raise MissingDataError(f"There is no snapshot of {market} {to_iso(hour_start_ms)} under {store.root}.")
    start_ms, end_ms = hour_start_ms - history_hours * HOUR_MS, hour_start_ms
    shift = market.step_ms - 1
    past = store.read_candles(market, start_ms - shift, end_ms - shift, as_of_ms)
    content = {"hours": history_hours, "price_scale": past.price_scale, "bars": bar_rows(past)}
    return {**to_document(snapshot), HISTORY: {**content, "sha256": hash_of(content)}}


def candles_of_bundle(document: Mapping[str, Any]) -> Candles:
    """Return history and bars of a bundle as candles, in order, at one price scale.

    Raises
    ------
    BadSnapshotError
        The snapshot or its history is damaged or absent; every fault of the first of them is named.
    """
    snapshot = from_document(document)
    history: History | None = check_shape(document).fields.get(HISTORY)
    if history is None:
        raise BadSnapshotError(f"Bundle {snapshot}: no {HISTORY}.", "Export it with `regime export --bundle`.")
    if history.sha256 != hash_of({n: v for n, v in document[HISTORY].items() if n != "sha256"}):
        raise BadSnapshotError(f"Bundle {snapshot}: the hash of {HISTORY} does not match.", REMEDY)
    try:
        past = candles_of_columns(snapshot.market, history.price_scale, columns_of(history.bars))
        _refuse_outside(snapshot, history, past)
        return join_candles([past, snapshot.bars])
    except BadCandlesError as error:
        raise BadSnapshotError(f"Bundle {snapshot}: {error.what}", REMEDY) from error


def _refuse_outside(snapshot: HourSnapshot, history: History, past: Candles) -> None:
    """Refuse bars that did not close in the history's hours: a later one would be lookahead."""
    hours = hour_of_close(snapshot.market, past.open_time_ms)
    first = snapshot.hour_start_ms - history.hours * HOUR_MS
    if len(past) and not first <= hours.min() <= hours.max() < snapshot.hour_start_ms:
        raise BadSnapshotError(f"Bundle {snapshot}: {HISTORY} holds bars outside its {history.hours} hours.", REMEDY)


def to_yaml(snapshot: HourSnapshot) -> str:
    """Return the snapshot's document as YAML; `from_document` reads what a YAML parser makes of it."""
    text: str = yaml.safe_dump(_plain(to_document(snapshot)), sort_keys=False, default_flow_style=None, width=200)
    return text


def yaml_name(snapshot: HourSnapshot) -> str:
    """Return the export's file name, `HH_SYMBOL_TIMEFRAME.yaml`, for example `10_ETH-USDT_1h.yaml`."""
    return f"{to_iso(snapshot.hour_start_ms)[11:13]}_{snapshot.market}.yaml"


def _plain(value: Any) -> Any:
    """Return JSON values with lists for tuples, which YAML would tag."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
