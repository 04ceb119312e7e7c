"""Strict reading of snapshot JSON: every fault is found and named before anything is refused.

See `codec` for the canonical text and its hash.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import orjson

from regime_pipeline.domain.errors import BadSnapshotError, RegimeError
from regime_pipeline.domain.market_data.candles import Candles
from regime_pipeline.domain.market_data.completeness import runs_of
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.snapshot import HourSnapshot, bars_of_hour, hour_faults, summarize
from regime_pipeline.domain.market_data.window import Int64, to_ms
from regime_pipeline.storage.snapshots.codec import candles_of_columns, columns_of, content_hash, iso_spans
from regime_pipeline.storage.snapshots.schema import SCHEMA_VERSION, Metadata, Summary, check_shape

Rows = Sequence[tuple[Any, ...]]
REMEDY: Final = "Restore the file, or delete it and materialize the hour again."


def parse(data: bytes, where: str = "the snapshot") -> dict[str, Any]:
    """Return the JSON object that the bytes hold.

    Raises
    ------
    BadSnapshotError
        They hold none.
    """
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadSnapshotError(f"{where}: not JSON ({error}).", REMEDY) from error
    if not isinstance(document, dict):
        raise BadSnapshotError(f"{where}: not a JSON object.", REMEDY)
    return document


def decode(data: bytes, where: str = "the snapshot") -> HourSnapshot:
    """Read and validate a snapshot file; `where` names it in errors.

    Raises
    ------
    BadSnapshotError
        The bytes are no JSON object, or as in `from_document`.
    """
    return from_document(parse(data, where), where)


def from_document(document: Mapping[str, Any], where: str = "the snapshot") -> HourSnapshot:
    """Validate a snapshot document and return what it says; a bundle's history is not looked at.

    Raises
    ------
    BadSnapshotError
        The schema version is unknown, a field is missing, unknown or of the wrong type, bars are missing, double or
        outside the hour, counts or summary contradict the bars, or the hash does not match. Every fault is named.
    """
    version = document.get("schema_version")
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise BadSnapshotError(f"{where}: schema version {version} is unknown.", "Update regime_pipeline to read it.")
    checked = check_shape(document)
    known: dict[str, Any] = {**checked.fields, "document": document, "status": None}
    if "metadata" in known:
        known["status"] = known["metadata"].status
    faults = [*checked.faults, *_build(known)]
    for needs, rule in _RULES:
        if all(name in known for name in needs):
            faults += rule(*(known[name] for name in needs))
    if faults:
        raise BadSnapshotError(f"{where}: {'; '.join(faults)}.", REMEDY)
    metadata: Metadata = known["metadata"]
    return HourSnapshot(
        market=known["market"],
        hour_start_ms=known["hour_start_ms"],
        bars=known["candles"],
        status=metadata.status,
        source=metadata.source,
        config_hash=metadata.config_hash,
        collected_at_ms=known["collected_at_ms"],
        is_verified=metadata.sha256 is not None,
        no_trade=metadata.no_trade,
    )


def _build(known: dict[str, Any]) -> list[str]:
    """Add the values made of well-shaped fields; return the faults of those that cannot be made."""
    faults = []
    for name, needs, make in _BUILT:
        if not all(need in known for need in needs):
            continue
        try:
            known[name] = make(*(known[need] for need in needs))
        except RegimeError as error:
            faults.append(error.what.rstrip("."))
    return faults


def _hour_start(text: str) -> int:
    hour_start_ms = to_ms(text)
    if hour_start_ms % HOUR_MS:
        raise BadSnapshotError(f"hour_start {text} is not a full hour.")
    return hour_start_ms


def _collected_at(metadata: Metadata) -> int:
    return to_ms(metadata.collected_at)


def _candles(market: Market, price_scale: int, rows: Rows) -> Candles:
    return candles_of_columns(market, price_scale, columns_of(rows))


def _hour_rule(market: Market, hour_start_ms: int, rows: Rows, status: str | None) -> list[str]:
    """Bars are those that close in the hour, and the status says whether all are there."""
    return hour_faults(market, hour_start_ms, _open_times(rows), status)


def _count_rule(market: Market, hour_start_ms: int, rows: Rows, metadata: Metadata) -> list[str]:
    """Stated counts and gaps are those of the bars."""
    times, absent = bars_of_hour(market, hour_start_ms, _open_times(rows))
    facts = {
        "expected": len(times),
        "present": len(rows),
        "gaps": iso_spans(runs_of(times, absent, market.step_ms)),
    }
    return [
        f"metadata.{name} is {getattr(metadata, name)}, the bars say {fact}"
        for name, fact in facts.items()
        if getattr(metadata, name) != fact
    ]


def _summary_rule(candles: Candles, stated: Summary | None) -> list[str]:
    """The stated summary is that of the bars."""
    summary = summarize(candles)
    if summary is None or stated is None:
        both_absent = summary is None and stated is None
        return [] if both_absent else [f"market_summary is {stated or 'null'}, the bars say {summary or 'null'}"]
    return [
        f"market_summary.{name} is {getattr(stated, name)}, the bars say {fact}"
        for name, fact in asdict(summary).items()
        if not math.isclose(getattr(stated, name), fact, rel_tol=1e-9)
    ]


def _hash_rule(document: Mapping[str, Any], metadata: Metadata) -> list[str]:
    """The stated hash is that of the content; without one nothing can be compared, and `is_verified` says so."""
    actual = content_hash(document)
    return [] if metadata.sha256 in (None, actual) else [f"the hash does not match: the content has {actual}"]


def _open_times(rows: Rows) -> Int64:
    return np.array([row[0] for row in rows], dtype=np.int64)


_BUILT: Final[tuple[tuple[str, tuple[str, ...], Callable[..., Any]], ...]] = (
    ("market", ("symbol", "timeframe"), Market),
    ("hour_start_ms", ("hour_start",), _hour_start),
    ("collected_at_ms", ("metadata",), _collected_at),
    ("candles", ("market", "price_scale", "bars"), _candles),
)
"""Name of a value, the fields it is made of, and its maker."""

_RULES: Final[tuple[tuple[tuple[str, ...], Callable[..., list[str]]], ...]] = (
    (("market", "hour_start_ms", "bars", "status"), _hour_rule),
    (("market", "hour_start_ms", "bars", "metadata"), _count_rule),
    (("candles", "market_summary"), _summary_rule),
    (("document", "metadata"), _hash_rule),
)
"""What a rule needs to know, and the rule; it returns its faults."""
