"""The metadata and the released schema are one: same catalog, down to checks, included columns and views."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.storage.admin.migrate import VERSION_TABLE, upgrade
from regime_pipeline.storage.tables import VIEWS, metadata
from regime_pipeline.storage.urls import sqlalchemy_url

_SCHEMA = "SELECT oid FROM pg_namespace WHERE nspname = current_schema()"
_CATALOG = f"""
SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text, a.attidentity::text,
  COALESCE(pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
WHERE c.relnamespace IN ({_SCHEMA}) AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid), '', ''
FROM pg_constraint WHERE connamespace IN ({_SCHEMA}) AND contype <> 'n'
UNION ALL SELECT 'index', tablename, indexname, regexp_replace(indexdef, ' ON \\w+\\.', ' ON '), '', '', ''
FROM pg_indexes WHERE schemaname = current_schema()
UNION ALL SELECT 'relation', relname, relkind::text, COALESCE(array_to_string(reloptions, ','), ''), '', '', ''
FROM pg_class WHERE relnamespace IN ({_SCHEMA}) AND relkind IN ('r', 'v', 'S')
UNION ALL SELECT 'view', viewname, definition, '', '', '', '' FROM pg_views WHERE schemaname = current_schema()
ORDER BY 1, 2, 3, 4, 5
"""


def catalog(connection: sa.Connection) -> list[tuple[str, ...]]:
    rows = connection.execute(sa.text(_CATALOG.replace(":", "\\:"))).fetchall()
    return [tuple(row) for row in rows if VERSION_TABLE not in row[1]]


def test_the_released_schema_is_the_metadata(each_postgres_url):
    upgrade(each_postgres_url)
    engine = sa.create_engine(sqlalchemy_url(each_postgres_url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        released = catalog(connection)
        connection.execute(sa.text("CREATE SCHEMA by_metadata"))
        connection.execute(sa.text("SET LOCAL search_path TO by_metadata"))
        metadata.create_all(connection)
        for name, query in VIEWS.items():
            connection.exec_driver_sql(f"CREATE VIEW {name} AS {query}")
        described = catalog(connection)
    assert len(released) > 150
    assert described == released, "write a revision"


def test_alembic_sees_no_difference_either(database_url):
    upgrade(database_url)
    engine = sa.create_engine(sqlalchemy_url(database_url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_regime_states_are_seeded_as_the_domain_has_them(warehouse):
    with psycopg.connect(warehouse.url) as connection:
        rows = connection.execute("SELECT * FROM regime_state ORDER BY state").fetchall()
    assert rows == [
        (s.state, s.trend_state, s.volatility_state, s.momentum_state, s.full_regime, s.simplified_regime)
        for s in REGIME_STATES
    ]


def test_no_table_has_a_foreign_key():
    assert [table.name for table in metadata.sorted_tables if table.foreign_keys] == []


@pytest.mark.parametrize("value", ["1.0001", "-0.1", "'NaN'"])
def test_the_database_refuses_a_confidence_out_of_bounds(warehouse, value):
    with psycopg.connect(warehouse.url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"INSERT INTO candle_regime VALUES (now(), 1, 1, {value}, 0)")
