"""The schema as SQLAlchemy metadata: tables, keys, checks, storage parameters, and the views.

What is released is frozen in `migrations`; a test keeps the two equal.
"""

from __future__ import annotations

import textwrap
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB, TIMESTAMP

from regime_pipeline.domain.candle_regimes.states import SIMPLIFIED
from regime_pipeline.domain.schema import HOUR_STATUSES
from regime_pipeline.storage.bulk.columns import CANDLE_HOURS, CANDLES, HOURLY_TABLES, BulkTable, StoredColumn
from regime_pipeline.storage.column_comments import column_comment

_REGIME_NAMES: Final = "ARRAY[" + ", ".join(f"'{name}'" for name in SIMPLIFIED) + "]"


_HOUR_KNOWN_AT: Final = "t.hour_start + interval '1 hour' AS known_at"
_BAR_KNOWN_AT: Final = "r.open_time + make_interval(secs => EXTRACT(epoch FROM s.timeframe::interval)) AS known_at"
"""As `domain.known_at`; a day is 24 hours in any session's time zone."""

_IS_NO_TRADE: Final = "t.volume = 0 AND t.low = t.high AS is_no_trade"
"""As `domain.market_data.no_trade`."""


def _view_of(table: BulkTable) -> str:
    """Show a bulk table with the market's symbol and timeframe."""
    made = [_HOUR_KNOWN_AT] if table.time == "hour_start" else [_IS_NO_TRADE] if table is CANDLES else []
    columns = ", ".join(["s.symbol", "s.timeframe", *(f"t.{name}" for name in table.names), "t.run_id", *made])
    listed = textwrap.fill(columns, 116, subsequent_indent="  ", break_on_hyphens=False)
    return f"SELECT {listed}\nFROM {table.name} t\nJOIN series s USING (series_id)"


_MARKET_REGIMES: Final = f"""\
SELECT s.symbol, s.timeframe, r.open_time, x.trend_state, x.volatility_state, x.momentum_state, x.full_regime,
  x.simplified_regime, r.confidence, COALESCE(r.written_at, u.started_at) AS created_at, r.run_id,
  {_BAR_KNOWN_AT}
FROM candle_regime r
JOIN series s USING (series_id)
JOIN regime_state x USING (state)
LEFT JOIN runs u ON u.run_id = r.run_id"""  # noqa: S608 - names of our own

_MARKET_PERIODS: Final = f"""\
SELECT s.symbol, s.timeframe,
  ({_REGIME_NAMES})[p.regime + 1] AS simplified_regime,
  p.t0 AS start_time, p.t1 AS end_time, p.n AS candles, p.is_open, p.conf_avg AS confidence_avg,
  p.conf_min AS confidence_min, p.conf_max AS confidence_max
FROM regime_period p
JOIN series s USING (series_id)"""  # noqa: S608 - names of our own

_MARKET_REVISIONS: Final = """\
SELECT s.symbol, s.timeframe, v.open_time, v.revised_at, v.old_open, v.old_high, v.old_low, v.old_close,
  v.old_volume, v.is_removed, v.old_run_id, v.run_id
FROM candle_revisions v
JOIN series s USING (series_id)"""

_MARKET_PARTITIONS: Final = """\
SELECT l.asset, s.symbol, s.timeframe, l.day + (h.hour - 1) * interval '1 hour' AS hour_start, h.row_count,
  h.content_hash, h.run_id, u.code_version, u.config_hash, l.updated_at
FROM partition_ledger l
JOIN series s USING (series_id)
CROSS JOIN LATERAL unnest(l.row_count, l.content_hash, l.run_id) WITH ORDINALITY
  AS h (row_count, content_hash, run_id, hour)
JOIN runs u ON u.run_id = h.run_id"""

VIEWS: Final[dict[str, str]] = {
    "market_regimes": _MARKET_REGIMES,
    "market_periods": _MARKET_PERIODS,
    "market_candles": _view_of(CANDLES),
    "market_candle_hours": _view_of(CANDLE_HOURS),
    "market_candle_revisions": _MARKET_REVISIONS,
    **{f"market_{table.name.removeprefix('regime_')}": _view_of(table) for table in HOURLY_TABLES},
    "market_partitions": _MARKET_PARTITIONS,
}
"""Name and query of every view."""


