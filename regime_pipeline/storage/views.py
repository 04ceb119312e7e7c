"""Views for people and agents: names instead of codes and ids, the seed's table among them.

Programs read through `Warehouse.read_range`; nothing in the package selects from these views in bulk.
"""

from __future__ import annotations

import textwrap
from typing import Final

from regime_pipeline.domain.regime_state import SIMPLIFIED
from regime_pipeline.storage.bulk_tables import CANDLE_HOURS, CANDLES, HOURLY_TABLES, BulkTable

_REGIME_NAMES: Final = "ARRAY[" + ", ".join(f"'{name}'" for name in SIMPLIFIED) + "]"


def _view_of(table: BulkTable) -> str:
    """Show a bulk table with the market's symbol and timeframe."""
    columns = ", ".join(["s.symbol", "s.timeframe", *(f"t.{name}" for name in table.names), "t.run_id"])
    listed = textwrap.fill(columns, 116, subsequent_indent="  ", break_on_hyphens=False)
    return f"SELECT {listed}\nFROM {table.name} t\nJOIN series s USING (series_id)"


_MARKET_REGIMES: Final = """\
SELECT s.symbol, s.timeframe, r.open_time, x.trend_state, x.volatility_state, x.momentum_state, x.full_regime,
  x.simplified_regime, r.confidence, u.started_at AS created_at, r.run_id
FROM candle_regime r
JOIN series s USING (series_id)
JOIN regime_state x USING (state)
LEFT JOIN runs u ON u.run_id = r.run_id"""

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
