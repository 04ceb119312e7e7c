"""The warehouse against a dictionary: any sequence of bulk writes leaves exactly what the model holds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.storage.admin.migrate import upgrade
from regime_pipeline.storage.bulk.columns import BULK_TABLES, BulkTable
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.storage.bulk.test_regime_periods import assert_periods_are_from_scratch
from regime_pipeline_tests.storage.factories import ETH, START_MS, begin, hours, random_rows

FOUR_HOURS = Market("ETH-USDT", "4h")
QUARTERS = Market("ETH-USDT", "15m")
ALL = hours(0, 72)

writes = st.lists(
    st.tuples(
        st.sampled_from(["candle_regime", "candle_hours", "features", "regime_verdicts"]),
        st.sampled_from([ETH, FOUR_HOURS, QUARTERS]),
        st.integers(0, 60),
        st.integers(0, 12),
        st.integers(0, 3),
        st.sampled_from([0.0, 0.6, 1.0]),
        st.sampled_from(["cfg", "other"]),
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture
def warehouse(database_url: str) -> Iterator[Warehouse]:
    upgrade(database_url)
    with Warehouse(database_url) as made:
        yield made


def clear(warehouse: Warehouse) -> None:
    """Empty every table."""
    tables = ", ".join([*BULK_TABLES, "regime_period", "partition_ledger"])
    with psycopg.connect(warehouse.url) as connection:
        connection.execute(f"TRUNCATE {tables}".encode())


def as_model(table: BulkTable, rows) -> dict[int, tuple]:
    """Rows by key; floats by their bits."""
    columns = [values.view(f"i{values.itemsize}") if values.dtype.kind == "f" else values for values in rows.values()]
    listed = zip(*(column.tolist() for column in columns), strict=True)
    return dict(zip(rows[table.time].tolist(), listed, strict=True))


@given(writes)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_writes_equals_a_dictionary(warehouse, sequence):
    begin(warehouse, ETH, FOUR_HOURS, QUARTERS)
    clear(warehouse)
    model: dict[tuple[str, Market], dict[int, tuple]] = {}
    counts: dict[tuple[str, Market], dict[int, int]] = {}
    for name, market, first, length, seed, share, config in sequence:
        table, window = BULK_TABLES[name], hours(first, length)
        rows = random_rows(table, market, window, seed)
        keep = np.random.default_rng(seed).random(len(rows[table.time])) < share
        rows = {column: values[keep] for column, values in rows.items()}
        warehouse.replace_range(name, market, window, rows, begin(warehouse, config=config))
        held = model.setdefault((name, market), {})
        inside = table.hours_of(market, np.array(list(held), dtype=np.int64))
        for key, hour in zip(list(held), inside.tolist(), strict=True):
            if window.start_ms <= hour < window.end_ms:
                del held[key]
        held.update(as_model(table, rows))
        per_hour = counts.setdefault((name, market), {})
        per_hour.update(dict.fromkeys(window.hours.tolist(), 0))
        for hour in table.hours_of(market, rows[table.time]).tolist():
            per_hour[hour] += 1
    for (name, market), held in model.items():
        found = warehouse.read_range(name, market, ALL)
        assert as_model(BULK_TABLES[name], found) == held
        assert list(found[BULK_TABLES[name].time]) == sorted(held)
        recorded = warehouse.ledger(name, market, ALL)
        expected = [counts[name, market].get(START_MS + hour * HOUR_MS, 0) for hour in range(72)]
        assert recorded.counts.tolist() == expected
    for market in (ETH, FOUR_HOURS, QUARTERS):
        assert_periods_are_from_scratch(warehouse, market)