metadata: Final = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s",
    }
)
_TIME: Final = TIMESTAMP(timezone=True)
_SQL_TYPES: Final[dict[str, Any]] = {
    "float": DOUBLE_PRECISION,
    "int": sa.Integer,
    "flag": sa.Boolean,
    "time": _TIME,
    "label": sa.Text,
    "text": sa.Text,
    "json": JSONB,
}
_VACUUM_OFTEN: Final = {"autovacuum_vacuum_insert_scale_factor": 0.02, "autovacuum_analyze_scale_factor": 0.02}
"""Index-only scans need the visibility map, which only vacuum sets."""
_BAR: Final = ("open", "high", "low", "close", "volume")


def _required(name: str, kind: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, **options)


def _identity(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, sa.Identity(always=True), primary_key=True)


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    """Constrain a text column to a closed set."""
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"{column}_check")


series: Final = sa.Table(
    "series",
    metadata,
    _identity("series_id", sa.Integer),
    _required("venue", sa.Text),
    _required("symbol", sa.Text),
    _required("timeframe", sa.Text),
    _required("step", sa.Interval),
    _required("price_scale", sa.BigInteger),
    sa.UniqueConstraint("symbol", "timeframe"),
    sa.CheckConstraint("price_scale > 0", name="price_scale_check"),
)

runs: Final = sa.Table(
    "runs",
    metadata,
    _identity("run_id", sa.Integer),
    sa.Column("dagster_run_id", sa.Text),
    _required("code_version", sa.Text),
    _required("config_hash", sa.Text),
    _required("started_at", _TIME, server_default=sa.func.now()),
    _required("dirty_mark", sa.BigInteger),
)

candles: Final = sa.Table(
    "candles",
    metadata,
    _required("open_time", _TIME),
    *(_required(name, DOUBLE_PRECISION) for name in _BAR),
    _required("series_id", sa.Integer),
    _required("run_id", sa.Integer),
    sa.PrimaryKeyConstraint("series_id", "open_time"),
    postgresql_with=_VACUUM_OFTEN,
)

candle_revisions: Final = sa.Table(
    "candle_revisions",
    metadata,
    _required("open_time", _TIME),
    _required("revised_at", _TIME, server_default=sa.text("statement_timestamp()")),
    *(_required(f"old_{name}", DOUBLE_PRECISION) for name in _BAR),
    _required("series_id", sa.Integer),
    _required("old_run_id", sa.Integer),
    _required("run_id", sa.Integer),
    _required("is_removed", sa.Boolean),
    sa.PrimaryKeyConstraint("series_id", "open_time", "revised_at"),
)

candle_hours: Final = sa.Table(
    "candle_hours",
    metadata,
    _required("hour_start", _TIME),
    _required("series_id", sa.Integer),
    _required("run_id", sa.Integer),
    _required("expected", sa.SmallInteger),
    _required("present", sa.SmallInteger),
    _required("status", sa.Text),
    sa.PrimaryKeyConstraint("series_id", "hour_start"),
    _one_of("status", HOUR_STATUSES),
)

regime_state: Final = sa.Table(
    "regime_state",
    metadata,
    sa.Column("state", sa.SmallInteger, primary_key=True, autoincrement=False),
    *(
        _required(name, sa.Text)
        for name in ("trend_state", "volatility_state", "momentum_state", "full_regime", "simplified_regime")
    ),
    _one_of("simplified_regime", SIMPLIFIED),
)

candle_regime: Final = sa.Table(
    "candle_regime",
    metadata,
    _required("open_time", _TIME),
    _required("series_id", sa.Integer),
    _required("run_id", sa.Integer),
    _required("confidence", sa.REAL),
    _required("state", sa.SmallInteger),
    sa.Column("written_at", _TIME, server_default=sa.func.now()),
    sa.PrimaryKeyConstraint("series_id", "open_time", postgresql_include=["state", "confidence"]),
    sa.Index("candle_regime_state_idx", "state"),
    sa.Index("candle_regime_confidence_idx", "confidence"),
    sa.CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_check"),
    postgresql_with=_VACUUM_OFTEN,
)

regime_period: Final = sa.Table(
    "regime_period",
    metadata,
    _required("t0", _TIME),
    _required("t1", _TIME),
    _required("series_id", sa.Integer),
    _required("n", sa.Integer),
    *(_required(f"conf_{name}", sa.REAL) for name in ("avg", "min", "max")),
    _required("regime", sa.SmallInteger),
    _required("is_open", sa.Boolean),
    sa.PrimaryKeyConstraint("series_id", "t0"),
    sa.Index("regime_period_regime_idx", "regime", "series_id", "t0"),
)

partition_ledger: Final = sa.Table(
    "partition_ledger",
    metadata,
    _required("day", _TIME),
    _required("updated_at", _TIME, server_default=sa.func.now()),
    _required("series_id", sa.Integer),
    _required("asset", sa.Text),
    _required("content_hash", ARRAY(sa.BigInteger)),
    _required("row_count", ARRAY(sa.Integer)),
    _required("run_id", ARRAY(sa.Integer)),
    sa.PrimaryKeyConstraint("asset", "series_id", "day"),
)

