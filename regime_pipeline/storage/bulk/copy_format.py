"""Columns to the bytes of PostgreSQL's `COPY ... (FORMAT BINARY)` and arrays back; only long texts cost a step per row.

See `columns` for what they mean, `statements` for sending them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Any, ClassVar, Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.storage.bulk.columns import KINDS, NO_TIME, StoredColumn

_HEADER_BYTES: Final = 12
_DIMENSION_BYTES: Final = 8


class _ArrayLoader(Loader):
    """Read an array of fixed-width values without NULL."""

    format = Format.BINARY
    item: ClassVar[np.dtype[np.void]]
    native: ClassVar[np.dtype[Any]]

    def __init_subclass__(cls, *, wire: str) -> None:
        """Prepare the types of a value on the wire and in memory, once for all answers."""
        cls.item = np.dtype([("length", ">i4"), ("value", wire)])
        cls.native = np.dtype(wire).newbyteorder("=")

    def load(self, data: Buffer) -> NDArray[Any]:
        """Return the values in native byte order, in the array's shape."""
        dimensions = int.from_bytes(data[:4], "big")
        start = _HEADER_BYTES + _DIMENSION_BYTES * dimensions
        values = np.frombuffer(data, self.item, offset=start)["value"].astype(self.native)
        if dimensions < 2:
            return values
        return values.reshape(np.frombuffer(data, ">i4", 2 * dimensions, _HEADER_BYTES)[::2])


class _TimeArrayLoader(_ArrayLoader, wire=">i8"):
    """Read an array of timestamptz as int64 epoch milliseconds; -infinity is NaT."""

    def load(self, data: Buffer) -> NDArray[Any]:
        """Return epoch milliseconds."""
        return memory_times(super().load(data))


_WIRES: Final = {"float8": ">f8", "float4": ">f4", "int8": ">i8", "int4": ">i4", "int2": ">i2", "bool": "?"}
_LOADERS: Final = {name: type(f"{name}Loader", (_ArrayLoader,), {}, wire=wire) for name, wire in _WIRES.items()}


def register_array_loaders(connection: psycopg.Connection[Any]) -> None:
    """Make the connection return arrays of numbers, flags and times as numpy arrays (binary cursors only)."""
    for name in _LOADERS:
        oid = connection.adapters.types[name].array_oid
        connection.adapters.register_loader(oid, _LOADERS[name])
    connection.adapters.register_loader(connection.adapters.types["timestamptz"].array_oid, _TimeArrayLoader)


Values = tuple[StoredColumn, NDArray[Any]]
_Part = tuple[str, NDArray[Any]]
"""numpy type on the wire, and one value per row."""
_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_ELEMENT_OIDS: Final = {"ints": 23, "longs": 20}
_POSTGRES_EPOCH_MS: Final = 946_684_800_000
BLOCK_ROWS: Final = 16_384
"""Rows encoded at a time, which bounds the memory in use."""


def copy_order(columns: Sequence[StoredColumn]) -> list[StoredColumn]:
    """Return the columns in the order of the stream: those of bounded width first, then texts and documents."""
    return sorted(columns, key=_is_long)


def encode_copy(columns: Sequence[Values]) -> Iterator[bytes]:
    """Encode columns of equal length.

    Parameters
    ----------
    columns : sequence of (StoredColumn, ndarray of shape (n,))
        In `copy_order`, in the types of `KINDS`. NaN and NaT of nullable columns become NULL; labels their names.

    Yields
    ------
    bytes
        The stream in blocks: header, rows, trailer.
    """
    yield _HEADER
    for first in range(0, len(columns[0][1]), BLOCK_ROWS):
        yield _encode_block([(column, values[first : first + BLOCK_ROWS]) for column, values in columns])
    yield _TRAILER


def wire_times(times_ms: Int64) -> Int64:
    """Epoch milliseconds to PostgreSQL's microseconds since 2000; NaT stays NaT, which it reads as -infinity."""
    return np.where(times_ms == NO_TIME, NO_TIME, (times_ms - _POSTGRES_EPOCH_MS) * 1_000)


