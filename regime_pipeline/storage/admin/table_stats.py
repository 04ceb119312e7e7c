"""How large the tables are, and when each stage last wrote: for monitoring.

See `api.monitoring` for the metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from regime_pipeline.storage.pool import Cursor

_SIZES: Final = (
    "SELECT c.relname::text, coalesce(l.rows, greatest(c.reltuples, s.n_live_tup))::bigint, "
    "pg_total_relation_size(c.oid)::bigint FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid "
    "LEFT JOIN (SELECT asset, sum(n) AS rows FROM partition_ledger, unnest(row_count) AS n GROUP BY 1) l "
    "ON l.asset = c.relname WHERE c.relnamespace = current_schema()::regnamespace ORDER BY 1"
)
_WRITES: Final = (
    "SELECT asset, extract(epoch FROM now() - max(updated_at))::float8 FROM partition_ledger GROUP BY 1 ORDER BY 1"
)


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table with its rows (of bulk tables as the ledger counts them, else estimated) and its bytes with indexes."""

    name: str
    rows: int
    size_bytes: int


def table_sizes(cursor: Cursor) -> list[TableSize]:
    """Return every table of the schema."""
    return [TableSize(*row) for row in cursor.execute(_SIZES).fetchall()]


def seconds_since_writes(cursor: Cursor) -> dict[str, float]:
    """Return by asset how long ago it last wrote an hour, seconds."""
    found: list[tuple[str, float]] = cursor.execute(_WRITES).fetchall()
    return dict(found)
