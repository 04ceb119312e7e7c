"""Regimes and verdicts beside a user's candles without looking ahead: each candle gets what was known at its close.

See `domain.known_at` for when a row is known, `inputs` for what candles may look like.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.known_at import bar_known_at, newest_known
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.python_api.forms import frame_of
from regime_pipeline.python_api.inputs import SYMBOL, epoch_ms, timeframe_of, times_of

_OF_ONE_MARKET: Final = ("symbol", "timeframe")
_LEFT_OUT: Final = ["open_time", "close"]
"""What the candles say of themselves."""


def join(candles: Any, rows: Any, timeframe: str | None = None, *, prefix: str = "") -> pd.DataFrame:
    """Return the candles with the newest row that was known when each of them closed.

    Parameters
    ----------
    candles : DataFrame, table, rows or mapping
        As `read` takes them, of any timeframe, in any order; only their times are read.
    rows : DataFrame or list of dict
        What `verdicts`, `classify_candles` or `RegimeStorage.get_regimes` returned, or the rows of an answer of the
        API, of one market and any timeframe: `known_at` and what is wanted beside it.
    timeframe : str, optional
        Of the candles, one of `1m 3m 5m 15m 30m 1h 2h 4h 1d`; None takes the smallest distance of two candles.
    prefix : str
        Goes before the names of the columns that are added, for example to join regimes and verdicts.

    Returns
    -------
    DataFrame
        The candles, their columns and index unchanged, with the columns of the row behind each but its `open_time` and
        `close`; `known_at` says how old the row is. Candles before the first row hold NaN.

    Raises
    ------
    BadCandlesError, UsageError
        The candles have no times, or the rows no `known_at`; the rows are of several markets, or have a column's name.

    Notes
    -----
    A row counts from the candle whose close is at or after its `known_at`. Merging on `open_time` instead looks ahead
    below one hour: the verdict of 10:00 to 11:00 depends on closes up to 11:00, and would stand beside the 10:00
    candle of 15 minutes, which closes at 10:15.
    """
    opened = times_of(candles)
    candles = candles if isinstance(candles, pd.DataFrame) else frame_of(candles)
    rows = rows if isinstance(rows, pd.DataFrame) else frame_of(rows)
    closed = bar_known_at(Market(SYMBOL, timeframe or timeframe_of(opened)), opened)
    known = _known_at(rows)
    order = np.argsort(known, kind="stable")
    added = rows.drop(columns=_LEFT_OUT, errors="ignore").add_prefix(prefix)
    taken = [str(name) for name in added if name in candles]
    if taken:
        raise UsageError(f"The candles have {', '.join(taken)} already.", "Name a prefix for what is added.")
    newest = newest_known(known[order], closed)
    beside = added.iloc[order].reset_index(drop=True).reindex(newest).set_axis(candles.index)
    joined: pd.DataFrame = pd.concat([candles, beside], axis=1)
    return joined


def _known_at(rows: pd.DataFrame) -> Int64:
    """The moments from which on the rows may be used, epoch milliseconds."""
    if "known_at" not in rows:
        raise UsageError("The rows have no column known_at.", "Give what rp.verdicts or rp.classify_candles returned.")
    several = [name for name in _OF_ONE_MARKET if name in rows and rows[name].nunique() > 1]
    if several:
        raise UsageError(f"The rows are of more than one {several[0]}.", "Choose those of one market.")
    return epoch_ms(rows["known_at"])
