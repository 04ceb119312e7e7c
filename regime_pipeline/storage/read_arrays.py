"""PostgreSQL binary arrays to numpy: one row of `array_agg`s comes back instead of a row per candle.

Building the query belongs to `queries`; what the columns mean to `bulk_tables`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from regime_pipeline.storage.copy_binary import memory_times

_HEADER_BYTES: Final = 12
_DIMENSION_BYTES: Final = 8


class _ArrayLoader(Loader):
    """Read an array of fixed-width values without NULL."""

    format = Format.BINARY
    wire: ClassVar[str]

    def load(self, data: Buffer) -> NDArray[Any]:
        """Return the values in native byte order, in the array's shape."""
        dimensions = int.from_bytes(data[:4], "big")
        sizes = np.frombuffer(data, ">i4", 2 * dimensions, _HEADER_BYTES)[::2]
        start = _HEADER_BYTES + _DIMENSION_BYTES * dimensions
        item = np.dtype([("length", ">i4"), ("value", self.wire)])
        values = np.frombuffer(data, item, offset=start)["value"]
        return values.astype(values.dtype.newbyteorder("=")).reshape(tuple(sizes) if dimensions else 0)


class _TimeArrayLoader(_ArrayLoader):
    """Read an array of timestamptz as int64 epoch milliseconds; -infinity is NaT."""

    wire = ">i8"

    def load(self, data: Buffer) -> NDArray[Any]:
        """Return epoch milliseconds."""
        return memory_times(super().load(data))


_WIRES: Final = {"float8": ">f8", "float4": ">f4", "int8": ">i8", "int4": ">i4", "int2": ">i2", "bool": "?"}


def register_array_loaders(connection: psycopg.Connection[Any]) -> None:
    """Make the connection return arrays of numbers, flags and times as numpy arrays (binary cursors only)."""
    for name, wire in _WIRES.items():
        oid = connection.adapters.types[name].array_oid
        connection.adapters.register_loader(oid, type(f"{name}Loader", (_ArrayLoader,), {"wire": wire}))
    connection.adapters.register_loader(connection.adapters.types["timestamptz"].array_oid, _TimeArrayLoader)
