"""A backtest as JSON (every figure) and as CSV (every hour): for programs, notebooks and spreadsheets.

See `dashboard.report` for the page.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

import orjson

from regime_pipeline.domain.known_at import hour_known_at
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.domain.schema import DIRECTIONS, VERDICTS
from regime_pipeline.services.backtest.classes import ABSTAIN, CLASSES
from regime_pipeline.services.backtest.hours import BacktestHours
from regime_pipeline.services.backtest.runner import Backtest

SCHEMA_VERSION: Final = 1
CSV_COLUMNS: Final = (
    *("symbol", "timeframe", "hour_start", "known_at", "verdict", "confidence", "direction", "close"),
    *("next_return_bps", "hindsight_label", "true_label"),
)


def to_document(backtest: Backtest) -> dict[str, Any]:
    """Return every figure as JSON values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "start": to_iso(backtest.window.start_ms),
        "end": to_iso(backtest.window.end_ms),
        "timeframe": backtest.timeframe,
        "origin": backtest.origin,
        "policies": list(backtest.policies),
        "hindsight_rule": asdict(backtest.rule),
        "notes": list(backtest.notes),
        "overall": asdict(backtest.overall),
        "markets": {symbol: asdict(figures) for symbol, figures in backtest.markets.items()},
    }


def to_json(backtest: Backtest) -> bytes:
    """Return the document as indented JSON."""
    return orjson.dumps(to_document(backtest), option=orjson.OPT_INDENT_2) + b"\n"


def to_csv(backtest: Backtest) -> bytes:
    """Return one line per market and hour; numbers with every digit, empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for hours in backtest.hours:
        writer.writerows(_lines(hours))
    return text.getvalue().encode()


def _lines(hours: BacktestHours) -> Iterator[tuple[str, ...]]:
    columns = zip(
        hours.hour_start.tolist(), hours.verdict.tolist(), hours.confidence.tolist(), hours.direction.tolist(),
        hours.close.tolist(), hours.next_return_bps.tolist(), hours.hindsight.tolist(), hours.truth.tolist(),
        strict=True,
    )  # fmt: skip
    for start, verdict, confidence, direction, close, after, hindsight, truth in columns:
        yield (
            hours.market.symbol,
            hours.market.timeframe,
            to_iso(start),
            to_iso(hour_known_at(start)),
            VERDICTS[verdict],
            _number(confidence),
            DIRECTIONS[direction],
            _number(close),
            _number(after),
            _label(hindsight),
            _label(truth),
        )


def _number(value: float) -> str:
    return repr(value) if value == value else ""


def _label(code: int) -> str:
    return "" if code == ABSTAIN else CLASSES[code]