def memory_times(wire: NDArray[Any]) -> Int64:
    """Reverse `wire_times`."""
    micros = wire.astype(np.int64, copy=False)
    return np.where(micros == NO_TIME, NO_TIME, micros // 1_000 + _POSTGRES_EPOCH_MS)


def _is_long(column: StoredColumn) -> bool:
    return column.kind in ("text", "json")


def _encode_block(columns: Sequence[Values]) -> bytes:
    bounded = [(column, values) for column, values in columns if not _is_long(column)]
    long = [_texts(column, values) for column, values in columns if _is_long(column)]
    flat, row_ends = _bounded_rows(len(columns), bounded)
    if not long:
        return flat
    heads = [flat[start:end] for start, end in pairwise([0, *row_ends.tolist()])]
    return b"".join(chain.from_iterable(zip(heads, *long, strict=True)))


def _bounded_rows(count: int, columns: Sequence[Values]) -> tuple[bytes, Int64]:
    """Encode the bounded part of each row: every field padded to its widest, then the padding masked away.

    Returns
    -------
    bytes
        The rows, one after another.
    ndarray of int64, shape (n,)
        End of each row in it.
    """
    rows = len(columns[0][1])
    parts: list[_Part] = [(">i2", np.full(rows, count))]
    padding: list[tuple[int, int, Int64]] = []
    offset = 2
    for column, values in columns:
        field, lengths = _field(column, values)
        parts += field
        width = sum(np.dtype(wire).itemsize for wire, _ in field)
        if lengths is not None:
            padding.append((offset, offset + width, lengths))
        offset += width
    padded = _side_by_side(parts)
    if not padding:
        return padded.tobytes(), np.arange(1, rows + 1) * offset
    is_used = np.ones(padded.shape, dtype=np.bool_)
    for start, end, lengths in padding:
        is_used[:, start:end] = np.arange(end - start) < lengths[:, None]
    return padded[is_used].tobytes(), np.cumsum(is_used.sum(axis=1))


def _field(column: StoredColumn, values: NDArray[Any]) -> tuple[list[_Part], Int64 | None]:
    """Return the parts of a bounded field, and the bytes used in each row where they differ."""
    if column.kind == "label":
        return _label(column, values)
    return (_array(column, values), None) if column.kind in _ELEMENT_OIDS else _number(column, values)


def _array(column: StoredColumn, values: NDArray[Any]) -> list[_Part]:
    """Return arrays of one length: dimensions, no NULL, element type, size, lower bound, elements."""
    rows, size = values.shape
    elements = np.empty((rows, size), dtype=[("length", ">i4"), ("value", KINDS[column.kind].wire)])
    elements["length"], elements["value"] = values.itemsize, values
    width = elements.dtype.itemsize * size
    header = (20 + width, 1, 0, _ELEMENT_OIDS[column.kind], size, 1)
    parts: list[_Part] = [(">i4", np.full(rows, number)) for number in header]
    return [*parts, (f"V{width}", elements.view(f"V{width}")[:, 0])]


def _number(column: StoredColumn, values: NDArray[Any]) -> tuple[list[_Part], Int64 | None]:
    """Return length and value of a fixed-width field, and the bytes used in each row where some are NULL."""
    wire = KINDS[column.kind].wire
    width = np.dtype(wire).itemsize
    sent = wire_times(values) if column.kind == "time" else values
    nulls = _nulls(column, values)
    if nulls is None:
        return [(">i4", np.full(len(values), width)), (wire, sent)], None
    return [(">i4", np.where(nulls, -1, width)), (wire, sent)], np.where(nulls, 4, 4 + width)


def _nulls(column: StoredColumn, values: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Mask the absent values; None where there are none."""
    if not column.is_nullable:
        return None
    nulls = np.isnan(values) if values.dtype.kind == "f" else np.asarray(values == NO_TIME)
    return nulls if nulls.any() else None


def _label(column: StoredColumn, codes: NDArray[Any]) -> tuple[list[_Part], Int64 | None]:
    """Return length and padded name of each label, and the bytes used in each row."""
    names = np.array([name.encode() for name in column.categories])
    lengths = np.array([len(name) for name in names.tolist()], dtype=np.int64)
    return [(">i4", lengths[codes]), (names.dtype.str, names[codes])], 4 + lengths[codes]


def _side_by_side(parts: Sequence[_Part]) -> NDArray[np.uint8]:
    """Lay columns side by side without gaps, shape (rows, bytes)."""
    rows = len(parts[0][1])
    table = np.empty(rows, dtype=np.dtype([(f"f{number}", wire) for number, (wire, _) in enumerate(parts)]))
    for number, (_, values) in enumerate(parts):
        table[f"f{number}"] = values
    return table.view(np.uint8).reshape(rows, table.dtype.itemsize)


def _texts(column: StoredColumn, values: NDArray[Any]) -> list[bytes]:
    """Encode texts or documents with their lengths."""
    version = b"\x01" if column.kind == "json" else b""
    encoded = (version + text.encode() for text in values.tolist())
    return [len(text).to_bytes(4, "big") + text for text in encoded]