dirty_ids: Final = sa.Sequence("dirty_range_id_seq", metadata=metadata)

dirty_range: Final = sa.Table(
    "dirty_range",
    metadata,
    _required("id", sa.BigInteger),
    _required("from_time", _TIME),
    _required("to_time", _TIME),
    _required("marked_at", _TIME, server_default=sa.func.now()),
    _required("series_id", sa.Integer),
    _required("run_id", sa.Integer),
    _required("asset", sa.Text),
    _required("reason", sa.Text),
    sa.PrimaryKeyConstraint("id", "from_time"),
    sa.CheckConstraint("from_time < to_time", name="span_check"),
    sa.Index("dirty_range_asset_idx", "asset", "series_id"),
)

grid_config: Final = sa.Table(
    "grid_config",
    metadata,
    _required("symbol", sa.Text),
    _required("version", sa.Integer),
    _required("valid_from", _TIME),
    _required("recorded_at", _TIME, server_default=sa.func.now()),
    _required("config", JSONB),
    sa.PrimaryKeyConstraint("symbol", "version"),
)

grid_stop: Final = sa.Table(
    "grid_stop",
    metadata,
    _required("symbol", sa.Text),
    _required("stopped_at", _TIME),
    _required("recorded_at", _TIME, server_default=sa.func.now()),
    *(_required(name, sa.Text) for name in ("cause", "who", "why")),
    sa.PrimaryKeyConstraint("symbol", "stopped_at"),
)


api_key: Final = sa.Table(
    "api_key",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    _required("name", sa.Text),
    _required("scope", sa.Text),
    _required("secret_hash", sa.Text),
    _required("created_at", _TIME, server_default=sa.func.now()),
    sa.Column("revoked_at", _TIME),
    _one_of("scope", ("read", "write")),
)

policy: Final = sa.Table(
    "policy",
    metadata,
    sa.Column("policy_hash", sa.Text, primary_key=True),
    _required("document", JSONB),
    _required("recorded_at", _TIME, server_default=sa.func.now()),
)

hook_request: Final = sa.Table(
    "hook_request",
    metadata,
    sa.Column("request_id", sa.Text, primary_key=True),
    _required("question", JSONB),
    sa.Column("answer", JSONB),
    _required("asked_at", _TIME, server_default=sa.func.now()),
    sa.Index("hook_request_asked_idx", "asked_at"),
)

collect_request: Final = sa.Table(
    "collect_request",
    metadata,
    _required("symbol", sa.Text),
    _required("timeframe", sa.Text),
    _required("hour_start", _TIME),
    _required("asked_at", _TIME, server_default=sa.func.now()),
    sa.Column("launched_at", _TIME),
    sa.PrimaryKeyConstraint("symbol", "timeframe", "hour_start"),
)

snapshot_store: Final = sa.Table(
    "snapshot_store",
    metadata,
    sa.Column("is_only", sa.Boolean, primary_key=True, server_default=sa.true()),
    _required("mark", sa.Text),
    _required("claimed_at", _TIME, server_default=sa.func.now()),
    sa.CheckConstraint("is_only", name="is_only_check"),
)

alert_log: Final = sa.Table(
    "alert_log",
    metadata,
    _required("alert_id", sa.Text),
    _required("channel", sa.Text),
    _required("message", sa.Text),
    sa.Column("sent_at", _TIME),
    _required("claimed_at", _TIME, server_default=sa.func.now()),
    sa.PrimaryKeyConstraint("alert_id", "channel"),
)


def _stored(column: StoredColumn) -> sa.Column[Any]:
    return sa.Column(column.name, _SQL_TYPES[column.kind], nullable=column.is_nullable)


def _hourly(table: BulkTable) -> sa.Table:
    """Build an hourly table from its layout, with the closed set of every label."""
    return sa.Table(
        table.name,
        metadata,
        _required("hour_start", _TIME),
        _required("series_id", sa.Integer),
        _required("run_id", sa.Integer),
        *map(_stored, table.columns),
        sa.PrimaryKeyConstraint("series_id", "hour_start"),
        *(_one_of(column.name, column.categories) for column in table.columns if column.categories),
        postgresql_with=_VACUUM_OFTEN,
    )


hourly: Final = {table.name: _hourly(table) for table in HOURLY_TABLES}
for _table in metadata.tables.values():
    for _column in _table.columns:
        _column.comment = column_comment(_table.name, _column.name)
