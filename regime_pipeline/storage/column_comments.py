"""What each column of a stored table says, for the catalog of the Dagster UI and for psql.

Hourly columns are described in `domain.schema` and `domain.grids.schema`; here stand the others. See `tables` for DDL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from regime_pipeline.domain.grids.schema import GRID_ADVICE
from regime_pipeline.domain.schema import DASHBOARD_HOURS, FEATURES, SCORES, VERDICT_COLUMNS

_KEYS: Final[Mapping[str, str]] = {
    "series_id": "the market: a row of the table series",
    "run_id": "the run that wrote the row: a row of the table runs",
}
_BAR: Final[Mapping[str, str]] = {
    "open_time": "open of the bar, UTC",
    "open": "first price, quote currency",
    "high": "highest price, quote currency",
    "low": "lowest price, quote currency",
    "close": "last price, quote currency",
    "volume": "volume, base currency",
}
_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "candles": _BAR,
    "candle_revisions": {
        "open_time": "open of the bar, UTC",
        "revised_at": "when it was restated or removed, UTC",
        **{f"old_{name}": f"{text}, before the revision" for name, text in _BAR.items() if name != "open_time"},
        "old_run_id": "the run that had written it",
        "is_removed": "the candle was removed, not restated",
    },
    "candle_hours": {
        "hour_start": "start of the hour, UTC",
        "expected": "bars that close in the hour",
        "present": "bars that are there",
        "status": "complete, exchange_gap (the source confirms that there is nothing) or missing",
    },
    "candle_regime": {
        "open_time": "open of the bar, UTC",
        "state": "3D regime: a row of the table regime_state",
        "confidence": "how far the deciding inputs stand inside the regime, 0..1",
        "written_at": "when the row was written, UTC",
    },
    "regime_period": {
        "t0": "open of the first bar, UTC",
        "t1": "open of the last bar, UTC",
        "n": "bars",
        "regime": "simplified regime, by its code",
        "conf_avg": "mean confidence of the bars, 0..1",
        "conf_min": "least confidence of the bars, 0..1",
        "conf_max": "greatest confidence of the bars, 0..1",
        "is_open": "no other regime has followed yet",
    },
    **{
        name: {column.name: column.meaning for column in columns}
        for name, columns in (
            ("features", FEATURES),
            ("scores", SCORES),
            ("regime_verdicts", VERDICT_COLUMNS),
            ("grid_advice", GRID_ADVICE),
            ("dashboard_hours", DASHBOARD_HOURS),
        )
    },
}


def column_comment(table: str, column: str) -> str:
    """Return what a column says, one line in plain English.

    Parameters
    ----------
    table : str
        A table that an asset of the chain writes.
    column : str
        One of its columns.

    Raises
    ------
    KeyError
        Nothing is written about it.
    """
    return _TABLES[table].get(column) or _KEYS[column]
