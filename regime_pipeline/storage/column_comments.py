"""What each column of a stored table says, for the catalog of the Dagster UI and for psql.

Hourly columns are described in `domain.schema` and `domain.grids.schema`; here stand the others. See `tables` for DDL.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from regime_pipeline.domain.grids.schema import GRID_ADVICE
from regime_pipeline.domain.schema import DASHBOARD_HOURS, FEATURES, SCORES, VERDICT_COLUMNS

_KEYS: Final[Mapping[str, str]] = {
    "series_id": "the market: a row of the table series",
    "run_id": "the run that wrote the row: a row of the table runs",
    "symbol": "base and quote currency, for example BTC-USDT",
    "timeframe": "length of a bar: 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h or 1d",
    "known_at": "when the row could be known at the earliest, UTC: join by this time, not by the start",
    "recorded_at": "when the row was written, UTC",
    "claimed_at": "when a process took it on, UTC",
    "asked_at": "when the question came, UTC",
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
    "series": {
        "series_id": "number of the market",
        "venue": "where its candles come from",
        "step": "length of a bar",
        "price_scale": "ticks per unit of quote currency",
    },
    "runs": {
        "run_id": "number of the run",
        "dagster_run_id": "Dagster's name of the run, null outside Dagster",
        "code_version": "version of this package",
        "config_hash": "hash of policy and null table",
        "started_at": "when the run began, UTC",
        "dirty_mark": "last mark of dirty_range that the run has seen",
    },
    "regime_state": {
        "state": "code of the 3D regime",
        "trend_state": "direction of the trend",
        "volatility_state": "volatility against its own past",
        "momentum_state": "momentum",
        "full_regime": "the three states in one name",
        "simplified_regime": "the few regimes that they come down to",
    },
    "partition_ledger": {
        "day": "UTC day; the arrays hold its 24 hours",
        "updated_at": "when an hour of the day was last written, UTC",
        "asset": "the stage of the chain",
        "content_hash": "hash of each hour's rows",
        "row_count": "rows of each hour",
        "run_id": "run that last changed each hour",
    },
    "dirty_range": {
        "id": "number of the mark",
        "from_time": "start of what changed, UTC",
        "to_time": "end of what changed (exclusive), UTC",
        "marked_at": "when it was marked, UTC",
        "run_id": "the run whose change it was",
        "asset": "the stage whose rows changed",
        "reason": "what changed them",
    },
    "grid_config": {
        "version": "number of the grid's version, from 1",
        "valid_from": "from when on it counts, UTC",
        "config": "the grid as it was given, JSON",
    },
    "grid_stop": {
        "stopped_at": "when the grid was stopped, UTC",
        "cause": "what stopped it",
        "who": "who stopped it",
        "why": "the reason given",
    },
    "api_key": {
        "key_id": "public part of the key",
        "name": "what its owner calls it",
        "scope": "read or write",
        "secret_hash": "hash of the secret part; the secret itself is nowhere stored",
        "created_at": "when it was made, UTC",
        "revoked_at": "when it was revoked, UTC; null while it is good",
    },
    "policy": {
        "policy_hash": "hash that rows and explanations name",
        "document": "every threshold of the policy, JSON",
    },
    "hook_request": {
        "request_id": "the id that the caller chose",
        "question": "what was asked, JSON",
        "answer": "what was answered, JSON; null while it is being worked out",
    },
    "collect_request": {
        "hour_start": "start of the hour that was asked for, UTC",
        "launched_at": "when a run was launched for it, UTC; null while it waits",
    },
    "snapshot_store": {
        "is_only": "true: the table has one row",
        "mark": "mark in the snapshot folder that belongs to this database",
    },
    "alert_log": {
        "alert_id": "what happened, once",
        "channel": "the channel that it goes to",
        "message": "the text",
        "sent_at": "when it was sent, UTC; null while it is being sent",
    },
    "market_partitions": {
        "asset": "the stage of the chain",
        "hour_start": "start of the hour, UTC",
        "row_count": "rows of the hour",
        "content_hash": "hash of the hour's rows",
        "code_version": "version of this package that wrote them",
        "config_hash": "hash of policy and null table that they were written with",
        "updated_at": "when the hour's day was last written, UTC",
    },
    "market_periods": {
        "simplified_regime": "regime of every bar of the period",
        "start_time": "open of the first bar, UTC",
        "end_time": "open of the last bar, UTC",
        "candles": "bars",
        "confidence_avg": "mean confidence of the bars, 0..1",
        "confidence_min": "least confidence of the bars, 0..1",
        "confidence_max": "greatest confidence of the bars, 0..1",
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
_VIEWS: Final[Mapping[str, tuple[str, ...]]] = {
    "market_candles": ("candles",),
    "market_candle_hours": ("candle_hours",),
    "market_candle_revisions": ("candle_revisions",),
    "market_regimes": ("candle_regime", "regime_state"),
    "market_periods": ("regime_period",),
    "market_features": ("features",),
    "market_scores": ("scores",),
    "market_verdicts": ("regime_verdicts",),
    "market_grid_advice": ("grid_advice",),
    "market_dashboard_hours": ("dashboard_hours",),
}
"""The tables whose columns a view shows under their own names."""
_OF_VIEWS: Final[Mapping[str, str]] = {
    "is_no_trade": "nobody traded in the bar: it is flat at the close before, with volume 0",
    "created_at": "when the row was written, UTC",
}


COMMENTED: Final = frozenset(_TABLES) | frozenset(_VIEWS)
"""The tables and views of ours; whatever else is in the database is not ours to describe."""


def column_comment(table: str, column: str) -> str:
    """Return what a column says, one line in plain English.

    Parameters
    ----------
    table : str
        A table or view of ours.
    column : str
        One of its columns.

    Raises
    ------
    KeyError
        Nothing is written about it.
    """
    return _comments(table)[column]


@cache
def _comments(table: str) -> Mapping[str, str]:
    shown = [_TABLES[name] for name in _VIEWS.get(table, ())]
    return {key: text for texts in (_KEYS, _OF_VIEWS, *shown, _TABLES.get(table, {})) for key, text in texts.items()}
