"""The numpy encoder against a naive one, field by field with struct."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime_pipeline.storage.bulk import copy_format as copy_binary
from regime_pipeline.storage.bulk.columns import BULK_TABLES, NO_TIME, StoredColumn
from regime_pipeline.storage.bulk.copy_format import copy_order, encode_copy, memory_times, wire_times
from regime_pipeline_tests.storage.factories import ETH, hours, random_rows

_CODES = {"float": "d", "real": "f", "int": "i", "short": "h", "flag": "?", "time": "q"}


def naive_field(column: StoredColumn, value: Any) -> bytes:
    """Encode one value as the documentation of COPY says."""
    if column.is_nullable and (value != value or (column.kind == "time" and value == NO_TIME)):
        return struct.pack(">i", -1)
    if column.kind == "time":
        value = (int(value) - 946_684_800_000) * 1000
    if column.kind in _CODES:
        body = struct.pack(f">{_CODES[column.kind]}", value)
    elif column.kind in ("ints", "longs"):
        code, oid = ("i", 23) if column.kind == "ints" else ("q", 20)
        body = struct.pack(">5i", 1, 0, oid, len(value), 1)
        body += b"".join(struct.pack(f">i{code}", struct.calcsize(f">{code}"), item) for item in value.tolist())
    else:
        body = (column.categories[value] if column.kind == "label" else value).encode()
        body = b"\x01" + body if column.kind == "json" else body
    return struct.pack(">i", len(body)) + body


def naive_copy(columns: list[tuple[StoredColumn, np.ndarray]]) -> bytes:
    """Encode row by row."""
    rows = [
        struct.pack(">h", len(columns)) + b"".join(naive_field(column, values[row]) for column, values in columns)
        for row in range(len(columns[0][1]))
    ]
    return b"PGCOPY\n\xff\r\n\x00" + bytes(8) + b"".join(rows) + b"\xff\xff"


@pytest.mark.parametrize("name", [name for name in BULK_TABLES if name not in ("regime_verdicts", "grid_advice")])
def test_every_table_encodes_as_the_naive_encoder_does(name, monkeypatch):
    monkeypatch.setattr(copy_binary, "BLOCK_ROWS", 7)
    table = BULK_TABLES[name]
    rows = random_rows(table, ETH, hours(0, 40), seed=5)
    columns = [(column, rows[column.name]) for column in copy_order(table.columns)]
    assert b"".join(encode_copy(columns)) == naive_copy(columns)


def test_documents_and_arrays_encode_as_the_naive_encoder_does():
    columns = [
        (StoredColumn("runs", "ints"), np.arange(48, dtype=np.int32).reshape(2, 24)),
        (StoredColumn("hashes", "longs"), np.arange(-24, 24, dtype=np.int64).reshape(2, 24)),
        (StoredColumn("factors", "json"), np.array(['{"a": 1}', "[]"], dtype=object)),
    ]
    assert b"".join(encode_copy(columns)) == naive_copy(columns)


def test_long_columns_come_last_and_keep_their_order():
    table = BULK_TABLES["grid_advice"]
    ordered = [column.name for column in copy_order(table.columns)]
    assert ordered[-4:] == ["gate_checks", "restart_grid", "graduation", "advice_hash"]
    assert sorted(ordered) == sorted(column.name for column in table.columns)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.just(float("nan")), st.floats(allow_nan=False)),
            st.integers(-(2**15), 2**15 - 1),
            st.integers(0, 2),
            st.one_of(st.just(NO_TIME), st.integers(0, 4_000_000_000_000)),
            st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=9),
        ),
        min_size=1,
        max_size=20,
    )
)
@settings(deadline=None)
def test_any_mix_of_absent_values_and_texts_encodes_as_the_naive_encoder_does(rows):
    floats, shorts, labels, times, texts = zip(*rows, strict=True)
    columns = [
        (StoredColumn("f", "float", is_nullable=True), np.array(floats)),
        (StoredColumn("s", "short"), np.array(shorts, dtype=np.int16)),
        (StoredColumn("l", "label", categories=("a", "long name", "né")), np.array(labels, dtype=np.int8)),
        (StoredColumn("t", "time", is_nullable=True), np.array(times, dtype=np.int64)),
        (StoredColumn("x", "text"), np.array(texts, dtype=object)),
    ]
    assert b"".join(encode_copy(columns)) == naive_copy(columns)


def test_times_survive_the_wire_and_nat_is_minus_infinity():
    times = np.array([0, 1_700_000_000_123, 946_684_800_000, NO_TIME, -1], dtype=np.int64)
    assert np.array_equal(memory_times(wire_times(times)), times)
    assert wire_times(times)[3] == np.iinfo(np.int64).min
