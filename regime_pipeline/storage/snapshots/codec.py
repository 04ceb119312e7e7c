"""Snapshots to JSON: one canonical text per content, and its hash.

See `validation` for reading, `store` for files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import orjson

from regime_pipeline.domain.errors import BadCandlesError
from regime_pipeline.domain.market_data.candles import COLUMNS, Candles
from regime_pipeline.domain.market_data.completeness import Spans
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.snapshot import HourSnapshot
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.storage.snapshots.schema import HISTORY, SCHEMA_VERSION

_NOT_CONTENT: Final = ("sha256", "collected_at")


def to_document(snapshot: HourSnapshot) -> dict[str, Any]:
    """Return the snapshot as JSON values in the order of the schema."""
    summary = snapshot.market_summary
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "symbol": snapshot.market.symbol,
        "timeframe": snapshot.market.timeframe,
        "hour_start": to_iso(snapshot.hour_start_ms),
        "price_scale": snapshot.price_scale,
        "bars": bar_rows(snapshot.bars),
        "market_summary": summary and asdict(summary),
        "metadata": {
            "source": snapshot.source,
            "expected": snapshot.expected,
            "present": snapshot.present,
            "status": snapshot.status,
            "gaps": iso_spans(snapshot.gaps),
            "config_hash": snapshot.config_hash,
        },
    }
    if snapshot.no_trade:
        document["metadata"]["no_trade"] = snapshot.no_trade
    document["metadata"] |= {"sha256": content_hash(document), "collected_at": to_iso(snapshot.collected_at_ms)}
    return document


def encode(snapshot: HourSnapshot) -> bytes:
    """Return the file's bytes: compact JSON in the order of the schema, without a trailing newline."""
    return orjson.dumps(to_document(snapshot))


def content_hash(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document's canonical JSON without `sha256`, `collected_at` and a bundle's history.

    Canonical JSON is compact, with sorted keys, as `orjson` prints it: a file that was indented keeps its hash.
    """
    content = {name: value for name, value in document.items() if name != HISTORY}
    metadata = content["metadata"]
    content["metadata"] = {name: value for name, value in metadata.items() if name not in _NOT_CONTENT}
    return hash_of(content)


def hash_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def bar_rows(candles: Candles) -> list[tuple[Any, ...]]:
    """Return candles as rows `(open_time_ms, open, high, low, close, volume)`, prices in ticks."""
    return list(zip(*(getattr(candles, name).tolist() for name in COLUMNS), strict=True))


def columns_of(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return rows, as `bar_rows` gives them, as six columns.

    Raises
    ------
    ValueError
        The rows are not all of one length, or not of six values.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    if len(columns) != len(COLUMNS):
        raise ValueError(f"rows of {len(columns)} values instead of {len(COLUMNS)}")
    return columns


def candles_of_columns(market: Market, price_scale: int, columns: Sequence[Sequence[Any]]) -> Candles:
    """Return columns, as `columns_of` gives them, as candles; nothing is rounded or converted from text.

    Raises
    ------
    BadCandlesError
        A time or price is not an integer, a volume no number, or the columns break an invariant of candles.
    """
    arrays = [np.array(column) for column in columns]
    kinds = "".join(array.dtype.kind if array.ndim == 1 else "?" for array in arrays)
    if len(columns[0]) and kinds not in ("iiiiif", "iiiiii"):
        raise BadCandlesError(f"{market}: a time or price is not an integer, or a volume is not a number.")
    times, opens, highs, lows, closes = (array.astype(np.int64, copy=False) for array in arrays[:-1])
    return Candles(market, price_scale, times, opens, highs, lows, closes, arrays[-1].astype(np.float64))


def iso_spans(spans: Spans) -> list[tuple[str, str]]:
    """Return spans of epoch milliseconds as pairs of ISO-8601 times."""
    return [(to_iso(start), to_iso(end)) for start, end in spans]
