"""Hourly verdicts of a user's candles or of one snapshot bundle; the same rows as the pipeline's.

See `python_api.candles` for 3D regimes of single candles.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd

from regime_pipeline._bounded_io import read_document
from regime_pipeline.domain.errors import BadSnapshotError, RegimeError, UsageError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.domain.verdicts.engine import analyze, observed_hours, reach_hours
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.python_api.inputs import PRICE_SCALE, SYMBOL, candles_of
from regime_pipeline.services.analysis_service import with_comparison
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline.services.queries.grid_comparison import GivenGrid
from regime_pipeline.services.queries.verdicts import VERDICT_SUMMARY, verdict_frame
from regime_pipeline.storage.snapshots.bundle import candles_of_bundle

_BUNDLE_BYTES: Final = 1 << 26


def verdicts(
    candles: Any,
    timeframe: str = "1h",
    *,
    explain: bool = False,
    symbol: str = SYMBOL,
    policy: Policy | None = None,
    null_table: NullTable | None = None,
    price_scale: int = PRICE_SCALE,
) -> pd.DataFrame:
    """Return the verdict of every observation, with scores, range, alternatives and factors.

    Parameters
    ----------
    candles : DataFrame, table, rows or mapping
        As `read` takes them; ascending, closed candles only.
    timeframe : str
        One of `1m 3m 5m 15m 30m 1h 2h 4h 1d`.
    explain : bool
        Add what the verdict was computed from: weights, ranks and every raw feature.
    symbol : str
        `BASE-QUOTE`, for error texts.
    policy : Policy, optional
        Thresholds; the shipped ones if None. A policy with other features or ranges needs its own null table.
    null_table : NullTable, optional
        Made for the policy; the shipped one if None.
    price_scale : int
        Ticks per unit of quote currency. The tick enters GridCapacityScore: give the market's own.

    Returns
    -------
    DataFrame
        One row per observation that is over by the last candle's close, in order, RangeIndex: per candle at one hour
        and above, per hour with a candle below. `open_time` (start of the hour or bar), `as_of_bar` and `known_at` (its
        close: use the row from then on) are datetime64[ms, UTC]; labels are categoricals; `competing` and `factors` are
        lists of dicts; scores 0..100; prices in quote currency. Warm-up rows say INSUFFICIENT_DATA with confidence 0,
        and `status` why; their numbers are NaN.

    Raises
    ------
    BadCandlesError, UsageError
        The frame is not candles, or the null table was made for another policy.

    Notes
    -----
    Uses bars <= the observation's close: a prefix of the frame gives the same rows. Below one hour `open_time` lies
    before bars that the row depends on: merge on `known_at`, or with `regime_pipeline.join`, never on `open_time`.
    """
    sound = candles_of(candles, timeframe, symbol, price_scale)
    hours = observed_hours(sound)
    policy = policy or default_policy()
    found = analyze(sound, hours, policy, null_table or default_null_table())
    frame = verdict_frame(found, sound.market, hours, policy)
    return frame if explain else frame[list(VERDICT_SUMMARY)]


def verdicts_many(
    frames: Mapping[str, Any], timeframe: str = "1h", *, workers: int | None = None, **options: Any
) -> pd.DataFrame:
    """Return the verdicts of several markets in one frame.

    Parameters
    ----------
    frames : mapping of str to DataFrame, table, rows or mapping
        Candles by symbol (`ETH-USDT`, or as exchanges write it), each as `verdicts` takes them.
    timeframe : str
        One of `1m 3m 5m 15m 30m 1h 2h 4h 1d`, of all frames.
    workers : int, optional
        Markets analyzed at once, in threads; as many as there are cores if None. Explanations take turns.
    **options
        As `verdicts` takes them.

    Returns
    -------
    DataFrame
        `symbol` (`ETH-USDT`, a categorical) and the columns of `verdicts`; market by market in the order given.

    Raises
    ------
    BadCandlesError, UsageError
        As `verdicts`, naming the market.
    """
    if not frames:
        raise UsageError("There are no frames.", "Give candles by symbol.")
    symbols = [Market(name, timeframe).symbol for name in frames]
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        found = list(pool.map(partial(_of_market, timeframe, options), symbols, frames.values()))
    places = np.repeat(np.arange(len(found)), [len(rows) for rows in found])
    names = pd.Categorical.from_codes(places, dtype=pd.CategoricalDtype(symbols))
    joined = pd.concat(found, ignore_index=True)
    joined.insert(0, "symbol", pd.Series(names))
    return joined


def _of_market(timeframe: str, options: Mapping[str, Any], symbol: str, candles: Any) -> pd.DataFrame:
    try:
        return verdicts(candles, timeframe, symbol=symbol, **options)
    except RegimeError as error:
        what = error.what if error.what.startswith(symbol) else f"{symbol}: {error.what}"
        raise type(error)(what, error.todo) from error


def analyze_snapshot(
    bundle: str | Path | Mapping[str, Any],
    *,
    policy: Policy | None = None,
    null_table: NullTable | None = None,
    grid: GivenGrid | None = None,
) -> pd.Series:
    """Return the verdict of one hour from its bundle: a snapshot with its history (`regime export --bundle`).

    Parameters
    ----------
    bundle : path or mapping
        A JSON file, or its content.
    policy : Policy, optional
        Thresholds; the shipped ones if None.
    null_table : NullTable, optional
        Made for the policy; the shipped one if None.
    grid : GridConfig, mapping, str or path, optional
        A configured grid, its fields, or a file as `regime grid export` writes it.

    Returns
    -------
    Series
        A row of `verdicts` with `explain`, named by the market; with a grid also `grid_comparison`, a dict: overlap of
        the discovered with the configured range (`iou`, 0..1), offsets of the edges in ATR, capacity and net gain of
        both.

    Raises
    ------
    BadSnapshotError
        The file is not a bundle, is damaged, or embeds less history than the verdict depends on.
    UsageError
        The null table was made for another policy.
    """
    policy = policy or default_policy()
    document = _read(bundle)
    candles = candles_of_bundle(document)
    _refuse_short_history(document, candles, policy)
    hours = np.array([to_ms(document["hour_start"])], dtype=np.int64)
    found = analyze(candles, hours, policy, null_table or default_null_table())
    row = verdict_frame(found, candles.market, hours, policy).iloc[0].rename(str(candles.market))
    return row if grid is None else with_comparison(row, candles.market, grid, policy)


def _read(bundle: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """The bundle's content."""
    if isinstance(bundle, Mapping):
        return bundle
    try:
        document = orjson.loads(read_document(Path(bundle), _BUNDLE_BYTES))
    except OSError as error:
        raise UsageError(f"Cannot read {bundle}: {error.strerror}.") from error
    except ValueError as error:
        raise BadSnapshotError(f"{bundle} is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise BadSnapshotError(f"{bundle} is not a snapshot: the top level is not an object.")
    return document


def _refuse_short_history(document: Mapping[str, Any], candles: Candles, policy: Policy) -> None:
    """Refuse a bundle from which the verdict could come out other than from the whole series."""
    needed, embedded = reach_hours(candles.market, policy), document["historical_data"]["hours"]
    if embedded < needed:
        raise BadSnapshotError(
            f"The bundle of {candles.market} {document['hour_start']} embeds {embedded} hours of history;"
            f" its verdict depends on {needed}.",
            "Export it with `regime export --bundle`, which embeds enough.",
        )
